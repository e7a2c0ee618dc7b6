//! Makes the picture in the README of what the tour prints:
//!
//! ```sh
//! cargo run -q --example tour | cargo run -q --example tour_picture > examples/tour/tour.svg
//! ```
//!
//! Times, ports and counts that chance decides are left out: what is shown is what every run says.

use std::io::{self, Read as _};
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut told = String::new();
    if let Err(error) = io::stdin().read_to_string(&mut told) {
        return examples::report(Err(error.into()));
    }
    if !told.contains("steps passed") {
        return examples::report(Err("pipe the tour into this program, all of it".into()));
    }
    print!("{}", picture(&screen(&told)));
    ExitCode::SUCCESS
}

/// The lines of the picture.
fn screen(told: &str) -> Vec<String> {
    let told = told.lines().filter_map(steady);
    let mut screen = vec!["$ cargo run --example tour".to_owned()];
    screen.extend(told);
    screen
}

/// The line without what differs between two runs; none if nothing is left.
fn steady(line: &str) -> Option<String> {
    if line.contains("each ahead of its time") {
        return None;
    }
    let line = line.split(", the slowest after").next()?;
    let Some((before, after)) = line.split_once("http://127.0.0.1:") else {
        return Some(line.to_owned());
    };
    let after = after.trim_start_matches(|it: char| it.is_ascii_digit());
    Some(format!("{before}http://127.0.0.1{after}"))
}

/// A terminal in which the lines go by, a step at a time; it stands still for those who want that.
fn picture(screen: &[String]) -> String {
    let width = 720;
    let height = ROWS * LINE + 2 * MARGIN;
    let lines: String = (1..)
        .zip(screen)
        .map(|(row, line)| text(row, line))
        .collect();
    let stops = stops(screen);
    let seconds = 2 * stops.len();
    let frames = frames(&stops);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" role=\"img\" \
         font-family=\"ui-monospace, SFMono-Regular, Menlo, Consolas, monospace\" font-size=\"13\">\n\
         <title>The tour: each step checks itself</title>\n\
         <style>\n\
         text {{ fill: #d0d7de; white-space: pre; }} .step {{ fill: #ffffff; font-weight: bold; }} \
         .ok {{ fill: #56d364; }} .prompt {{ fill: #79c0ff; }}\n\
         g {{ animation: told {seconds}s step-end infinite; }}\n\
         @media (prefers-reduced-motion: reduce) {{ g {{ animation: none; }} }}\n\
         @keyframes told {{\n{frames}}}\n\
         </style>\n\
         <rect width=\"{width}\" height=\"{height}\" rx=\"8\" fill=\"#0d1117\"/>\n\
         <svg y=\"{MARGIN}\" width=\"{width}\" height=\"{window}\" overflow=\"hidden\"><g>\n{lines}</g></svg>\n\
         </svg>\n",
        window = ROWS * LINE,
    )
}

fn text(row: usize, line: &str) -> String {
    let kind = match line.trim_start() {
        it if it.starts_with("ok: ") || it.starts_with("tour: ") => "ok",
        it if it.starts_with(|it: char| it.is_ascii_digit()) && !line.starts_with("    ") => "step",
        it if it.starts_with('$') => "prompt",
        _ => "said",
    };
    let y = row * LINE - LINE / 3;
    let line = line.replace('&', "&amp;").replace('<', "&lt;");
    match line.is_empty() {
        true => String::new(),
        false => format!("<text class=\"{kind}\" x=\"{MARGIN}\" y=\"{y}\">{line}</text>\n"),
    }
}

/// After how many lines the terminal waits: those before each empty one, and the last.
fn stops(screen: &[String]) -> Vec<usize> {
    let empty = (0..screen.len()).filter(|it| screen[*it].is_empty());
    empty
        .chain([screen.len()])
        .filter(|it| *it > ROWS)
        .collect()
}

/// The last stop is seen for longer.
fn frames(stops: &[usize]) -> String {
    let frame = |(number, stop): (usize, &usize)| {
        let percent = 100 * (number + 1) / (stops.len() + 2);
        let up = (stop - ROWS) * LINE;
        format!("{percent}% {{ transform: translateY(-{up}px); }}\n")
    };
    let moves: String = stops.iter().enumerate().map(frame).collect();
    format!("0% {{ transform: none; }}\n{moves}")
}

const ROWS: usize = 22;
const LINE: usize = 19;
const MARGIN: usize = 16;

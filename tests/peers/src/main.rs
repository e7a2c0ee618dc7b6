//! Benchmarks side by side with what others do; see the README beside this package.

mod client;
mod flat;
mod report;
mod rounds;
mod sessions;
mod stores;
mod verify;

use std::process::ExitCode;

use crate::report::Report;
use crate::rounds::Effort;
use crate::stores::Stores;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

const USAGE: &str = "usage: peers [--quick] sessions[=STORE]|flat[=STORE]|client|verify ...";

fn main() -> ExitCode {
    let (flags, parts): (Vec<_>, Vec<_>) = std::env::args()
        .skip(1)
        .partition(|it| it.starts_with("--"));
    let effort = match flags.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => Effort::FULL,
        ["--quick"] => Effort::QUICK,
        _ => return usage(),
    };
    let mut report = Report::default();
    for part in &parts {
        let Some((name, stores)) = Stores::of(part) else {
            return usage();
        };
        let done = match name {
            "sessions" => sessions::run(stores, effort, &mut report),
            "flat" => flat::run(stores, effort, &mut report),
            "client" => client::run(effort, &mut report),
            "verify" => verify::run(effort, &mut report),
            _ => return usage(),
        };
        if let Err(error) = done {
            eprintln!("peers: {part}: {error}");
            return ExitCode::from(2);
        }
    }
    report.verdict()
}

fn usage() -> ExitCode {
    eprintln!("{USAGE}");
    ExitCode::from(2)
}

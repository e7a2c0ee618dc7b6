use std::process::ExitCode;

use crate::rounds::Series;

/// What was found, line by line, and the bars that were missed.
#[derive(Default)]
pub(crate) struct Report {
    bars: Vec<String>,
    missed: usize,
}

/// What a ratio has to be.
#[derive(Clone, Copy)]
pub(crate) enum Bar {
    AtLeast(f64),
    AtMost(f64),
}

impl Report {
    pub(crate) fn title(&self, title: &str) {
        println!("\n== {title}");
    }

    pub(crate) fn row(&self, cells: &[&dyn std::fmt::Display]) {
        let (first, rest) = cells.split_first().expect("a row has a name");
        print!("{first:<26}");
        for cell in rest {
            print!(" {cell:>28}");
        }
        println!();
    }

    /// Holds the median of a ratio, of those in pairs, to what was promised.
    pub(crate) fn hold(&mut self, what: &str, ratio: &Series, bar: Bar) {
        let (is_kept, wanted) = match bar {
            Bar::AtLeast(least) => (ratio.median() >= least, format!("at least {least}")),
            Bar::AtMost(most) => (ratio.median() <= most, format!("at most {most}")),
        };
        self.missed += usize::from(!is_kept);
        let word = if is_kept { "kept  " } else { "MISSED" };
        self.bars.push(format!("{word} {what}: {ratio}, {wanted}"));
    }

    pub(crate) fn verdict(self) -> ExitCode {
        println!("\n== bars: the median of the ratios of each round, and their range");
        self.bars.iter().for_each(|bar| println!("{bar}"));
        ExitCode::from(u8::from(self.missed > 0))
    }
}

use std::error::Error;
use std::fmt;

/// Tells the tour, and stops it at the first promise that does not hold.
#[derive(Default)]
pub(crate) struct Story {
    steps: u32,
}

impl Story {
    pub(crate) fn step(&mut self, title: &str) {
        self.steps += 1;
        println!("\n{:>2}. {title}", self.steps);
    }

    pub(crate) fn say(&self, line: impl fmt::Display) {
        println!("    {line}");
    }

    pub(crate) fn check(&self, promise: impl fmt::Display, holds: bool) -> Result<(), Broken> {
        println!("    {} {promise}", if holds { "ok:" } else { "BROKEN:" });
        if holds {
            Ok(())
        } else {
            Err(Broken(promise.to_string()))
        }
    }

    pub(crate) fn end(self) {
        println!("\ntour: {} steps passed", self.steps);
    }
}

/// A promise that does not hold.
#[derive(Debug)]
pub(crate) struct Broken(String);

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a promise is broken: {}", self.0)
    }
}

impl Error for Broken {}

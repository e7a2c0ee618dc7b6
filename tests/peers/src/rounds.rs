use std::fmt;
use std::time::{Duration, Instant};

/// How much is measured.
#[derive(Clone, Copy)]
pub(crate) struct Effort {
    /// How often everything takes its turn.
    pub(crate) rounds: usize,
    /// How long a turn is, where it is a matter of time.
    pub(crate) turn: Duration,
}

impl Effort {
    pub(crate) const FULL: Self = Self {
        rounds: 5,
        turn: Duration::from_secs(2),
    };
    /// To see that all of it works.
    pub(crate) const QUICK: Self = Self {
        rounds: 2,
        turn: Duration::from_secs(1),
    };
}

/// A figure for each round.
#[derive(Clone, Debug, Default)]
pub(crate) struct Series(Vec<f64>);

impl Series {
    pub(crate) fn push(&mut self, figure: f64) {
        self.0.push(figure);
    }

    pub(crate) fn median(&self) -> f64 {
        let sorted = self.sorted();
        match sorted.len() {
            0 => f64::NAN,
            n if n % 2 == 1 => sorted[n / 2],
            n => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
        }
    }

    /// Round by round: what else went on on the machine concerns both.
    pub(crate) fn over(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(a, b)| a / b).collect())
    }

    pub(crate) fn minus(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(a, b)| a - b).collect())
    }

    fn sorted(&self) -> Vec<f64> {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        sorted
    }
}

/// The median, and the range in brackets.
impl fmt::Display for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sorted = self.sorted();
        let (Some(min), Some(max)) = (sorted.first(), sorted.last()) else {
            return f.pad("-");
        };
        let digits = if self.median().abs() < 100.0 { 2 } else { 0 };
        let median = self.median();
        f.pad(&format!(
            "{median:.digits$} ({min:.digits$}..{max:.digits$})"
        ))
    }
}

/// The one place that reads the clock.
#[expect(
    clippy::disallowed_methods,
    reason = "what is measured here is real time"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}

use std::time::Duration;

use tokio::time::Instant;

/// How many refreshes may replace a token before its time: with it, a server that refuses fresh
/// tokens costs a handful of refreshes and not one for each request.
#[derive(Debug, Default)]
pub(super) struct Budget {
    spent: [Option<Instant>; ALLOWED],
}

impl Budget {
    /// Takes one refresh from the budget, false if none is left.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        let is_free = |spent: &Option<Instant>| {
            spent.is_none_or(|at| now.saturating_duration_since(at) >= WINDOW)
        };
        match self.spent.iter_mut().find(|spent| is_free(spent)) {
            Some(free) => {
                *free = Some(now);
                true
            }
            None => false,
        }
    }
}

const ALLOWED: usize = 5;
const WINDOW: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_in_thirty_seconds() {
        let start = Now::read().monotonic;
        let mut budget = Budget::default();
        for second in 0..5 {
            assert!(budget.take(start + Duration::from_secs(second)));
        }
        assert!(!budget.take(start + Duration::from_secs(29)));
        assert!(budget.take(start + Duration::from_secs(30)));
        assert!(!budget.take(start + Duration::from_secs(30)));
        assert!(budget.take(start + Duration::from_secs(31)));
    }

    use crate::clock::Now;
}

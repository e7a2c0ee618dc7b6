use std::time::Duration;

/// How long to leave the server alone after `failures` in a row; `jitter` is between 0 and 1.
pub(crate) fn delay(failures: u32, retry_after: Option<Duration>, jitter: f64) -> Duration {
    let doubled = FIRST.saturating_mul(1 << failures.saturating_sub(1).min(16));
    let own = doubled.min(LONGEST).mul_f64(1.0 - jitter / 4.0);
    own.max(retry_after.unwrap_or_default().min(LONGEST_WISH))
}

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);

/// A server that asks for more is not taken at its word.
const LONGEST_WISH: Duration = Duration::from_secs(5 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_doubles_up_to_a_minute() {
        let delays = [1, 2, 3, 7, 100, u32::MAX].map(|failures| delay(failures, None, 0.0));
        let seconds = [1, 2, 4, 60, 60, 60].map(Duration::from_secs);
        assert_eq!(delays, seconds);
        assert_eq!(delay(2, None, 1.0), Duration::from_millis(1500));
    }

    #[test]
    fn a_wish_of_the_server_counts_up_to_five_minutes() {
        let wished = |seconds| delay(1, Some(Duration::from_secs(seconds)), 0.5);
        assert_eq!(wished(20), Duration::from_secs(20));
        assert_eq!(wished(0), Duration::from_millis(875));
        assert_eq!(wished(86_400), Duration::from_secs(300));
    }
}

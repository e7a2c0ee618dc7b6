//! When to refresh ahead of expiry: arithmetic on moments that are given.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::clock::Now;
use crate::tokens::TokenSet;

/// How long one access token is good for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Validity {
    obtained: Now,
    deadlines: Option<Deadlines>,
}

impl Validity {
    /// The lifespan is as of `obtained`, `None` if nobody said; `jitter` is between 0 and 1.
    pub(crate) fn new(obtained: Now, lifespan: Option<Lifespan>, jitter: f64) -> Self {
        Self {
            obtained,
            deadlines: lifespan.map(|lifespan| Deadlines::new(obtained, lifespan, jitter)),
        }
    }

    pub(crate) fn phase(&self, now: Now) -> Phase {
        let Some(deadlines) = &self.deadlines else {
            return Phase::Fresh;
        };
        if deadlines.expiry.has_passed(now) {
            Phase::Expired
        } else if deadlines.mandatory.has_passed(now) {
            Phase::Mandatory
        } else if deadlines.advisory.has_passed(now) {
            Phase::Advisory
        } else {
            Phase::Fresh
        }
    }

    /// True if replacing the token now is suspicious: it has lived less than a quarter of its
    /// lifetime, less than a minute without a stated one, or was born dying. Many of these in a row mean
    /// that new tokens do not help.
    pub(crate) fn is_premature(&self, now: Now) -> bool {
        let age = now
            .monotonic
            .saturating_duration_since(self.obtained.monotonic);
        match &self.deadlines {
            Some(Deadlines { lifespan, .. }) => {
                let age = age + lifespan.total.saturating_sub(lifespan.left);
                lifespan.total < SHORTEST_LIFETIME || age < lifespan.total / 4
            }
            None => age < UNSTATED_LIFETIME,
        }
    }
}

/// How long a token lives, and how much of that is left.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Lifespan {
    total: Duration,
    left: Duration,
}

impl Lifespan {
    /// That of a token that was just issued.
    #[cfg(test)]
    fn whole(total: Duration) -> Self {
        Self { total, left: total }
    }

    /// `None` if nobody said. A token that was stored has lived for a while.
    pub(crate) fn of(tokens: &TokenSet, now: Now) -> Option<Self> {
        let left = tokens.lifetime(now.wall)?;
        let total = tokens.stated_lifetime().unwrap_or(left).max(left);
        Some(Self { total, left })
    }
}

/// What a token's age asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Use it.
    Fresh,
    /// Use it, and refresh in the background.
    Advisory,
    /// It might die on the way: wait for a new one, use it only if there is none.
    Mandatory,
    /// Dead by its own statement.
    Expired,
}

#[derive(Clone, Copy, Debug)]
struct Deadlines {
    lifespan: Lifespan,
    advisory: Moment,
    mandatory: Moment,
    expiry: Moment,
}

impl Deadlines {
    fn new(obtained: Now, lifespan: Lifespan, jitter: f64) -> Self {
        let Lifespan { total, left } = lifespan;
        let advisory = ADVISORY.min(total / 4).mul_f64(1.0 - jitter / 4.0);
        let mandatory = MANDATORY.min(total / 10);
        let before_expiry = |window| Moment::from(obtained.after(left.saturating_sub(window)));
        Self {
            lifespan,
            advisory: before_expiry(advisory),
            mandatory: before_expiry(mandatory),
            expiry: before_expiry(Duration::ZERO),
        }
    }
}

/// A point in time on both clocks; it has passed once either says so.
#[derive(Clone, Copy, Debug)]
struct Moment {
    monotonic: Instant,
    wall: SystemTime,
}

impl Moment {
    fn has_passed(&self, now: Now) -> bool {
        now.monotonic >= self.monotonic || now.wall >= self.wall
    }
}

impl From<Now> for Moment {
    fn from(Now { monotonic, wall }: Now) -> Self {
        Self { monotonic, wall }
    }
}

/// Refresh in the background this long before expiry, or a quarter of the lifetime; up to a quarter
/// of it later, so that a fleet does not refresh as one.
const ADVISORY: Duration = Duration::from_secs(60);

/// Do not send a token this long before expiry, or a tenth of the lifetime.
const MANDATORY: Duration = Duration::from_secs(10);

/// Nobody means a token to live shorter.
const SHORTEST_LIFETIME: Duration = Duration::from_secs(1);

/// A token without a stated lifetime should live at least this long.
const UNSTATED_LIFETIME: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_token_passes_from_fresh_to_expired() {
        let start = Now::read();
        let validity = Validity::new(start, Some(Lifespan::whole(secs(900))), 0.0);
        let phase = |seconds| validity.phase(start.after(secs(seconds)));
        assert_eq!(phase(839), Phase::Fresh);
        assert_eq!(phase(840), Phase::Advisory);
        assert_eq!(phase(889), Phase::Advisory);
        assert_eq!(phase(890), Phase::Mandatory);
        assert_eq!(phase(899), Phase::Mandatory);
        assert_eq!(phase(900), Phase::Expired);
    }

    #[test]
    fn windows_shrink_with_the_lifetime() {
        let start = Now::read();
        let validity = Validity::new(start, Some(Lifespan::whole(secs(2))), 0.0);
        let phase = |millis| validity.phase(start.after(Duration::from_millis(millis)));
        assert_eq!(phase(1499), Phase::Fresh);
        assert_eq!(phase(1500), Phase::Advisory);
        assert_eq!(phase(1800), Phase::Mandatory);
        assert_eq!(phase(2000), Phase::Expired);
    }

    #[test]
    fn jitter_only_ever_delays_the_background_refresh() {
        let start = Now::read();
        let late = Validity::new(start, Some(Lifespan::whole(secs(900))), 1.0);
        assert_eq!(late.phase(start.after(secs(854))), Phase::Fresh);
        assert_eq!(late.phase(start.after(secs(855))), Phase::Advisory);
        assert_eq!(late.phase(start.after(secs(890))), Phase::Mandatory);
    }

    /// Law C15, the part that is arithmetic.
    #[test]
    fn a_token_dies_by_whichever_clock_goes_on() {
        let start = Now::read();
        let validity = Validity::new(start, Some(Lifespan::whole(secs(900))), 0.0);
        let woken = Now {
            wall: start.wall + secs(3600),
            ..start
        };
        assert_eq!(validity.phase(woken), Phase::Expired);
        let set_back = Now {
            wall: start.wall - secs(3600),
            ..start.after(secs(901))
        };
        assert_eq!(validity.phase(set_back), Phase::Expired);
    }

    #[test]
    fn without_a_stated_lifetime_a_token_never_dies_by_itself() {
        let start = Now::read();
        let validity = Validity::new(start, None, 0.5);
        assert_eq!(validity.phase(start.after(secs(1_000_000))), Phase::Fresh);
        assert!(validity.is_premature(start));
        assert!(validity.is_premature(start.after(secs(59))));
        assert!(!validity.is_premature(start.after(secs(60))));
    }

    #[test]
    fn replacing_a_token_is_premature_in_its_first_quarter() {
        let start = Now::read();
        let honest = Validity::new(start, Some(Lifespan::whole(secs(2))), 0.0);
        assert!(honest.is_premature(start.after(Duration::from_millis(499))));
        assert!(!honest.is_premature(start.after(Duration::from_millis(500))));
        let stillborn = Validity::new(start, Some(Lifespan::default()), 0.0);
        assert!(stillborn.is_premature(start.after(secs(100))));
        assert_eq!(stillborn.phase(start), Phase::Expired);
    }
}

use std::time::Duration;

use super::SigningKey;
use super::ring::Ring;
use crate::clock::Timestamp;

/// When the keys of an issuer take turns: a function of the time and of when each of them was made.
///
/// A key is published as soon as it is there, signs once no verifier can have missed it, and stays
/// published until the last token that it signed is over: no token is rejected. A key that was
/// published for less does not sign, whatever the time, unless there is no other.
///
/// Processes that sign for one issuer share the keys, private ones with the time at which each was
/// published: in a file or a secret of your platform, which all of them read again every minute or so.
/// One of them, or a job, adds the next key when it [is due](Self::is_due); all of them
/// [follow](super::SigningKeys::follow). They need not know of each other.
///
/// ```
/// use std::time::Duration;
/// use auth_layer::keys::{DatedKey, RotationSchedule};
/// use auth_layer::{Algorithm, Clock, SigningKey, SigningKeys, SystemClock};
///
/// let schedule = RotationSchedule::every(Duration::from_secs(30 * 24 * 3600));
/// let now = SystemClock.now();
/// let first = SigningKey::generate(Algorithm::EdDSA)?;
/// let signing = SigningKeys::new(first.clone());
/// let mut keys = vec![DatedKey::new(first, now)]; // as read from where they are kept
///
/// // Every minute:
/// if schedule.is_due(&keys, now) {
///     keys.push(DatedKey::new(SigningKey::generate(Algorithm::EdDSA)?, now));
///     schedule.prune(&mut keys, now);
///     // .. and kept for all.
/// }
/// signing.follow(&schedule, &keys, now);
/// # Ok::<(), auth_layer::keys::KeyError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct RotationSchedule {
    period: Duration,
    keys_max_age: Duration,
    access_ttl: Duration,
    slack: Duration,
}

/// A signing key, and since when it is published.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DatedKey {
    /// The key.
    pub key: SigningKey,
    /// When it was put where all processes that sign find it.
    pub published_at: Timestamp,
}

impl DatedKey {
    /// A key that is published since then.
    pub fn new(key: SigningKey, published_at: Timestamp) -> Self {
        Self { key, published_at }
    }
}

impl RotationSchedule {
    /// A new key so often; not more often than a key takes from being published to signing.
    pub const fn every(period: Duration) -> Self {
        Self {
            period,
            keys_max_age: Duration::from_secs(300),
            access_ttl: Duration::from_secs(15 * 60),
            slack: Duration::from_secs(300),
        }
    }

    /// How long verifiers keep keys before they ask for newer ones: `keys_max_age` of the
    /// `TokenEndpoints`. Under a minute counts as one. Default: 5 minutes.
    #[must_use]
    pub const fn keys_max_age(mut self, age: Duration) -> Self {
        self.keys_max_age = age;
        self
    }

    /// How long access tokens live. Default: 15 minutes.
    #[must_use]
    pub const fn access_ttl(mut self, ttl: Duration) -> Self {
        self.access_ttl = ttl;
        self
    }

    /// How long a new key may take to reach all processes that sign, and their clocks may be apart,
    /// both together. Default: 5 minutes.
    #[must_use]
    pub const fn slack(mut self, slack: Duration) -> Self {
        self.slack = slack;
        self
    }

    /// Whether the next key is to be published now.
    pub fn is_due(&self, keys: &[DatedKey], now: Timestamp) -> bool {
        let newest = keys.iter().map(|it| it.published_at).max();
        let period = self.period.max(self.lead());
        newest.is_none_or(|it| now >= it.plus(period))
    }

    /// Takes out the keys whose tokens are all over.
    pub fn prune(&self, keys: &mut Vec<DatedKey>, now: Timestamp) {
        keys.sort_by_key(|it| it.published_at);
        let over = self.over(keys, now);
        keys.drain(..over);
    }

    /// What signs and what is published beside it; none if there are no keys.
    pub(super) fn ring(&self, keys: &[DatedKey], now: Timestamp) -> Option<Ring> {
        let mut keys = keys.to_vec();
        self.prune(&mut keys, now);
        let current = self.current(&keys, now);
        let mut keys = keys.into_iter().map(|it| it.key);
        let previous = keys.by_ref().take(current).collect();
        Some(Ring {
            previous,
            current: keys.next()?,
            next: keys.collect(),
        })
    }

    /// The newest that has been published for long enough, else the oldest. In order of time.
    fn current(&self, keys: &[DatedKey], now: Timestamp) -> usize {
        let signs = |it: &DatedKey| now >= it.published_at.plus(self.lead());
        keys.iter().rposition(signs).unwrap_or(0)
    }

    /// How many of the oldest are over: their successor has signed for longer than their last token
    /// lives. In order of time.
    fn over(&self, keys: &[DatedKey], now: Timestamp) -> usize {
        let follows = |it: &DatedKey| it.published_at.plus(self.lead()).plus(self.rest());
        keys.iter().rposition(|it| now >= follows(it)).unwrap_or(0)
    }

    /// From being published to signing.
    fn lead(&self) -> Duration {
        self.keys_max_age.max(MINUTE).saturating_add(self.slack)
    }

    /// From signing no more to being withdrawn.
    fn rest(&self) -> Duration {
        self.access_ttl
            .saturating_add(LONGEST_LEEWAY)
            .saturating_add(self.slack)
    }
}

/// The shortest time after which `RemoteKeys` asks again.
const MINUTE: Duration = Duration::from_secs(60);
/// What a verifier may forgive.
const LONGEST_LEEWAY: Duration = Duration::from_secs(300);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::{Algorithm, SigningKeys};

    const NOW: Timestamp = Timestamp::from_secs(1_000_000);
    const DAY: Duration = Duration::from_secs(24 * 3600);
    const SCHEDULE: RotationSchedule = RotationSchedule::every(DAY);

    fn key() -> SigningKey {
        SigningKey::generate(Algorithm::EdDSA).unwrap()
    }

    /// Keys that were published at these seconds after [`NOW`].
    fn keys<const N: usize>(seconds: [u64; N]) -> [DatedKey; N] {
        seconds.map(|it| DatedKey::new(key(), at(it)))
    }

    fn at(seconds: u64) -> Timestamp {
        NOW.plus(Duration::from_secs(seconds))
    }

    /// Which keys there are at a time, the one that signs in the middle.
    fn shown(keys: &[DatedKey], now: Timestamp) -> (Vec<usize>, usize, Vec<usize>) {
        let index = |key: &SigningKey| {
            keys.iter()
                .position(|it| it.key.kid() == key.kid())
                .unwrap()
        };
        let ring = SCHEDULE.ring(keys, now).unwrap();
        let [previous, next] =
            [&ring.previous, &ring.next].map(|it| it.iter().map(index).collect());
        (previous, index(&ring.current), next)
    }

    #[test]
    fn a_key_signs_ten_minutes_after_it_is_published_and_stays_until_its_tokens_are_over() {
        let keys = keys([0, 5_000]);
        assert_eq!(shown(&keys, at(0)), (vec![], 0, vec![1]));
        assert_eq!(shown(&keys, at(5_599)), (vec![], 0, vec![1]));
        assert_eq!(shown(&keys, at(5_600)), (vec![0], 1, vec![]));
        // 15 min of access, 5 of leeway, 5 of slack.
        assert_eq!(shown(&keys, at(5_600 + 1_499)), (vec![0], 1, vec![]));
        assert_eq!(shown(&keys, at(5_600 + 1_500)), (vec![], 1, vec![]));
    }

    #[test]
    fn keys_may_come_faster_than_they_go_and_in_any_order() {
        let keys = keys([600, 0, 300]);
        assert_eq!(shown(&keys, at(900)), (vec![1], 2, vec![0]));
        assert_eq!(shown(&keys, at(1_200)), (vec![1, 2], 0, vec![]));
    }

    /// Nobody could verify what it signs: there is one that they know.
    #[test]
    fn a_key_that_was_published_late_does_not_sign_although_it_is_its_time() {
        let keys = keys([0, 30 * 24 * 3600]);
        assert_eq!(shown(&keys, at(30 * 24 * 3600 + 599)).1, 0);
    }

    #[test]
    fn a_new_key_is_due_each_period_and_at_once_if_there_is_none() {
        assert!(SCHEDULE.is_due(&[], NOW));
        let keys = keys([0]);
        assert!(!SCHEDULE.is_due(&keys, at(24 * 3600 - 1)));
        assert!(SCHEDULE.is_due(&keys, at(24 * 3600)));
        let hasty = RotationSchedule::every(Duration::ZERO);
        assert!(!hasty.is_due(&keys, at(599)));
    }

    #[test]
    fn who_follows_is_told_when_another_key_signs_and_keeps_what_verifiers_remember_otherwise() {
        let keys = keys([0, 5_000]);
        let signing = SigningKeys::new(keys[0].key.clone());
        let set = signing.key_set();
        assert!(!signing.follow(&SCHEDULE, &[], at(0)), "no keys, no change");
        assert!(!signing.follow(&SCHEDULE, &keys[..1], at(0)));
        assert_eq!(set.generation(), 0);
        assert!(!signing.follow(&SCHEDULE, &keys, at(5_000)));
        assert_eq!(set.generation(), 1, "published");
        assert!(signing.follow(&SCHEDULE, &keys, at(6_000)));
        assert!(!signing.follow(&SCHEDULE, &keys, at(6_001)));
        assert_eq!(set.generation(), 2);
    }
}

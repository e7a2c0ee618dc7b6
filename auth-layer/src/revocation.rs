//! Access tokens that are dead before their `exp`.

mod shards;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use self::shards::Shards;
use crate::claims::Claims;
use crate::clock::Timestamp;

/// A bounded set of revoked sessions, tokens and subjects; clones share it.
///
/// An entry is kept as long as a token it kills could still be alive. Asking an empty set costs one
/// atomic load. A set that is full forgets nothing: it revokes *every* token issued so far instead,
/// and clients refresh.
///
/// ```
/// use std::time::Duration;
/// use auth_layer::{Clock as _, Revocations, SystemClock, Verifier};
///
/// let revocations = Revocations::new(Duration::from_secs(15 * 60));
/// let verifier = Verifier::builder().revocations(revocations.clone());
/// revocations.revoke_session("Zm9v", SystemClock.now());
/// ```
#[derive(Clone, Debug)]
pub struct Revocations(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    longest: Duration,
    capacity: usize,
    /// Tokens issued before this are dead, in milliseconds; `NEVER` while nothing at all is revoked.
    all_before: AtomicI64,
    /// No entry of a full set becomes worthless before this, in milliseconds.
    full_until: AtomicI64,
    /// When expired entries are next removed, full or not, in milliseconds.
    next_sweep: AtomicI64,
    sessions: Shards<()>,
    tokens: Shards<()>,
    subjects: Shards<Timestamp>,
}

/// Nothing at all is revoked.
const NEVER: i64 = i64::MIN;
/// Something is, but not by the time of issue alone.
const DAWN: i64 = i64::MIN + 1;

impl Revocations {
    /// An empty set for tokens that live at most `longest`, leeway included. Holds up to a million
    /// entries.
    pub fn new(longest: Duration) -> Self {
        Self::bounded(longest, 1_000_000)
    }

    /// An empty set of at most `capacity` entries.
    pub fn bounded(longest: Duration, capacity: usize) -> Self {
        Self(Arc::new(Shared {
            longest,
            capacity,
            all_before: NEVER.into(),
            full_until: NEVER.into(),
            next_sweep: NEVER.into(),
            sessions: Shards::default(),
            tokens: Shards::default(),
            subjects: Shards::default(),
        }))
    }

    /// Kills every token of a session, by its `sid` claim.
    pub fn revoke_session(&self, sid: &str, now: Timestamp) {
        self.0.revoke(&self.0.sessions, sid, now, now, |_| ());
    }

    /// The same of a session that ended at `at`, of which this may have been told before.
    #[cfg(feature = "issue")]
    pub(crate) fn revoke_session_of(&self, sid: &str, at: Timestamp, now: Timestamp) {
        self.0.revoke(&self.0.sessions, sid, at, now, |_| ());
    }

    /// Kills one token, by its `jti` claim.
    pub fn revoke_token(&self, jti: &str, now: Timestamp) {
        self.0.revoke(&self.0.tokens, jti, now, now, |_| ());
    }

    /// Kills the tokens of a subject whose `iat` lies before `issued_before`, or is missing.
    ///
    /// `iat` has whole seconds: a token of that same second, but later, dies too.
    pub fn revoke_subject(&self, sub: &str, issued_before: Timestamp, now: Timestamp) {
        let later =
            |so_far: Option<Timestamp>| so_far.map_or(issued_before, |it| it.max(issued_before));
        self.0.revoke(&self.0.subjects, sub, now, now, later);
    }

    /// How long an entry is kept.
    #[cfg(feature = "issue")]
    pub(crate) fn longest(&self) -> Duration {
        self.0.longest
    }

    /// Whether the token of these claims was revoked.
    pub fn is_revoked<C>(&self, claims: &Claims<C>) -> bool {
        match self.0.all_before.load(Ordering::Acquire) {
            NEVER => false,
            all_before => self.0.kills(claims, Timestamp::from_millis(all_before)),
        }
    }
}

impl Shared {
    fn kills<C>(&self, claims: &Claims<C>, all_before: Timestamp) -> bool {
        let older = |than: Timestamp| claims.issued_at().is_none_or(|issued| issued < than);
        claims
            .session_id()
            .is_some_and(|sid| self.sessions.get(sid).is_some())
            || claims
                .token_id()
                .is_some_and(|jti| self.tokens.get(jti).is_some())
            || claims
                .subject()
                .and_then(|sub| self.subjects.get(sub))
                .is_some_and(older)
            || (all_before.as_millis() != DAWN && older(all_before))
    }

    fn revoke<V: Copy>(
        &self,
        set: &Shards<V>,
        name: &str,
        at: Timestamp,
        now: Timestamp,
        value: impl FnOnce(Option<V>) -> V,
    ) {
        self.sweep_if_due(now);
        if set.get(name).is_some() || self.has_room(now) {
            set.insert(name, now.plus(self.longest), value);
            self.all_before.fetch_max(DAWN, Ordering::AcqRel);
            return;
        }
        if at.as_millis() < self.all_before.load(Ordering::Acquire) {
            // Told before, when there was no room either.
            return;
        }
        let just_after = now.max(at).plus(Duration::from_millis(1)).as_millis();
        if self.all_before.fetch_max(just_after, Ordering::AcqRel) == DAWN {
            tracing::warn!(
                self.capacity,
                "revocations are full: all tokens so far are refused"
            );
        }
    }

    /// Looks through a full set only when something in it can have become worthless.
    fn has_room(&self, now: Timestamp) -> bool {
        if self.len() >= self.capacity && now.as_millis() >= self.full_until.load(Ordering::Acquire)
        {
            self.sweep(now);
        }
        self.len() < self.capacity
    }

    /// Removes expired entries once in the time for which one is kept, so that a set that is never full holds those of two
    /// such times at most.
    fn sweep_if_due(&self, now: Timestamp) {
        let due = self.next_sweep.load(Ordering::Acquire);
        let next = now.plus(self.longest).as_millis();
        let is_due = now.as_millis() >= due;
        // Of several callers at once one sweeps.
        if is_due
            && self
                .next_sweep
                .compare_exchange(due, next, Ordering::AcqRel, Ordering::Acquire)
                .is_ok()
        {
            self.sweep(now);
        }
    }

    fn sweep(&self, now: Timestamp) {
        let next = [
            self.sessions.retain_after(now),
            self.tokens.retain_after(now),
            self.subjects.retain_after(now),
        ];
        let next = next.into_iter().flatten().min();
        let next = next.map_or(i64::MIN, Timestamp::as_millis);
        self.full_until.store(next, Ordering::Release);
    }

    fn len(&self) -> usize {
        self.sessions.len() + self.tokens.len() + self.subjects.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_000);

    fn set(capacity: usize) -> Revocations {
        Revocations::bounded(Duration::from_secs(60), capacity)
    }

    fn claims(json: &str) -> Claims {
        Claims::read(json.as_bytes()).unwrap()
    }

    fn session(sid: &str, issued_at: i64) -> Claims {
        claims(&format!(r#"{{"sid":"{sid}","iat":{issued_at}}}"#))
    }

    #[test]
    fn a_session_a_token_and_a_subject_die_each_by_its_own_claim() {
        let set = set(10);
        assert!(!set.is_revoked(&claims("{}")));
        set.revoke_session("s", NOW);
        set.revoke_token("t", NOW);
        set.revoke_subject("u", NOW, NOW);
        set.revoke_subject("u", Timestamp::from_secs(1), NOW);
        for dead in [
            r#"{"sid":"s"}"#,
            r#"{"jti":"t"}"#,
            r#"{"sub":"u","iat":999}"#,
            r#"{"sub":"u"}"#,
        ] {
            assert!(set.is_revoked(&claims(dead)), "{dead}");
        }
        for alive in [
            r#"{"sid":"t"}"#,
            r#"{"jti":"s"}"#,
            r#"{"sub":"u","iat":1000}"#,
            "{}",
        ] {
            assert!(!set.is_revoked(&claims(alive)), "{alive}");
        }
    }

    #[test]
    fn a_full_set_makes_room_from_what_no_token_outlives() {
        let set = set(2);
        set.revoke_session("a", NOW);
        set.revoke_session("b", NOW);
        set.revoke_token("c", NOW.plus(Duration::from_secs(60)));
        set.revoke_subject("d", NOW, NOW.plus(Duration::from_secs(60)));
        assert_eq!(set.0.len(), 2);
        assert!(set.is_revoked(&claims(r#"{"jti":"c"}"#)));
        assert!(
            !set.is_revoked(&session("a", 1_000)),
            "no token of it is alive"
        );
        set.revoke_session("e", NOW.plus(Duration::from_secs(120)));
        assert!(set.is_revoked(&session("e", 1_000)));
        assert!(!set.is_revoked(&session("d", 1_000)));
    }

    #[test]
    fn expired_revocations_are_removed_from_a_set_that_is_not_full() {
        let set = set(1_000);
        for second in 0..600 {
            let now = NOW.plus(Duration::from_secs(second));
            set.revoke_session(&format!("s{second}"), now);
            assert!(set.0.len() <= 120, "{} after {second} s", set.0.len());
            assert!(set.is_revoked(&session(&format!("s{}", second.saturating_sub(59)), 1_000)));
        }
    }

    #[test]
    fn a_set_full_of_the_living_refuses_all_tokens_so_far_rather_than_forget_one() {
        let set = set(2);
        for sid in ["a", "b", "c"] {
            set.revoke_session(sid, NOW);
        }
        assert!(
            set.is_revoked(&session("a", 1_001)),
            "what was revoked stays so"
        );
        assert!(set.is_revoked(&session("c", 1_000)));
        assert!(set.is_revoked(&session("anybody", 999)));
        assert!(!set.is_revoked(&session("anybody", 1_001)));
    }

    #[cfg(feature = "issue")]
    #[test]
    fn what_found_no_room_and_is_told_again_refuses_no_younger_tokens() {
        let set = set(1);
        set.revoke_session("a", NOW);
        for later in [0, 5, 10] {
            let now = NOW.plus(Duration::from_secs(later));
            set.revoke_session_of("b", NOW, now);
        }
        assert!(set.is_revoked(&session("b", 1_000)));
        assert!(!set.is_revoked(&session("anybody", 1_001)));
        set.revoke_session_of("c", Timestamp::from_secs(1_010), NOW);
        assert!(
            set.is_revoked(&session("c", 1_010)),
            "of a clock that is ahead"
        );
    }
}

//! Access tokens that are dead before their `exp`.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

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

impl Revocations {
    /// An empty set for tokens that live at most `longest`, leeway included. Holds up to a million
    /// entries.
    pub fn new(longest: Duration) -> Self {
        Self::bounded(longest, 1_000_000)
    }

    /// An empty set of at most `capacity` entries.
    pub fn bounded(longest: Duration, capacity: usize) -> Self {
        let entries = RwLock::default();
        Self(Arc::new(Shared {
            longest,
            capacity,
            any: AtomicBool::new(false),
            entries,
        }))
    }

    /// Kills every token of a session, by its `sid` claim.
    pub fn revoke_session(&self, sid: &str, now: Timestamp) {
        self.0.insert(now, |entries, until| {
            entries.sessions.insert(sid.into(), until)
        });
    }

    /// Kills one token, by its `jti` claim.
    pub fn revoke_token(&self, jti: &str, now: Timestamp) {
        self.0.insert(now, |entries, until| {
            entries.tokens.insert(jti.into(), until)
        });
    }

    /// Kills the tokens of a subject whose `iat` lies before `issued_before`, or is missing.
    ///
    /// `iat` has whole seconds: a token of that same second, but later, dies too.
    pub fn revoke_subject(&self, sub: &str, issued_before: Timestamp, now: Timestamp) {
        self.0.insert(now, |entries, until| {
            let last = entries
                .subjects
                .get(sub)
                .map_or(issued_before, |(last, _)| *last);
            entries
                .subjects
                .insert(sub.into(), (last.max(issued_before), until))
                .map(|it| it.1)
        });
    }

    /// Whether the token of these claims was revoked.
    pub fn is_revoked<C>(&self, claims: &Claims<C>) -> bool {
        self.0.any.load(Ordering::Acquire)
            && self
                .0
                .entries
                .read()
                .unwrap_or_else(PoisonError::into_inner)
                .kill(claims)
    }
}

#[derive(Debug)]
struct Shared {
    longest: Duration,
    capacity: usize,
    any: AtomicBool,
    entries: RwLock<Entries>,
}

impl Shared {
    fn insert(
        &self,
        now: Timestamp,
        add: impl FnOnce(&mut Entries, Timestamp) -> Option<Timestamp>,
    ) {
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= self.capacity {
            entries.retain_after(now);
        }
        if entries.len() < self.capacity {
            add(&mut entries, now.plus(self.longest));
        } else {
            tracing::warn!(
                self.capacity,
                "revocations are full: all tokens so far are refused"
            );
            *entries = Entries {
                all_before: Some(now),
                ..Entries::default()
            };
        }
        self.any.store(true, Ordering::Release);
    }
}

/// What is dead, and until when anybody needs to know.
#[derive(Debug, Default)]
struct Entries {
    sessions: HashMap<Box<str>, Timestamp>,
    tokens: HashMap<Box<str>, Timestamp>,
    subjects: HashMap<Box<str>, (Timestamp, Timestamp)>,
    all_before: Option<Timestamp>,
}

impl Entries {
    fn kill<C>(&self, claims: &Claims<C>) -> bool {
        let older = |than: Timestamp| claims.issued_at().is_none_or(|issued| issued < than);
        claims
            .session_id()
            .is_some_and(|sid| self.sessions.contains_key(sid))
            || claims
                .token_id()
                .is_some_and(|jti| self.tokens.contains_key(jti))
            || claims
                .subject()
                .and_then(|sub| self.subjects.get(sub))
                .is_some_and(|it| older(it.0))
            || self.all_before.is_some_and(older)
    }

    fn len(&self) -> usize {
        self.sessions.len() + self.tokens.len() + self.subjects.len()
    }

    fn retain_after(&mut self, now: Timestamp) {
        self.sessions.retain(|_, until| *until > now);
        self.tokens.retain(|_, until| *until > now);
        self.subjects.retain(|_, (_, until)| *until > now);
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
        set.revoke_session("s", NOW);
        set.revoke_token("t", NOW);
        set.revoke_subject("u", NOW, NOW);
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
        set.revoke_session("c", NOW.plus(Duration::from_secs(61)));
        assert!(set.is_revoked(&session("c", 1_000)));
        assert!(!set.is_revoked(&session("d", 1_000)));
    }

    #[test]
    fn a_set_full_of_the_living_refuses_all_tokens_so_far_rather_than_forget_one() {
        let set = set(2);
        for sid in ["a", "b", "c"] {
            set.revoke_session(sid, NOW);
        }
        assert!(set.is_revoked(&session("a", 999)));
        assert!(set.is_revoked(&session("anybody", 999)));
        assert!(!set.is_revoked(&session("anybody", 1_001)));
    }
}

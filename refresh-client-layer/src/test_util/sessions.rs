use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use super::Counts;
use crate::tokens::TokenSet;

/// Who is signed in, and with what.
pub(super) struct Sessions {
    sessions: Vec<Session>,
    /// The access tokens that count, and until when.
    live: HashMap<String, Instant>,
    pub(super) lifetime: Duration,
    pub(super) honours_keys: bool,
}

struct Session {
    generation: u32,
    /// That of the refresh which made this generation.
    key: Option<String>,
    is_over: bool,
}

impl Default for Sessions {
    fn default() -> Self {
        Self {
            sessions: Vec::new(),
            live: HashMap::new(),
            lifetime: Duration::from_secs(15 * 60),
            honours_keys: true,
        }
    }
}

impl Sessions {
    pub(super) fn begin(&mut self, now: Instant) -> TokenSet {
        self.sessions.push(Session {
            generation: 1,
            key: None,
            is_over: false,
        });
        self.issue(self.sessions.len(), 1, now)
    }

    /// The tokens that replace `token`, `None` if it is refused.
    pub(super) fn rotate(
        &mut self,
        token: &str,
        key: Option<String>,
        now: Instant,
        counts: &mut Counts,
    ) -> Option<TokenSet> {
        let (number, generation) = self.parse(token)?;
        let honours_keys = self.honours_keys;
        let session = &mut self.sessions[number - 1];
        if session.is_over {
            return None;
        }
        if generation == session.generation {
            session.generation += 1;
            session.key = key;
            counts.rotations += 1;
        } else if honours_keys
            && key.is_some()
            && key == session.key
            && generation + 1 == session.generation
        {
            counts.repeats += 1;
        } else {
            counts.reuses += 1;
            self.end_one(number);
            return None;
        }
        let generation = session.generation;
        Some(self.issue(number, generation, now))
    }

    pub(super) fn sign_out(&mut self, token: &str, counts: &mut Counts) {
        if let Some((number, _)) = self.parse(token) {
            counts.sign_outs += 1;
            self.end_one(number);
        }
    }

    pub(super) fn is_live(&self, token: &str, now: Instant) -> bool {
        self.live.get(token).is_some_and(|until| now < *until)
    }

    pub(super) fn expire(&mut self) {
        self.live.clear();
    }

    pub(super) fn end(&mut self) {
        for session in &mut self.sessions {
            session.is_over = true;
        }
        self.expire();
    }

    fn end_one(&mut self, number: usize) {
        self.sessions[number - 1].is_over = true;
        let prefix = format!("access-{number}-");
        self.live.retain(|token, _| !token.starts_with(&prefix));
    }

    fn issue(&mut self, number: usize, generation: u32, now: Instant) -> TokenSet {
        let access = format!("access-{number}-{generation}");
        self.live.insert(access.clone(), now + self.lifetime);
        TokenSet::new(access, format!("refresh-{number}-{generation}")).expires_in(self.lifetime)
    }

    fn parse(&self, token: &str) -> Option<(usize, u32)> {
        let (number, generation) = token.strip_prefix("refresh-")?.split_once('-')?;
        let number = number.parse().ok()?;
        let is_known = (1..=self.sessions.len()).contains(&number);
        Some((number, generation.parse().ok()?)).filter(|_| is_known)
    }
}

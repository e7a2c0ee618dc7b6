use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::dice::{Dice, NOW, first_token, refresh, session, session_id};
use crate::claims::Thumbprint;
use crate::clock::Timestamp;
use crate::refresh_token::{SessionId, TokenHash};
use crate::store::{Dead, Outcome, RevokedBy, Rotated, Rotation, Selection, Session, SessionStore};

/// A generated history of a few sessions: sign-ins, honest and dishonest refreshes, repeats, log-outs
/// and time that passes. Each answer is the one that [`Session::rotate`] gives, and the invariants
/// 1 to 6 hold in what the store says.
pub async fn histories_follow_the_decision(store: &impl SessionStore, seed: u64) {
    let mut history = History::new(seed);
    for step in 0..STEPS {
        history.now = history
            .now
            .plus(Duration::from_millis(history.dice.below(4_000)));
        let at = format!("seed {seed}, step {step}");
        match history.dice.below(20) {
            0 => history.sign_in(store).await,
            1 => history.end(store, &at).await,
            2 => history.list(store, &at).await,
            _ => history.refresh(store, &at).await,
        }
    }
}

const STEPS: u32 = 300;
const OWNERS_KEY: Thumbprint = Thumbprint::from_bytes([1; 32]);
const ANOTHER_KEY: Thumbprint = Thumbprint::from_bytes([2; 32]);

struct History {
    seed: u64,
    dice: Dice,
    now: Timestamp,
    sessions: Vec<Session>,
    tokens: Vec<Token>,
    seen: Seen,
}

/// A token that somebody holds, or could.
#[derive(Clone, Copy)]
struct Token {
    session: SessionId,
    generation: u64,
    hash: TokenHash,
}

impl History {
    fn new(seed: u64) -> Self {
        Self {
            seed,
            dice: Dice(seed),
            now: NOW,
            sessions: Vec::new(),
            tokens: Vec::new(),
            seen: Seen::default(),
        }
    }

    async fn sign_in(&mut self, store: &impl SessionStore) {
        let id = session_id(1_000 + self.seed, self.sessions.len() as u64);
        let subject = self.subject();
        let mut session = session(id, &subject);
        session.created_at = self.now;
        if self.dice.one_in(4) {
            session.client_id = Some("client".to_owned());
        }
        if self.dice.one_in(3) {
            session.jkt = Some(OWNERS_KEY);
        }
        store.insert(session.clone(), None).await.expect("inserted");
        self.sessions.push(session);
        let hash = first_token(id);
        self.tokens.push(Token {
            session: id,
            generation: 0,
            hash,
        });
    }

    async fn refresh(&mut self, store: &impl SessionStore, at: &str) {
        let Some(rotation) = self.rotation() else {
            return;
        };
        let model = self
            .sessions
            .iter_mut()
            .find(|it| it.id == rotation.session);
        let expected = match model {
            Some(session) => session.rotate(&rotation),
            None => Rotated::Dead(Dead::Unknown),
        };
        let answer = store.rotate(rotation.clone()).await.expect("answered");
        assert_eq!(answer, expected, "{at}: {rotation:?}");
        self.seen.check(&rotation, &answer, at);
        if let Rotated::Decided(Outcome::Advanced | Outcome::Replayed, _) = answer {
            self.tokens.push(Token {
                session: rotation.session,
                generation: rotation.generation + 1,
                hash: rotation.child,
            });
        }
    }

    /// Mostly one of the newest tokens, sometimes any, sometimes one that nobody was given.
    fn rotation(&mut self) -> Option<Rotation> {
        let newest = self.tokens.len().saturating_sub(6);
        let from = if self.dice.one_in(4) { 0 } else { newest };
        let token = *self.dice.pick(&self.tokens[from..])?;
        let key = self.dice.below(3);
        let mut rotation = refresh(token.session, token.generation, token.hash, key);
        rotation.now = self.now;
        match self.dice.below(40) {
            0 => rotation.generation += 1 + self.dice.below(2),
            1 => rotation.generation = rotation.generation.saturating_sub(1),
            2 => rotation.presented = rotation.child,
            3 => rotation.session = session_id(9, self.seed),
            4..8 => rotation.repeat_leeway = Duration::from_secs(3),
            8..12 => rotation.user_agent = Some("another browser".to_owned()),
            12 => rotation.ip = Some([127, 0, 0, 1].into()),
            13..17 => rotation.keep_bound = true,
            _ => {}
        }
        if !self.dice.one_in(5) {
            rotation.client_id = Some("client".to_owned());
        }
        rotation.jkt = match self.dice.below(12) {
            0 => None,
            1 => Some(ANOTHER_KEY),
            _ => Some(OWNERS_KEY),
        };
        Some(rotation)
    }

    async fn end(&mut self, store: &impl SessionStore, at: &str) {
        let selection = self.selection();
        let mut expected = Vec::new();
        for session in self.sessions.iter_mut().filter(|it| selection.contains(it)) {
            if session.revoke(RevokedBy::Application, self.now) {
                expected.push(session.clone());
            }
        }
        let ended = store
            .revoke(selection, RevokedBy::Application, self.now)
            .await;
        assert_eq!(
            in_order(ended.expect("revoked")),
            in_order(expected),
            "{at}"
        );
    }

    async fn list(&mut self, store: &impl SessionStore, at: &str) {
        let selection = self.selection();
        let alive = |it: &&Session| selection.contains(it) && it.is_alive(self.now);
        let expected = self.sessions.iter().filter(alive).cloned().collect();
        let listed = store
            .list(selection.clone(), self.now)
            .await
            .expect("listed");
        assert!(
            listed.is_sorted_by(|a, b| a.created_at >= b.created_at),
            "{at}"
        );
        assert_eq!(in_order(listed), in_order(expected), "{at}");
    }

    fn selection(&mut self) -> Selection {
        let one = self
            .dice
            .pick(&self.sessions)
            .map_or(session_id(9, 9), |it| it.id);
        match self.dice.below(8) {
            0 => Selection::Subject(self.subject()),
            1 => Selection::Others {
                subject: self.subject(),
                keep: one,
            },
            _ => Selection::One(one),
        }
    }

    fn subject(&mut self) -> String {
        format!("{} of history {}", self.dice.below(3), self.seed)
    }
}

/// What the store has answered, for the invariants that need no model.
#[derive(Default)]
struct Seen {
    child: HashMap<(SessionId, TokenHashBytes), TokenHash>,
    generation: HashMap<SessionId, u64>,
    reused: HashSet<SessionId>,
}

type TokenHashBytes = [u8; 32];

impl Seen {
    fn check(&mut self, rotation: &Rotation, answer: &Rotated, at: &str) {
        let Rotated::Decided(outcome, after) = answer else {
            return;
        };
        let id = rotation.session;
        assert!(
            !self.reused.contains(&id),
            "{at}: revoked is absorbing, reuse is told once"
        );
        let before = self
            .generation
            .insert(id, after.chain.generation)
            .unwrap_or(0);
        assert!(after.chain.generation >= before, "{at}: a generation fell");
        match outcome {
            Outcome::Advanced | Outcome::Replayed => {
                let parent = (id, *rotation.presented.as_bytes());
                let child = *self.child.entry(parent).or_insert(rotation.child);
                assert_eq!(child, rotation.child, "{at}: a second child for one parent");
            }
            Outcome::Forked | Outcome::Stale => {
                self.reused.insert(id);
            }
            Outcome::Kept => assert_eq!(after.chain.current, rotation.presented, "{at}"),
            Outcome::Late | Outcome::Future => {}
        }
    }
}

fn in_order(mut sessions: Vec<Session>) -> Vec<Session> {
    sessions.sort_by_key(|it| it.id);
    sessions
}

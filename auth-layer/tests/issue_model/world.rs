//! All that can happen: what the parties know, and what each may do next.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use auth_layer::refresh_token::TokenHash;
use auth_layer::store::{Chain, Dead, Outcome, Rotation};
use auth_layer::{SessionId, Timestamp};

use super::Decide;

pub(super) const NOW: Timestamp = Timestamp::from_secs(1_000);
/// Deep enough for every outcome: the oldest of three tokens is late or stale.
const DEEPEST: u8 = 2;
const TABS: usize = 2;
pub(super) const THIEF: u8 = 100;
pub(super) const NO_KEY: u8 = 0;

/// A token is known by its generation and the keys that led to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Token {
    generation: u8,
    keys: [u8; DEEPEST as usize + 1],
}

impl Token {
    fn child(mut self, key: u8) -> Self {
        self.keys[usize::from(self.generation)] = key;
        self.generation += 1;
        self
    }

    fn hash(&self) -> TokenHash {
        let mut bytes = [self.generation; 32];
        bytes[..self.keys.len()].copy_from_slice(&self.keys);
        TokenHash::from_bytes(bytes)
    }
}

/// A token and an idempotency key: what is sent, and what an answer answers.
type Request = (Token, u8);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Answer {
    Child(Token),
    Superseded,
    InvalidGrant,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct State {
    server: Server,
    /// The durable storage that the tabs share: the token, and the key once it was used.
    storage: (Token, u8),
    /// In order, as it does not matter which is which.
    tabs: [Option<Request>; TABS],
    signed_out: bool,
    logged_out: bool,
    stolen: bool,
    /// The key that the thief makes up, if any: not the owner's.
    thief_key: u8,
    thief: BTreeSet<Token>,
    /// Whatever was ever sent may arrive at any time, any number of times, or never.
    requests: BTreeSet<Request>,
    answers: BTreeSet<(Request, Answer)>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Server {
    generation: u64,
    current: [u8; 32],
    previous: Option<[u8; 32]>,
    revoked: bool,
    reuses: u8,
    handled: BTreeSet<Request>,
    children: BTreeMap<Token, Token>,
}

impl State {
    pub(super) fn new(thief_key: u8) -> Self {
        let first = Token::default();
        let server = Server {
            generation: 0,
            current: *first.hash().as_bytes(),
            previous: None,
            revoked: false,
            reuses: 0,
            handled: BTreeSet::new(),
            children: BTreeMap::new(),
        };
        Self {
            server,
            storage: (first, NO_KEY),
            tabs: [None, None],
            signed_out: false,
            logged_out: false,
            stolen: false,
            thief_key,
            thief: BTreeSet::new(),
            requests: BTreeSet::new(),
            answers: BTreeSet::new(),
        }
    }

    pub(super) fn successors(&self, decide: Decide) -> Result<Vec<Self>, String> {
        let mut next = Vec::new();
        for tab in 0..TABS {
            next.extend(self.tab_sends(tab));
            next.extend(self.tab_crashes(tab));
            next.extend(
                self.answers
                    .iter()
                    .filter_map(|it| self.tab_receives(tab, it)),
            );
        }
        next.extend(self.thief_steals());
        next.extend(self.thief_sends());
        next.extend(self.answers.iter().filter_map(|it| self.thief_receives(it)));
        next.extend(self.log_out());
        for request in &self.requests {
            next.extend(self.server_handles(request, decide)?);
        }
        next.iter_mut().for_each(|it| it.tabs.sort());
        Ok(next)
    }

    /// Writes the key beside the token before it sends; a key that is there already is used again.
    fn tab_sends(&self, tab: usize) -> Option<Self> {
        let (token, key) = &self.storage;
        if self.signed_out || self.tabs[tab].is_some() || token.generation >= DEEPEST {
            return None;
        }
        let mut next = self.clone();
        let key = if *key == NO_KEY {
            token.generation + 1
        } else {
            *key
        };
        next.storage.1 = key;
        next.tabs[tab] = Some((*token, key));
        next.requests.insert((*token, key));
        Some(next)
    }

    fn tab_crashes(&self, tab: usize) -> Option<Self> {
        self.tabs[tab].as_ref()?;
        let mut next = self.clone();
        next.tabs[tab] = None;
        Some(next)
    }

    fn tab_receives(&self, tab: usize, (request, answer): &(Request, Answer)) -> Option<Self> {
        if self.tabs[tab].as_ref() != Some(request) {
            return None;
        }
        let mut next = self.clone();
        next.tabs[tab] = None;
        let is_newest = self.storage.0.generation <= request.0.generation;
        match answer {
            Answer::Child(child) if child.generation > self.storage.0.generation => {
                next.storage = (*child, NO_KEY);
            }
            Answer::InvalidGrant if is_newest => next.signed_out = true,
            _ => {}
        }
        Some(next)
    }

    fn thief_steals(&self) -> Option<Self> {
        let mut next = self.clone();
        next.stolen = true;
        (self.storage.0.generation < DEEPEST && next.thief.insert(self.storage.0)).then_some(next)
    }

    fn thief_sends(&self) -> Vec<Self> {
        let usable = self.thief.iter().filter(|it| it.generation < DEEPEST);
        let sent = usable.map(|it| (*it, self.thief_key));
        let new = sent.filter(|it| !self.requests.contains(it));
        new.map(|request| {
            let mut next = self.clone();
            next.requests.insert(request);
            next
        })
        .collect()
    }

    fn thief_receives(&self, (request, answer): &(Request, Answer)) -> Option<Self> {
        let Answer::Child(child) = answer else {
            return None;
        };
        let mut next = self.clone();
        (is_thiefs(request) && next.thief.insert(*child)).then_some(next)
    }

    fn log_out(&self) -> Option<Self> {
        let mut next = self.clone();
        next.logged_out = true;
        next.server.revoked = true;
        (!self.logged_out && !self.server.revoked).then_some(next)
    }

    fn server_handles(&self, request: &Request, decide: Decide) -> Result<Option<Self>, String> {
        let mut next = self.clone();
        let answer = next.server.handle(request, decide)?;
        next.answers.insert((*request, answer));
        if self.server.revoked && !next.server.revoked {
            return Err("R3: revoked is absorbing".to_owned());
        }
        if next.server.generation < self.server.generation {
            return Err("R3: a generation fell".to_owned());
        }
        Ok(Some(next))
    }

    pub(super) fn check(&self, decide: Decide) -> Result<(), String> {
        let known = self
            .requests
            .iter()
            .map(|it| &it.0)
            .chain(&self.thief)
            .chain([&self.storage.0]);
        let known: BTreeSet<_> = known.collect();
        let alive = known.iter().filter(|it| {
            let mut server = self.server.clone();
            matches!(server.rotate(&(***it, 77), decide), Ok(Outcome::Advanced))
        });
        if alive.count() > 1 {
            return Err("R1: two live tokens".to_owned());
        }
        if self.server.reuses > 1 {
            return Err("R4: reuse was told twice".to_owned());
        }
        let out = self.signed_out || (self.server.revoked && !self.logged_out);
        if out && !self.stolen && !self.logged_out {
            return Err("R7: an honest client was signed out".to_owned());
        }
        if self.both_used_one_token() && !self.server.revoked {
            return Err("R8: a thief and the owner both go on".to_owned());
        }
        Ok(())
    }

    fn both_used_one_token(&self) -> bool {
        let handled = &self.server.handled;
        let (thiefs, owners): (Vec<&Request>, Vec<&Request>) =
            handled.iter().partition(|it| is_thiefs(it));
        thiefs
            .iter()
            .any(|theirs| owners.iter().any(|it| it.0 == theirs.0))
    }
}

impl Server {
    fn handle(&mut self, request: &Request, decide: Decide) -> Result<Answer, String> {
        let outcome = self.rotate(request, decide);
        self.handled.insert(*request);
        match outcome {
            Ok(Outcome::Advanced | Outcome::Replayed) => {
                let child = request.0.child(request.1);
                let first = self.children.entry(request.0).or_insert(child);
                if *first != child {
                    return Err("R2: a second child for one parent".to_owned());
                }
                Ok(Answer::Child(child))
            }
            Ok(Outcome::Late) => Ok(Answer::Superseded),
            Ok(Outcome::Forked | Outcome::Stale) => {
                self.reuses += 1;
                Ok(Answer::InvalidGrant)
            }
            Ok(Outcome::Kept) => unreachable!("no session here is bound to a key"),
            Ok(Outcome::Future) | Err(_) => Ok(Answer::InvalidGrant),
        }
    }

    fn rotate(&mut self, (token, key): &Request, decide: Decide) -> Result<Outcome, Dead> {
        let day = Duration::from_secs(24 * 3600);
        let mut chain = Chain::new(TokenHash::from_bytes(self.current), NOW, day, day);
        chain.generation = self.generation;
        chain.previous = self.previous.map(TokenHash::from_bytes);
        chain.revoked_at = self.revoked.then_some(NOW);
        let (id, child) = (SessionId::from_bytes([0; 16]), token.child(*key));
        let generation = token.generation.into();
        let mut rotation = Rotation::new(id, generation, token.hash(), child.hash(), NOW);
        rotation.keyed = *key != NO_KEY;
        let outcome = decide(&mut chain, &rotation);
        self.generation = chain.generation;
        self.current = *chain.current.as_bytes();
        self.previous = chain.previous.map(|it| *it.as_bytes());
        self.revoked = chain.revoked_at.is_some();
        outcome
    }
}

fn is_thiefs(request: &Request) -> bool {
    request.1 == THIEF || request.1 == NO_KEY
}

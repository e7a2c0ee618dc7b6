//! The real issuer, with real tokens: a function of a row, a token and a key.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use auth_layer::clock::ManualClock;
use auth_layer::issue::{NewSession, RefreshErrorKind, RefreshRequest, SessionEvent};
use auth_layer::store::{
    Chain, Dead, Outcome, RevokedBy, Rotated, Rotation, Selection, Session, SessionStore,
    StoreError,
};
use auth_layer::{
    Algorithm, IdempotencyKey, RefreshSecrets, RefreshToken, SigningKey, SigningKeys, Timestamp,
    TokenIssuer,
};
use tokio::runtime::Runtime;

use crate::message::{Answer, Key, Request, Token};

pub(crate) type Decide = fn(&mut Chain, &Rotation) -> Result<Outcome, Dead>;

pub(crate) const NOW: Timestamp = Timestamp::from_secs(1_000_000);

/// A state of the session's row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Row(u8);

/// What became of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Handled {
    pub(crate) row: Row,
    pub(crate) answer: Answer,
    pub(crate) advances: bool,
    pub(crate) tells_reuse: bool,
}

pub(crate) struct Server {
    runtime: Runtime,
    issuer: TokenIssuer,
    shelf: Shelf,
    events: Arc<Mutex<Vec<SessionEvent>>>,
    rows: Vec<Chain>,
    tokens: Vec<RefreshToken>,
    handled: HashMap<(Row, Request), Handled>,
    forged: HashMap<(Row, Token), Handled>,
    ended: HashMap<Row, Row>,
}

impl Server {
    /// With a session that has just begun.
    pub(crate) fn new(decide: Decide) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        let shelf = Shelf::new(decide);
        let events = Arc::new(Mutex::new(Vec::new()));
        let told = events.clone();
        let key = SigningKey::from_secret(Algorithm::HS256, &[1; 32]).unwrap();
        let secrets = RefreshSecrets::new(&[2; 32]).unwrap();
        let issuer = TokenIssuer::builder(SigningKeys::new(key), secrets, shelf.clone())
            .issuer("https://auth.example")
            .audience("https://api.example")
            .clock(ManualClock::at(NOW))
            .without_cleanup()
            .on_event(move |event| told.lock().unwrap().push(event.clone()))
            .build()
            .unwrap();
        let start = issuer.start(NewSession::new("alice"));
        let pair = runtime.block_on(start).unwrap();
        Self {
            rows: vec![shelf.session().chain],
            tokens: vec![pair.refresh_token().clone()],
            handled: HashMap::new(),
            forged: HashMap::new(),
            ended: HashMap::new(),
            runtime,
            issuer,
            shelf,
            events,
        }
    }

    pub(crate) const FIRST_ROW: Row = Row(0);
    pub(crate) const FIRST_TOKEN: Token = Token {
        generation: 0,
        name: 0,
    };

    pub(crate) fn handle(&mut self, row: Row, request: Request) -> Handled {
        if let Some(known) = self.handled.get(&(row, request)) {
            return *known;
        }
        let (token, key) = request;
        let presented = self.tokens[usize::from(token.name)].clone();
        let handled = self.present(row, token.generation, presented, key);
        self.handled.insert((row, request), handled);
        handled
    }

    /// A token like this one, but for one bit of its tag.
    pub(crate) fn handle_forged(&mut self, row: Row, token: Token) -> Handled {
        if let Some(known) = self.forged.get(&(row, token)) {
            return *known;
        }
        let mut text = self.tokens[usize::from(token.name)].expose().to_owned();
        let last = text.len() - 2;
        let other = if &text[last..=last] == "A" { "B" } else { "A" };
        text.replace_range(last..=last, other);
        let handled = self.present(row, token.generation, text.into(), None);
        self.forged.insert((row, token), handled);
        handled
    }

    /// A log-out with whatever token.
    pub(crate) fn log_out(&mut self, row: Row) -> Row {
        if let Some(known) = self.ended.get(&row) {
            return *known;
        }
        self.shelf.put(self.chain(row));
        let token = &self.tokens[0];
        self.runtime.block_on(self.issuer.revoke(token)).unwrap();
        let ended = self.row();
        self.ended.insert(row, ended);
        ended
    }

    pub(crate) fn chain(&self, row: Row) -> Chain {
        self.rows[usize::from(row.0)]
    }

    pub(crate) fn is_revoked(&self, row: Row) -> bool {
        self.chain(row).revoked_at.is_some()
    }

    /// How many requests it really had to answer.
    pub(crate) fn cases(&self) -> usize {
        self.handled.len()
    }

    fn present(
        &mut self,
        row: Row,
        generation: u8,
        token: RefreshToken,
        key: Option<Key>,
    ) -> Handled {
        self.shelf.put(self.chain(row));
        self.events.lock().unwrap().clear();
        let key = key.map(|it| IdempotencyKey::new([it.0; 32]).unwrap());
        let request = RefreshRequest::new(token).idempotency_key(key);
        let answer = match self.runtime.block_on(self.issuer.refresh(request)) {
            Ok(pair) => Answer::Child(self.name(generation + 1, pair.refresh_token())),
            Err(error) => match error.kind() {
                RefreshErrorKind::Superseded => Answer::Superseded,
                RefreshErrorKind::Unavailable => panic!("it never is: {error}"),
                _ => Answer::InvalidGrant,
            },
        };
        let row = self.row();
        let events = self.events.lock().unwrap();
        let told = |is: fn(&SessionEvent) -> bool| events.iter().any(is);
        Handled {
            row,
            answer,
            advances: told(|it| matches!(it, SessionEvent::Refreshed { .. })),
            tells_reuse: told(|it| matches!(it, SessionEvent::ReuseDetected { .. })),
        }
    }

    fn name(&mut self, generation: u8, token: &RefreshToken) -> Token {
        let is_it = |it: &RefreshToken| it.expose() == token.expose();
        let name = self.tokens.iter().position(is_it).unwrap_or_else(|| {
            self.tokens.push(token.clone());
            self.tokens.len() - 1
        });
        let name = u8::try_from(name).unwrap();
        Token { generation, name }
    }

    fn row(&mut self) -> Row {
        let chain = self.shelf.session().chain;
        let row = self.rows.iter().position(|it| *it == chain);
        let row = row.unwrap_or_else(|| {
            self.rows.push(chain);
            self.rows.len() - 1
        });
        Row(u8::try_from(row).unwrap())
    }
}

/// Room for one session, whose tokens are decided upon as the test likes.
#[derive(Clone)]
struct Shelf {
    decide: Decide,
    session: Arc<Mutex<Option<Session>>>,
}

impl Shelf {
    fn new(decide: Decide) -> Self {
        Self {
            decide,
            session: Arc::default(),
        }
    }

    fn session(&self) -> Session {
        self.session.lock().unwrap().clone().unwrap()
    }

    fn put(&self, chain: Chain) {
        self.session.lock().unwrap().as_mut().unwrap().chain = chain;
    }
}

impl SessionStore for Shelf {
    async fn insert(&self, session: Session, _: Option<u64>) -> Result<(), StoreError> {
        *self.session.lock().unwrap() = Some(session);
        Ok(())
    }

    async fn epoch(&self, _: &str) -> Result<u64, StoreError> {
        Ok(0)
    }

    async fn rotate(&self, rotation: Rotation) -> Result<Rotated, StoreError> {
        let mut session = self.session();
        let decided = (self.decide)(&mut session.chain, &rotation);
        self.put(session.chain);
        Ok(match decided {
            Ok(outcome) => Rotated::Decided(outcome, session),
            Err(dead) => Rotated::Dead(dead),
        })
    }

    async fn revoke(
        &self,
        _: Selection,
        by: RevokedBy,
        now: Timestamp,
    ) -> Result<Vec<Session>, StoreError> {
        let mut session = self.session.lock().unwrap();
        let session = session.as_mut().unwrap();
        let was_alive = session.revoke(by, now);
        Ok(was_alive.then(|| session.clone()).into_iter().collect())
    }

    async fn list(&self, _: Selection, _: Timestamp) -> Result<Vec<Session>, StoreError> {
        Ok(vec![self.session()])
    }
}

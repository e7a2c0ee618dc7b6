use std::collections::HashMap;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::Full;
use refresh_client_layer::{
    RefreshError, RefreshErrorKind, RefreshRequest, RefreshToken, Refresher, TokenSet,
};
use tower::Service;

use super::chance::Chance;

/// The token server and the API, with what they have seen.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) chance: Chance,
    book: Arc<Mutex<Book>>,
}

/// Which session, and which of its tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Name {
    pub(crate) session: usize,
    pub(crate) number: usize,
}

#[derive(Default)]
pub(crate) struct Book {
    sessions: Vec<Session>,
    /// How many calls are on their way with this refresh token.
    under_way: HashMap<Name, usize>,
    /// What each request to the API has carried last.
    carried: Vec<Option<Name>>,
    pub(crate) rules: Rules,
    pub(crate) faults: Vec<String>,
}

/// What this run allows.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rules {
    /// How many may send one token at the same time.
    pub(crate) senders: usize,
    pub(crate) loses_messages: bool,
    pub(crate) api_refuses_all: bool,
}

#[derive(Default)]
struct Session {
    /// With which key each token was rotated.
    rotated: Vec<Option<String>>,
    /// The API refuses access tokens below this number.
    expired: usize,
    stored: usize,
    is_revoked: bool,
}

impl Server {
    pub(crate) fn new(chance: Chance, rules: Rules) -> Self {
        let book = Book {
            rules,
            ..Book::default()
        };
        Self {
            chance,
            book: Arc::new(Mutex::new(book)),
        }
    }

    pub(crate) fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap()
    }

    async fn loses_message(&self) -> bool {
        self.chance.stumble().await;
        self.book().rules.loses_messages && self.chance.one_in(4)
    }
}

impl Book {
    pub(crate) fn log_in(&mut self) -> Name {
        self.sessions.push(Session::default());
        Name {
            session: self.sessions.len() - 1,
            number: 0,
        }
    }

    /// All access tokens so far die.
    pub(crate) fn expire(&mut self) {
        for session in &mut self.sessions {
            session.expired = session.rotated.len() + 1;
        }
    }

    pub(crate) fn revoke(&mut self, session: usize) {
        self.sessions[session].is_revoked = true;
    }

    pub(crate) fn is_revoked(&self, session: usize) -> bool {
        self.sessions[session].is_revoked
    }

    pub(crate) fn stored(&mut self, name: Name) {
        let stored = &mut self.sessions[name.session].stored;
        *stored = name.number.max(*stored);
    }

    pub(crate) fn rotations(&self) -> usize {
        self.sessions.iter().map(|it| it.rotated.len()).sum()
    }

    pub(crate) fn newest(&self, session: usize) -> usize {
        self.sessions[session].rotated.len()
    }

    pub(crate) fn expect(&mut self, is_so: bool, law: impl FnOnce() -> String) {
        if !is_so {
            self.faults.push(law());
        }
    }

    pub(crate) fn next_request(&mut self) -> usize {
        self.carried.push(None);
        self.carried.len() - 1
    }

    fn departs(&mut self, name: Name) {
        let under_way = self.under_way.entry(name).or_default();
        *under_way += 1;
        let is_alone = *under_way <= self.rules.senders;
        self.expect(is_alone, || format!("C1: {name:?} is sent by several"));
    }

    /// The state machine of the protocol; a server without keys is the case of no key.
    fn rotate(&mut self, name: Name, key: Option<&str>) -> Result<Name, RefreshErrorKind> {
        let session = &mut self.sessions[name.session];
        if session.is_revoked {
            return Err(RefreshErrorKind::Refused);
        }
        let newest = session.rotated.len();
        let is_repeat = key.is_some()
            && session
                .rotated
                .get(name.number)
                .is_some_and(|it| it.as_deref() == key);
        if name.number == newest {
            session.rotated.push(key.map(str::to_owned));
        } else if is_repeat && name.number + 1 < newest {
            return Err(RefreshErrorKind::Superseded);
        } else if !is_repeat {
            session.is_revoked = true;
            self.faults.push(format!("C16: {name:?} is used twice"));
            return Err(RefreshErrorKind::Refused);
        }
        Ok(Name {
            number: name.number + 1,
            ..name
        })
    }

    fn judge(&mut self, headers: &HeaderMap) -> StatusCode {
        let text = |name| headers.get(name).and_then(|it| it.to_str().ok());
        let (Some(token), Some(request)) = (text("authorization"), text(REQUEST)) else {
            return StatusCode::UNAUTHORIZED;
        };
        let name = Name::of(token);
        let before = self.carried[request.parse::<usize>().unwrap()].replace(name);
        let is_newer = before
            .is_none_or(|before| before.session == name.session && before.number < name.number);
        self.expect(is_newer, || {
            format!("C2, C21: {name:?} is sent after {before:?}")
        });
        let session = &self.sessions[name.session];
        let is_dead = session.is_revoked || name.number < session.expired;
        let is_good = !is_dead && !self.rules.api_refuses_all;
        let is_stored = name.number <= session.stored;
        self.expect(is_stored, || {
            format!("{name:?} is used before it is stored")
        });
        match is_good {
            true => StatusCode::OK,
            false => StatusCode::UNAUTHORIZED,
        }
    }
}

impl Name {
    pub(crate) fn of(token: &str) -> Self {
        let mut parts = token.split('-').skip(1).map(|it| it.parse().unwrap());
        Self {
            session: parts.next().unwrap(),
            number: parts.next().unwrap(),
        }
    }

    pub(crate) fn tokens(self) -> TokenSet {
        let Self { session, number } = self;
        TokenSet::new(
            format!("access-{session}-{number}"),
            format!("refresh-{session}-{number}"),
        )
    }
}

impl Refresher for Server {
    async fn refresh(&self, request: RefreshRequest) -> Result<TokenSet, RefreshError> {
        let name = Name::of(request.refresh_token().secret());
        self.book().departs(name);
        let answer = self.answer(name, request).await;
        if let Some(under_way) = self.book().under_way.get_mut(&name) {
            *under_way -= 1;
        }
        answer
            .map(Name::tokens)
            .map_err(|kind| RefreshError::new(kind, "as the run wants"))
    }

    async fn revoke(&self, token: RefreshToken) -> Result<(), RefreshError> {
        self.chance.stumble().await;
        self.book().revoke(Name::of(token.secret()).session);
        self.chance.stumble().await;
        Ok(())
    }
}

impl Server {
    async fn answer(&self, name: Name, request: RefreshRequest) -> Result<Name, RefreshErrorKind> {
        let key = request.idempotency_key().map(|key| key.secret());
        if self.loses_message().await {
            return Err(RefreshErrorKind::Transient);
        }
        let answer = self.book().rotate(name, key);
        // Without a key a lost answer is the end, which is no fault of the client.
        if self.loses_message().await && key.is_some() {
            return Err(RefreshErrorKind::Transient);
        }
        answer
    }
}

impl Service<Request<Full<Bytes>>> for Server {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Full<Bytes>>) -> Self::Future {
        let server = self.clone();
        Box::pin(async move {
            server.chance.stumble().await;
            let status = server.book().judge(request.headers());
            server.chance.stumble().await;
            let mut response = Response::new(Full::default());
            *response.status_mut() = status;
            Ok(response)
        })
    }
}

/// The header that says which request it is.
pub(crate) const REQUEST: &str = "x-request";

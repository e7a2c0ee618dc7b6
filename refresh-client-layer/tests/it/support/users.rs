//! Many users of one token server that ends a session whose refresh token comes twice.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use refresh_client_layer::{
    LoadError, LoadErrorKind, MemoryStore, RefreshError, RefreshErrorKind, RefreshRequest,
    Refresher, SessionKey, SessionLoader, StoreError, StoredTokens, TokenManager,
    TokenManagerBuilder, TokenSet, TokenStore, Version,
};
use tower::Service;

use super::{Body, ORIGIN, URL};

use crate::support::records::Records as _;

pub(crate) type User = u32;

/// User 7 begins with access-7-1 and refresh-7-1.
#[derive(Clone, Default)]
pub(crate) struct Users {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    stores: Mutex<HashMap<User, Store>>,
    generations: Mutex<HashMap<User, u32>>,
    delays: Mutex<HashMap<User, Duration>>,
    loads: Mutex<Vec<User>>,
    load_delay: Mutex<Duration>,
    load_error: Mutex<Option<LoadErrorKind>>,
    seen: Mutex<Vec<Option<String>>>,
    refreshes: AtomicU32,
    reuses: AtomicU32,
    at_once: AtomicU32,
    most_at_once: AtomicU32,
}

/// Each user's own, which can be broken.
#[derive(Clone, Default)]
pub(crate) struct Store {
    kept: MemoryStore,
    is_broken: Arc<AtomicBool>,
}

impl Users {
    /// Users whose first access tokens live for `lifetime`.
    pub(crate) async fn new(users: impl IntoIterator<Item = User>, lifetime: Duration) -> Self {
        let all = Self::default();
        for user in users {
            let tokens = tokens(user, 1).expires_in(lifetime);
            all.store(user).kept.save(&tokens).await.unwrap();
            all.shared.generations.lock().unwrap().insert(user, 1);
        }
        all
    }

    pub(crate) fn store(&self, user: User) -> Store {
        let mut stores = self.shared.stores.lock().unwrap();
        stores.entry(user).or_default().clone()
    }

    pub(crate) fn session(&self, store: impl TokenStore) -> TokenManagerBuilder {
        TokenManager::builder(self.clone())
            .store(store)
            .origin(ORIGIN)
    }

    pub(crate) fn delay(&self, user: User, delay: Duration) {
        self.shared.delays.lock().unwrap().insert(user, delay);
    }

    pub(crate) fn delay_loads(&self, delay: Duration) {
        *self.shared.load_delay.lock().unwrap() = delay;
    }

    pub(crate) fn fail_loads(&self, kind: Option<LoadErrorKind>) {
        *self.shared.load_error.lock().unwrap() = kind;
    }

    pub(crate) fn loads(&self) -> Vec<User> {
        self.shared.loads.lock().unwrap().clone()
    }

    /// What the API was sent as authorization.
    pub(crate) fn seen(&self) -> Vec<Option<String>> {
        std::mem::take(&mut self.shared.seen.lock().unwrap())
    }

    pub(crate) fn refreshes(&self) -> u32 {
        self.shared.refreshes.load(Ordering::SeqCst)
    }

    pub(crate) fn reuses(&self) -> u32 {
        self.shared.reuses.load(Ordering::SeqCst)
    }

    pub(crate) fn most_at_once(&self) -> u32 {
        self.shared.most_at_once.load(Ordering::SeqCst)
    }

    fn rotate(&self, token: &str) -> Result<TokenSet, RefreshError> {
        let mut parts = token.split('-').skip(1).map(|part| part.parse().unwrap());
        let (user, generation): (User, u32) = (parts.next().unwrap(), parts.next().unwrap());
        let mut generations = self.shared.generations.lock().unwrap();
        let current = generations.get_mut(&user).unwrap();
        if *current != generation {
            self.shared.reuses.fetch_add(1, Ordering::SeqCst);
            *current = 0;
            return Err(RefreshError::new(RefreshErrorKind::Refused, "used before"));
        }
        *current += 1;
        Ok(tokens(user, *current).expires_in(Duration::from_secs(3600)))
    }
}

fn tokens(user: User, generation: u32) -> TokenSet {
    TokenSet::new(
        format!("access-{user}-{generation}"),
        format!("refresh-{user}-{generation}"),
    )
}

impl Refresher for Users {
    async fn refresh(&self, request: RefreshRequest) -> Result<TokenSet, RefreshError> {
        let shared = &self.shared;
        shared.refreshes.fetch_add(1, Ordering::SeqCst);
        let at_once = shared.at_once.fetch_add(1, Ordering::SeqCst) + 1;
        shared.most_at_once.fetch_max(at_once, Ordering::SeqCst);
        let token = request.refresh_token().secret();
        let user = token.split('-').nth(1).unwrap().parse().unwrap();
        let delay = shared.delays.lock().unwrap().get(&user).copied();
        if let Some(delay) = delay {
            tokio::time::sleep(delay).await;
        }
        let rotated = self.rotate(token);
        shared.at_once.fetch_sub(1, Ordering::SeqCst);
        rotated
    }
}

impl SessionLoader<User> for Users {
    async fn load(&self, user: User) -> Result<Option<TokenManagerBuilder>, LoadError> {
        self.shared.loads.lock().unwrap().push(user);
        let delay = *self.shared.load_delay.lock().unwrap();
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        let error = *self.shared.load_error.lock().unwrap();
        if let Some(kind) = error {
            return Err(LoadError::new(kind, "as the test wants"));
        }
        let is_known = self.shared.stores.lock().unwrap().contains_key(&user);
        Ok(is_known.then(|| self.session(self.store(user))))
    }
}

/// The API lets everybody in, and remembers whom.
impl Service<Request<Body>> for Users {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let token = request.headers().get("authorization");
        let token = token.map(|value| value.to_str().unwrap().to_owned());
        let mut response = Response::new(Body::from(token.clone().unwrap_or_default()));
        if token.is_none() {
            *response.status_mut() = http::StatusCode::UNAUTHORIZED;
        }
        self.shared.seen.lock().unwrap().push(token);
        ready(Ok(response))
    }
}

impl Store {
    pub(crate) fn set_broken(&self, is_broken: bool) {
        self.is_broken.store(is_broken, Ordering::SeqCst);
    }

    fn check(&self) -> Result<(), StoreError> {
        match self.is_broken.load(Ordering::SeqCst) {
            true => Err("as the test wants".into()),
            false => Ok(()),
        }
    }

    pub(crate) async fn access_token(&self) -> Option<String> {
        let stored = self.kept.load().await.unwrap()?;
        Some(stored.tokens().access_token().secret().to_owned())
    }
}

impl TokenStore for Store {
    async fn load(&self) -> Result<Option<StoredTokens>, StoreError> {
        self.check()?;
        self.kept.load().await
    }

    async fn replace(
        &self,
        seen: Option<&Version>,
        new: Option<&StoredTokens>,
    ) -> Result<Option<StoredTokens>, StoreError> {
        self.check()?;
        self.kept.replace(seen, new).await
    }
}

pub(crate) fn request_of(user: User) -> Request<Body> {
    let request = Request::get(URL).extension(SessionKey(user));
    request.body(Body::default()).unwrap()
}

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use super::TokenManager;
use super::build_error::{BuildError, BuildErrorKind};
use super::shared::{Settings, Shared};
use super::state::{Session, State};
use crate::clock::Now;
use crate::event::{Announcer, Callback, Event};
use crate::origin::{InvalidOrigin, Origin, Origins};
use crate::refresh::{AnyRefresher, Refresher};
use crate::store::{AnyStore, MemoryStore, TokenStore};
use crate::tokens::TokenSet;

/// Configures a [`TokenManager`].
pub struct TokenManagerBuilder {
    refresher: AnyRefresher,
    refresher_origin: Result<Option<Origin>, InvalidOrigin>,
    tokens: Option<TokenSet>,
    origins: Vec<Result<Origin, InvalidOrigin>>,
    store: Option<AnyStore>,
    callback: Option<Callback>,
    runtime: Option<Handle>,
    attempt_timeout: Duration,
    wait_timeout: Duration,
    sends_key: bool,
    refreshes_early: bool,
    store_timeout: Option<Duration>,
}

impl TokenManagerBuilder {
    pub(super) fn new(refresher: impl Refresher) -> Self {
        Self {
            refresher_origin: refresher.origin(),
            refresher: AnyRefresher::new(refresher),
            tokens: None,
            origins: Vec::new(),
            store: None,
            callback: None,
            runtime: None,
            attempt_timeout: Duration::from_secs(30),
            wait_timeout: Duration::from_secs(45),
            sends_key: true,
            refreshes_early: true,
            store_timeout: None,
        }
    }

    /// The tokens to begin with if the store has none. Tokens of a store win, since they are the
    /// children of those that a program was once started with; to begin a new session, call
    /// [`sign_in`](TokenManager::sign_in).
    #[must_use]
    pub fn tokens(mut self, tokens: TokenSet) -> Self {
        self.tokens = Some(tokens);
        self
    }

    /// An origin that may see the access token, written `https://host[:port]`; can be called more
    /// than once. By default it is the origin of the refresh endpoint alone.
    #[must_use]
    pub fn origin(mut self, origin: impl AsRef<str>) -> Self {
        let origin = Origin::parse(origin.as_ref()).and_then(Origin::confidential);
        self.origins.push(origin);
        self
    }

    /// An origin that may see the access token even though everybody on the way can read it:
    /// `http` to another machine.
    #[must_use]
    pub fn dangerously_plain_origin(mut self, origin: impl AsRef<str>) -> Self {
        self.origins.push(Origin::parse(origin.as_ref()));
        self
    }

    /// Where the session lives while the program does not run; by default nowhere.
    ///
    /// The manager loads it before the first request and at each refresh. Where nobody is signed in, or the
    /// session is over, it looks for a new sign-in when it is asked for a token, at most once a second.
    #[must_use]
    pub fn store(mut self, store: impl TokenStore) -> Self {
        self.store = Some(AnyStore::new(store));
        self
    }

    /// Calls `callback` with each [`Event`], besides [`TokenManager::events`], one at a time and in their
    /// order. Waiters go on once it has returned, unless it is still at an earlier event; so it should be
    /// quick.
    #[must_use]
    pub fn on_event(mut self, callback: impl Fn(Event) + Send + Sync + 'static) -> Self {
        self.callback = Some(Arc::new(callback));
        self
    }

    /// Runs refreshes on this runtime; by default on that of whoever needs one first.
    #[must_use]
    pub fn runtime(mut self, handle: Handle) -> Self {
        self.runtime = Some(handle);
        self
    }

    /// How long one refresh may take; 30 seconds by default.
    #[must_use]
    pub fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.attempt_timeout = timeout;
        self
    }

    /// How long a request waits for a token; 45 seconds by default.
    #[must_use]
    pub fn wait_timeout(mut self, timeout: Duration) -> Self {
        self.wait_timeout = timeout;
        self
    }

    /// How long one call of the store may take; 10 seconds by default. A keychain that asks its user for a
    /// password needs longer.
    #[must_use]
    pub fn store_timeout(mut self, timeout: Duration) -> Self {
        self.store_timeout = Some(timeout);
        self
    }

    /// Refreshes only when a request has to wait for a new token. By default a refresh also starts in the
    /// background, up to 60 seconds before the token expires, so that no request waits.
    ///
    /// For a program that may end at any moment, as a command does: its last act might be the start of a
    /// refresh whose answer never arrives. [`flush`](TokenManager::flush) waits for such a refresh.
    #[must_use]
    pub fn without_early_refresh(mut self) -> Self {
        self.refreshes_early = false;
        self
    }

    /// Sends no `Idempotency-Key`, for a server that stumbles over the header.
    ///
    /// A server that ignores it needs no such setting: a key is relied on only once the server has said that
    /// it honours keys ([`TokenSet::idempotent`](crate::TokenSet::idempotent)). Without that nothing helps against a lost answer: the server
    /// cannot tell the repeat from a theft, and if it detects reuse, the session is over.
    #[must_use]
    pub fn without_idempotency_key(mut self) -> Self {
        self.sends_key = false;
        self
    }

    /// Builds the manager. Nothing is sent or loaded until a token is needed.
    ///
    /// # Errors
    ///
    /// If a URL is none, or plain `http` to another machine; if nobody may see the access token; or
    /// if a header cannot carry it.
    pub fn build(self) -> Result<TokenManager, BuildError> {
        let origins = allowed(self.origins, self.refresher_origin)?;
        let tokens = self.tokens.as_ref();
        if tokens.is_some_and(|tokens| tokens.check().is_err()) {
            return Err(BuildErrorKind::Tokens.into());
        }
        let now = Now::read();
        let mut state = State::new(Session::Empty);
        match (&self.store, self.tokens) {
            (Some(_), tokens) => {
                let given = tokens.map(|tokens| tokens.pinned(now.wall));
                state.session = Session::Unloaded(given);
            }
            (None, Some(tokens)) => state.begin(tokens, now),
            (None, None) => {}
        }
        state.is_shared = self.store.is_some();
        let store = self
            .store
            .unwrap_or_else(|| AnyStore::new(MemoryStore::new()));
        let store = match self.store_timeout {
            Some(timeout) => store.with_patience(timeout),
            None => store,
        };
        let settings = Settings {
            origins,
            runtime: self.runtime,
            attempt_timeout: self.attempt_timeout,
            wait_timeout: self.wait_timeout,
            sends_key: self.sends_key,
            refreshes_early: self.refreshes_early,
        };
        let announcer = Announcer::new(self.callback, KEPT);
        let shared = Shared::new(state, self.refresher, store, announcer, settings);
        Ok(TokenManager::new(shared))
    }
}

/// What makes it one of many.
impl TokenManagerBuilder {
    pub(crate) fn has_store(&self) -> bool {
        self.store.is_some()
    }

    pub(crate) fn wrap_refresher(
        mut self,
        wrap: impl FnOnce(AnyRefresher) -> AnyRefresher,
    ) -> Self {
        self.refresher = wrap(self.refresher);
        self
    }

    pub(crate) fn also_tell(mut self, also: impl Fn(Event) + Send + Sync + 'static) -> Self {
        let own = self.callback.take();
        self.callback = Some(Arc::new(move |event| {
            also(event);
            if let Some(own) = &own {
                own(event);
            }
        }));
        self
    }

    pub(crate) fn runtime_or(mut self, runtime: Option<Handle>) -> Self {
        self.runtime = self.runtime.or(runtime);
        self
    }
}

impl fmt::Debug for TokenManagerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenManagerBuilder")
            .field("tokens", &self.tokens)
            .field("origins", &self.origins)
            .finish_non_exhaustive()
    }
}

fn allowed(
    given: Vec<Result<Origin, InvalidOrigin>>,
    refresher: Result<Option<Origin>, InvalidOrigin>,
) -> Result<Origins, BuildError> {
    let refresher =
        refresher.map_err(|why| BuildError::because(BuildErrorKind::RefreshUrl, why))?;
    let mut origins = Origins::default();
    for origin in given {
        origins.add(origin.map_err(|why| BuildError::because(BuildErrorKind::Origin, why))?);
    }
    if origins.is_empty() {
        origins.add(refresher.ok_or(BuildErrorKind::NoOrigin)?);
    }
    Ok(origins)
}

/// How far a slow receiver of events may fall behind.
const KEPT: usize = 64;

use std::fmt;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use super::TokenManagers;
use super::family::Families;
use super::load::{AnyLoader, Shared};
use super::loader::SessionLoader;
use super::shelves::Shelves;
use crate::event::{Announcer, Callback, Event};

/// Configures [`TokenManagers`].
pub struct TokenManagersBuilder<K> {
    loader: AnyLoader<K>,
    callback: Option<Callback<(K, Event)>>,
    runtime: Option<Handle>,
    capacity: usize,
    idle_after: Duration,
    load_timeout: Duration,
}

impl<K> TokenManagersBuilder<K>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
{
    pub(super) fn new(loader: impl SessionLoader<K>) -> Self {
        Self {
            loader: AnyLoader::new(loader),
            callback: None,
            runtime: None,
            capacity: 10_000,
            idle_after: Duration::from_secs(15 * 60),
            load_timeout: Duration::from_secs(30),
        }
    }

    /// How many sessions to keep; 10,000 by default, at least 1.
    ///
    /// Sessions in use, and those that their stores have not taken yet, may be as many again. Beyond
    /// that, requests for further keys fail with
    /// [`TooManySessions`](crate::UnavailableKind::TooManySessions).
    #[must_use]
    pub fn capacity(mut self, sessions: usize) -> Self {
        self.capacity = sessions.max(1);
        self
    }

    /// How long a session that nobody uses is kept; 15 minutes by default. It is put away when one of
    /// its neighbours is next looked for.
    #[must_use]
    pub fn idle_after(mut self, idle: Duration) -> Self {
        self.idle_after = idle;
        self
    }

    /// How long a request waits for its session to be loaded; 30 seconds by default.
    #[must_use]
    pub fn load_timeout(mut self, timeout: Duration) -> Self {
        self.load_timeout = timeout;
        self
    }

    /// Calls `callback` with each [`Event`] and the key of its session, besides
    /// [`TokenManagers::events`]. It should be quick, as
    /// [that of one session](crate::TokenManagerBuilder::on_event).
    #[must_use]
    pub fn on_event(mut self, callback: impl Fn(&K, Event) + Send + Sync + 'static) -> Self {
        self.callback = Some(Arc::new(move |(key, event)| callback(&key, event)));
        self
    }

    /// Runs refreshes on this runtime, unless the loader gives another; by default on that of whoever
    /// needs one first.
    #[must_use]
    pub fn runtime(mut self, handle: Handle) -> Self {
        self.runtime = Some(handle);
        self
    }

    /// Builds the managers. Nothing is loaded until a key is seen.
    pub fn build(self) -> TokenManagers<K> {
        TokenManagers {
            shared: Arc::new(Shared {
                shelves: Shelves::new(self.capacity, self.idle_after),
                loader: self.loader,
                families: Arc::new(Families::new()),
                announcer: Arc::new(Announcer::new(self.callback, KEPT)),
                runtime: self.runtime,
                load_timeout: self.load_timeout,
            }),
        }
    }
}

impl<K> fmt::Debug for TokenManagersBuilder<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenManagersBuilder")
            .field("capacity", &self.capacity)
            .field("idle_after", &self.idle_after)
            .field("load_timeout", &self.load_timeout)
            .finish_non_exhaustive()
    }
}

/// How far a slow receiver of events may fall behind.
const KEPT: usize = 1024;

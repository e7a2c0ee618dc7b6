//! Many sessions at once, for programs that act for many users.

mod builder;
mod family;
mod load;
mod loader;
mod sessions;
mod shelf;
mod shelves;

use std::fmt;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;

pub use self::builder::TokenManagersBuilder;
pub use self::loader::{LoadError, LoadErrorKind, SessionLoader};

pub(crate) use self::load::Loaded;
pub(crate) use self::sessions::{Picked, Picking, Sessions};

use self::load::Shared;
use crate::event::{EndReason, Event, Events};
use crate::manager::{RefreshUnavailable, SessionEnded, SignOut, TokenError, UnavailableKind};
use crate::tokens::TokenSet;

/// One [`TokenManager`](crate::TokenManager) for each key, such as each signed-in user of a gateway.
///
/// A session is loaded when its key is first seen and put away when it has been idle, or when there
/// are too many. One that is in use, that refreshes, or whose tokens the store has not taken yet
/// stays. There is never more than one manager for a key, so every session needs a
/// [store](crate::TokenManagerBuilder::store): it is where a session that was put away is found again.
///
/// No user waits for another: keys live in shards whose locks are held for a look-up and never while
/// anything is loaded, refreshed or stored. Keys that turn out to hold the same refresh token refresh
/// one after the other, each with the newest one; they never share an access token.
///
/// Clones are handles to the same sessions.
///
/// ```
/// use refresh_client_layer::{
///     MemoryStore, RefreshError, RefreshLayer, RefreshRequest, SessionKey, TokenManager,
///     TokenManagers, TokenSet,
/// };
/// # use std::convert::Infallible;
/// use bytes::Bytes;
/// use http::Request;
/// use http_body_util::Full;
/// use tower::{Layer, ServiceExt};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
/// # let refresher = |_: RefreshRequest| async {
/// #     Ok::<_, RefreshError>(TokenSet::new("access-2", "refresh-2"))
/// # };
/// # let http = tower::service_fn(|request: Request<Full<Bytes>>| async move {
/// #     assert_eq!(request.headers()["authorization"], "Bearer access-1");
/// #     Ok::<_, Infallible>(http::Response::new(Full::<Bytes>::default()))
/// # });
/// # let store_of = |_: u64| MemoryStore::new();
/// let users = TokenManagers::builder(move |user: u64| {
///     let session = TokenManager::builder(refresher)
///         .store(store_of(user))
///         .origin("https://api.example");
///     async { Ok(Some(session)) }
/// })
/// .build();
///
/// // After a log-in:
/// users.sign_in(&7, TokenSet::new("access-1", "refresh-1")).await?;
///
/// // For each request:
/// let api = RefreshLayer::keyed(users.clone()).layer(http);
/// let request = Request::get("https://api.example/me")
///     .extension(SessionKey(7_u64))
///     .body(Full::default())?;
/// let response = api.oneshot(request).await?;
///
/// users.sign_out(&7).await?;
/// # Ok(())
/// # }
/// ```
pub struct TokenManagers<K> {
    shared: Arc<Shared<K>>,
}

/// In the extensions of a request: whose session it belongs to. Only the very type that the
/// [`TokenManagers`] are keyed by counts.
///
/// Set it from what *you* know of the caller, never from something that the caller says. `Debug` does
/// not print it, as it may be the very cookie of the caller.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_structs, reason = "a key, to be written by users")]
pub struct SessionKey<K>(pub K);

impl<K> TokenManagers<K>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
{
    /// Starts to configure managers whose sessions come from `loader`.
    pub fn builder(loader: impl SessionLoader<K>) -> TokenManagersBuilder<K> {
        TokenManagersBuilder::new(loader)
    }

    /// The session of `key`, `None` if the loader knows none.
    ///
    /// While somebody keeps the manager, it is not put away. A session that is over is loaded anew,
    /// in case somebody has signed in elsewhere.
    ///
    /// # Errors
    ///
    /// [`TokenError::RefreshUnavailable`] if the session cannot be loaded just now, and
    /// [`TokenError::SessionEnded`] if the loader says that it never can be again.
    pub async fn get(&self, key: &K) -> Loaded {
        match self.shared.find(key) {
            Ok(loaded) => loaded,
            Err(load) => load.await,
        }
    }

    /// Begins a session for `key` with tokens from a log-in, instead of the present one if there is
    /// one, and waits until its store was told. A store that fails is told again later; a loader that
    /// has failed is asked again at once.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get); [`TokenError::SessionEnded`] also if the loader has no session for
    /// `key`; [`UnavailableKind::InvalidTokens`] as [`TokenManager::sign_in`](crate::TokenManager::sign_in).
    pub async fn sign_in(&self, key: &K, tokens: TokenSet) -> Result<(), TokenError> {
        self.shared.forgive(key);
        let Some(manager) = self.get(key).await? else {
            return Err(SessionEnded::new(EndReason::NeverSignedIn).into());
        };
        manager
            .sign_in(tokens)
            .map_err(|why| RefreshUnavailable::because(UnavailableKind::InvalidTokens, why))?;
        manager.persist().await;
        Ok(())
    }

    /// Ends the session of `key` as [`TokenManager::sign_out`](crate::TokenManager::sign_out) does.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get): then nothing has ended.
    pub async fn sign_out(&self, key: &K) -> Result<SignOut, TokenError> {
        match self.get(key).await? {
            Some(manager) => Ok(manager.sign_out().await),
            None => Ok(SignOut::default()),
        }
    }

    /// Waits for the refreshes that are under way, and until the stores hold what the managers hold, as a
    /// program does before it ends. Returns false if that takes longer than `limit`, or if a store fails.
    pub async fn flush(&self, limit: Duration) -> bool {
        let busy = self.shared.shelves.busy();
        let flushed = join_all(busy.iter().map(|manager| manager.flush(limit))).await;
        flushed.into_iter().all(|is_saved| is_saved)
    }

    /// What happens to the sessions from now on, and to whose.
    ///
    /// A receiver that falls more than 1,024 events behind misses the oldest ones.
    pub fn events(&self) -> Events<(K, Event)> {
        self.shared.announcer.subscribe()
    }

    /// How many keys are held at the moment.
    pub fn len(&self) -> usize {
        self.shared.shelves.len()
    }

    /// True if no key is held.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<K> fmt::Debug for SessionKey<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SessionKey").finish_non_exhaustive()
    }
}

impl<K> Clone for TokenManagers<K> {
    fn clone(&self) -> Self {
        Self {
            shared: self.shared.clone(),
        }
    }
}

impl<K> fmt::Debug for TokenManagers<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenManagers")
            .field("held", &self.shared.shelves.len())
            .finish_non_exhaustive()
    }
}

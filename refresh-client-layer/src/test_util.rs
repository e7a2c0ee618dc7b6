//! A token server and an API in one, for tests of what you build on this crate; and
//! [`check_store`], for stores of your own.
//!
//! [`TokenServer`] rotates refresh tokens, notices when one comes twice, forgets to answer, delays and
//! fails as your test wants, and counts what it saw. It is a Tower service to put where your HTTP
//! client would be; [`listen`](TokenServer::listen) serves it on a loopback port too. Time is Tokio's:
//! with `start_paused` an expiry costs no time.
//!
//! | request | answer |
//! | --- | --- |
//! | `POST /refresh` with `{"refresh_token": ".."}` | new tokens, or 401 and `invalid_grant` |
//! | `POST /token` with the form of RFC 6749 section 6 | new tokens, or 400 and `invalid_grant` |
//! | `POST /logout` (JSON), `POST /revoke` (form) | the session is over: 204, 200 |
//! | anything else with a live access token | 200 and the body of the request |
//! | anything else | 401 and a `Bearer` challenge with `invalid_token` |
//!
//! ```
//! use bytes::Bytes;
//! use http::{Request, StatusCode};
//! use http_body_util::Full;
//! use refresh_client_layer::test_util::TokenServer;
//! use refresh_client_layer::{HttpRefresher, RefreshLayer, TokenManager};
//! use tower::{Layer, ServiceExt};
//!
//! # #[cfg(feature = "http")]
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
//! let server = TokenServer::new();
//! let refresher = HttpRefresher::<_, Full<Bytes>>::json(server.url("/refresh"), server.clone());
//! let session = TokenManager::builder(refresher)
//!     .tokens(server.sign_in())
//!     .build()?;
//! let api = RefreshLayer::new(session).layer(server.clone());
//!
//! // The client does not know that its token is dead, and the first answer is lost.
//! server.expire_access_tokens();
//! server.lose_answers(1);
//!
//! let request = Request::get(server.url("/me")).body(Full::<Bytes>::default())?;
//! let response = api.oneshot(request).await?;
//! assert_eq!(response.status(), StatusCode::OK);
//!
//! let counts = server.counts();
//! assert_eq!((counts.rotations, counts.repeats, counts.reuses), (1, 1, 0));
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "http"))]
//! # fn main() {}
//! ```

mod counts;
mod faults;
mod listen;
mod service;
mod sessions;
mod store_laws;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::StatusCode;
use tokio::sync::watch;

pub use self::counts::Counts;
pub use self::listen::Listening;
pub use self::store_laws::check_store;

use self::faults::Faults;
use self::sessions::Sessions;
use crate::clock::Now;
use crate::tokens::TokenSet;

/// A token server and an API in one. Clones are the same server.
///
/// See the [module](self) for what it answers.
#[derive(Clone)]
pub struct TokenServer {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    refreshes: watch::Sender<u32>,
    is_held: watch::Sender<bool>,
}

#[derive(Default)]
struct State {
    sessions: Sessions,
    faults: Faults,
    counts: Counts,
}

impl TokenServer {
    /// A server with idempotency keys and access tokens that live for 15 minutes.
    pub fn new() -> Self {
        Self {
            shared: Arc::new(Shared {
                state: Mutex::default(),
                refreshes: watch::Sender::new(0),
                is_held: watch::Sender::new(false),
            }),
        }
    }

    /// An address of the server as a service; it takes any other host as well.
    pub fn url(&self, path: &str) -> String {
        format!("https://server.example{path}")
    }

    /// Begins a session. The first has `access-1-1` and `refresh-1-1`, and later `access-1-2`; the
    /// second `access-2-1`.
    pub fn sign_in(&self) -> TokenSet {
        self.state().sessions.begin(Now::read().monotonic)
    }

    /// How long new access tokens live. Clients are told whole seconds.
    pub fn set_lifetime(&self, lifetime: Duration) {
        self.state().sessions.lifetime = lifetime;
    }

    /// Says whether a repeat with the same `Idempotency-Key` gets the same tokens again, as by default.
    /// If not, it counts as reuse.
    pub fn honour_idempotency_keys(&self, honours: bool) {
        self.state().sessions.honours_keys = honours;
    }

    /// Refuses all access tokens of today, which their holders still think good.
    pub fn expire_access_tokens(&self) {
        self.state().sessions.expire();
    }

    /// Ends all sessions of today.
    pub fn end_sessions(&self) {
        self.state().sessions.end();
    }

    /// Carries out the next `count` refreshes and breaks the connection instead of answering.
    pub fn lose_answers(&self, count: u32) {
        self.state().faults.lost = count;
    }

    /// Answers the next `count` refreshes with `status`, and does nothing else.
    pub fn fail_refreshes(&self, count: u32, status: StatusCode) {
        self.state().faults.failing = Some((count, status));
    }

    /// Has each refresh take this long.
    pub fn delay_refreshes(&self, delay: Duration) {
        self.state().faults.refresh_delay = delay;
    }

    /// Has each other request take this long.
    pub fn delay_requests(&self, delay: Duration) {
        self.state().faults.request_delay = delay;
    }

    /// Says whether requests are refused before their body was read, as by default, or after.
    pub fn refuse_early(&self, early: bool) {
        self.state().faults.refuses_late = !early;
    }

    /// Leaves refreshes without an answer until [`release`](Self::release).
    pub fn hold_refreshes(&self) {
        self.shared.is_held.send_replace(true);
    }

    /// Answers the refreshes that were held.
    pub fn release(&self) {
        self.shared.is_held.send_replace(false);
    }

    /// Waits until `count` refreshes have arrived, answered or not.
    pub async fn refreshes_arrived(&self, count: u32) {
        let mut arrived = self.shared.refreshes.subscribe();
        // The sender is in self, so that it cannot be gone.
        drop(arrived.wait_for(|arrived| *arrived >= count).await);
    }

    /// What the server saw so far.
    pub fn counts(&self) -> Counts {
        self.state().counts
    }

    fn state(&self) -> MutexGuard<'_, State> {
        let state = self.shared.state.lock();
        state.unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for TokenServer {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for TokenServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenServer")
            .field("counts", &self.counts())
            .finish_non_exhaustive()
    }
}

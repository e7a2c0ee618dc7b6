//! A Tower layer that attaches the access token to requests, refreshes it exactly once when it
//! dies, and sends the request again.
//!
//! ```
//! use refresh_client_layer::{HttpRefresher, RefreshLayer, TokenManager, TokenSet};
//! use tower::ServiceBuilder;
//! # use std::convert::Infallible;
//! # use bytes::Bytes;
//! # use http::{Request, Response};
//! # use http_body_util::Full;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let http = tower::service_fn(|_: Request<Full<Bytes>>| async {
//! #     Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
//! # });
//! let session = TokenManager::builder(HttpRefresher::json("https://auth.example/refresh", http.clone()))
//!     .tokens(TokenSet::new("access", "refresh"))
//!     .origin("https://api.example")
//!     .build()?;
//! let api = ServiceBuilder::new()
//!     .layer(RefreshLayer::new(session.clone()))
//!     .service(http);
//! # drop(api);
//! # Ok(())
//! # }
//! ```
//!
//! # What happens to a request
//!
//! ```text
//! your code ── request ──► + access token ── request ──► API
//!    ▲                                                    │
//!    │                   ┌─────────── 401 ◄───────────────┤
//!    │                   ▼                                │
//!    │     one refresh, however many wait ──► /refresh    │
//!    │                   │                                │
//!    │                   └─ the request again, once ──────┤
//!    └──────────────────────── response ◄─────────────────┘
//! ```
//!
//! 1. A request with an `Authorization` of its own, or with [`SkipAuth`] in its extensions, passes
//!    untouched; so does one to an origin that may not see the token.
//! 2. A live token is attached. A dying one is waited for; one that will die soon is replaced in the
//!    background.
//! 3. If the response asks for a fresher token, the request is sent again with one, once.
//! 4. If the session turns out to be over, the caller gets the server's 401; of a crowd, those whose
//!    response was [too much to keep](RefreshLayer#while-a-refresh-runs) get [`SessionEnded`]. If a
//!    refresh could not be carried out, the caller gets [`RefreshUnavailable`], so that a fault of the
//!    network is never taken for the end of a session. Later requests fail with [`SessionEnded`] without
//!    being sent.
//! 5. Every response has an [`Outcome`] in its extensions.
//!
//! # Where to look
//!
//! | I want to | |
//! | --- | --- |
//! | wrap a Tower client | [`RefreshLayer`] |
//! | wrap `reqwest` | [`AuthClient`]; [within limits](mod@reqwest#over-a-bare-client) a bare client |
//! | be a middleware of `reqwest-middleware` | [`reqwest_middleware`] |
//! | wrap a `tonic` channel | [`grpc`] |
//! | follow redirects | [`RefreshLayer`](RefreshLayer#redirects), [`same_origin_redirects`](reqwest::same_origin_redirects) |
//! | get a token without the layer, sign in and out, hear of events | [`TokenManager`] |
//! | act for many users, each with a session of their own | [`TokenManagers`] |
//! | refresh over HTTP, or in my own way | [`HttpRefresher`], [`Refresher`] |
//! | keep the session when the program ends | [`FileStore`], [`KeyringStore`], [`TokenStore`] |
//! | have tokens that are of no use to a thief | [`dpop`] |
//! | test my own stack, expiry and theft included | [`test_util`] |
//! | read how a CLI, a gateway or my old interceptor is done | [`guide`] |
//! | know what to watch, and what the log says | [`guide::operate`] |
//! | know what an error means, or why a number is what it is | [`guide::errors`], [`guide::defaults`] |
//! | retry a body type of mine | [`replay::Replay`] |
//! | bound what is kept of a streamed body, or send it once | [`replay::ReplayCap`], [`replay::NoReplay`] |
//!
//! # Features
//!
//! | feature | adds |
//! | --- | --- |
//! | `dpop` | tokens that are bound to a key, and proofs of it: see [`dpop`] |
//! | `http` | [`HttpRefresher`]: JSON or OAuth 2.0 over any Tower HTTP service |
//! | `file` | [`FileStore`]: the session in a file, also for several processes |
//! | `keyring` | [`KeyringStore`]: the session in the keychain of the system; includes `file` |
//! | `reqwest` | [`AuthClient`] and the layer over `reqwest::Client`; includes `http` |
//! | `reqwest-middleware` | the layer as a middleware: see [`reqwest_middleware`]; includes `reqwest` |
//! | `tonic` | the layer over a `tonic` channel: see [`grpc`] |
//! | `metrics` | counters of refreshes and retries, a gauge of waiters, a histogram of refresh times: see [`guide::operate`] |
//! | `test-util` | a token server and API, and the laws of stores, for tests of your own: see [`test_util`] |
//! | `full` | all of them |
//!
//! None is on by default. Refreshes run in tasks on a Tokio runtime with time enabled.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(
    not(all(
        feature = "dpop",
        feature = "file",
        feature = "http",
        feature = "keyring",
        feature = "reqwest",
        feature = "reqwest-middleware",
        feature = "test-util",
        feature = "tonic"
    )),
    expect(
        rustdoc::broken_intra_doc_links,
        reason = "the front page names everything"
    )
)]

mod challenge;
mod clock;
#[cfg(feature = "dpop")]
#[cfg_attr(docsrs, doc(cfg(feature = "dpop")))]
pub mod dpop;
#[cfg(not(feature = "dpop"))]
mod dpop;
mod event;
pub mod future;
#[cfg(feature = "tonic")]
#[cfg_attr(docsrs, doc(cfg(feature = "tonic")))]
pub mod grpc;
pub mod guide;
mod layer;
mod manager;
mod managers;
mod metrics;
mod origin;
mod outcome;
mod refresh;
pub mod replay;
#[cfg(feature = "reqwest")]
#[cfg_attr(docsrs, doc(cfg(feature = "reqwest")))]
pub mod reqwest;
#[cfg(feature = "reqwest-middleware")]
#[cfg_attr(docsrs, doc(cfg(feature = "reqwest-middleware")))]
pub mod reqwest_middleware;
mod schedule;
mod service;
mod store;
#[cfg(feature = "test-util")]
#[cfg_attr(docsrs, doc(cfg(feature = "test-util")))]
pub mod test_util;
mod timer;
mod tokens;

pub use crate::event::{EndReason, Event, Events};
pub use crate::layer::RefreshLayer;
pub use crate::manager::{
    BuildError, BuildErrorKind, RefreshUnavailable, SessionEnded, SignOut, TokenError,
    TokenManager, TokenManagerBuilder, UnavailableKind,
};
pub use crate::managers::{
    LoadError, LoadErrorKind, SessionKey, SessionLoader, TokenManagers, TokenManagersBuilder,
};
pub use crate::origin::{InvalidOrigin, InvalidOriginKind, Origin};
pub use crate::outcome::{NotRetried, Outcome};
#[cfg(feature = "http")]
#[cfg_attr(docsrs, doc(cfg(feature = "http")))]
pub use crate::refresh::HttpRefresher;
pub use crate::refresh::{RefreshError, RefreshErrorKind, RefreshRequest, Refresher};
#[cfg(feature = "reqwest")]
#[cfg_attr(docsrs, doc(cfg(feature = "reqwest")))]
pub use crate::reqwest::AuthClient;
pub use crate::service::{RefreshService, SkipAuth};
#[cfg(feature = "file")]
#[cfg_attr(docsrs, doc(cfg(feature = "file")))]
pub use crate::store::{FileStore, FileStoreError, FileStoreErrorKind};
#[cfg(feature = "keyring")]
#[cfg_attr(docsrs, doc(cfg(feature = "keyring")))]
pub use crate::store::{KeyringStore, KeyringStoreError, KeyringStoreErrorKind};
pub use crate::store::{MemoryStore, StoreError, StoreLock, StoredTokens, TokenStore, Version};
pub use crate::tokens::{
    AccessToken, IdempotencyKey, InvalidTokens, InvalidTokensKind, RefreshToken, TokenSet,
};

// Compiles and runs the example of the README.
#[cfg(all(doctest, feature = "full"))]
#[doc = include_str!("../README.md")]
struct Readme;

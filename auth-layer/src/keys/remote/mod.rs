//! Keys over HTTP: an issuer's JSON Web Key Set (RFC 7517 s5), fetched and kept fresh.
//!
//! ```no_run
//! use auth_layer::Verifier;
//! use auth_layer::keys::RemoteKeys;
//!
//! # async fn f() -> Result<(), Box<dyn std::error::Error>> {
//! let keys = RemoteKeys::new("https://auth.example/.well-known/jwks.json");
//! keys.ready().await?; // optional: else the first requests wait for the first fetch
//! let verifier = Verifier::builder()
//!     .keys(keys.clone())
//!     .issuer("https://auth.example")
//!     .audience("https://api.example")
//!     .build()?;
//! let is_ready = keys.status().is_ready(); // for a readiness probe
//! # Ok(()) }
//! ```
//!
//! | when | then |
//! | --- | --- |
//! | the token's key is held | no wait, whatever the issuer's server does |
//! | three quarters to nine tenths of `Cache-Control: max-age` passed | a fetch in the background; 1 min to 24 h, 1 h if it is not said |
//! | a `kid` is unknown, or a signature under a known one is bad | the request waits for one shared fetch; at most one such fetch in 5 s, and one in 10 s for the same `kid` |
//! | a fetch fails | the keys are kept for up to 24 h after the last good fetch; tried again after 1 s, 2 s, .. 30 s |
//! | the newest fetch failed and the key is not held, or there are no keys | 503, at once: nobody can tell whether the token is good |
//!
//! Only `https` is fetched, and plain `http` from this machine. Redirects, content codings, answers
//! of more than 256 KiB and sets of more than 64 keys are refused. The default client trusts the
//! certificates that the operating system trusts and knows no proxies; bring your own with
//! [`RemoteKeysBuilder::fetcher`].
//!
//! A task fetches, on the tokio runtime that [`RemoteKeys`] is first used on. It ends when the last
//! handle is dropped, and starts anew on another runtime should its own end. A runtime that exists and is not driven does no
//! harm: a request that waits takes the fetch over after 2 s, on its own runtime, which needs timers enabled, and keys that are too old are
//! dropped by whatever looks at them.

mod answer;
mod builder;
mod discovery;
mod document;
mod error;
mod fetcher;
mod handle;
mod https;
mod misses;
mod origin;
mod place;
mod schedule;
mod status;
mod task;

pub use builder::RemoteKeysBuilder;
pub use error::{RemoteKeysError, RemoteKeysErrorKind};
pub use fetcher::{BoxError, Fetcher};
pub use handle::RemoteKeys;
pub use status::KeySetStatus;

#[cfg(test)]
mod tests;

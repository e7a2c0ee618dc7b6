//! Access tokens that are of no use to who has nothing but them (DPoP, RFC 9449).
//!
//! The client has a key, the server binds the tokens to it, and each request carries a proof, signed with
//! that key for this one request. Nothing of it happens unless tokens are bound to a key:
//!
//! ```
//! use http::{Method, Uri};
//! use refresh_client_layer::TokenSet;
//! use refresh_client_layer::dpop::DpopKey;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let key = DpopKey::generate()?;
//!
//! // The log-in is yours, and needs a proof too:
//! let url = Uri::from_static("https://auth.example/token");
//! let proof = key.proof(&Method::POST, &url)?;
//! # drop(proof);
//!
//! # let body = br#"{"access_token":"a","refresh_token":"r","token_type":"DPoP"}"#;
//! let tokens = TokenSet::bound_from_json(body, &key)?;
//! # drop(tokens);
//! # Ok(())
//! # }
//! ```
//!
//! A [`TokenManager`](crate::TokenManager) that is given such tokens does the rest: requests carry
//! `Authorization: DPoP ..` and a proof that is new for each attempt, refreshes carry one as well, new
//! tokens are bound to the same key, and stores keep the key with the tokens. An answer with tokens that
//! are not bound is refused.
//!
//! A server that wants a nonce in the proof says so with its refusal; the request is then sent again with
//! it, besides the one retry with a new token. Nonces are remembered for each origin.
//!
//! A proof names the URL of the request, so a `tonic` client needs `with_origin`. A redirect that `reqwest`
//! follows by itself carries the proof of the first URL, which the second has to refuse: with bound tokens
//! switch redirects off, or follow them [outside of the layer](crate::RefreshLayer#redirects).

#[cfg(feature = "dpop")]
mod error;
#[cfg(feature = "dpop")]
mod key;
#[cfg(not(feature = "dpop"))]
#[path = "dpop/no_key.rs"]
mod key;
#[cfg(feature = "dpop")]
mod nonces;

#[cfg(feature = "dpop")]
pub use self::error::{DpopKeyError, DpopKeyErrorKind};
#[cfg(feature = "dpop")]
pub use self::key::DpopKey;
#[cfg(not(feature = "dpop"))]
pub(crate) use self::key::DpopKey;

//! The layer over [`reqwest`].
//!
//! ```
//! use refresh_client_layer::reqwest::ReqwestService;
//! use refresh_client_layer::{AuthClient, HttpRefresher, TokenManager, TokenSet};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let refresh = ReqwestService::new(reqwest::Client::builder())?;
//! let session = TokenManager::builder(HttpRefresher::json("https://auth.example/refresh", refresh))
//!     .tokens(TokenSet::new("access", "refresh"))
//!     .origin("https://api.example")
//!     .build()?;
//!
//! // No token follows a redirect to another origin.
//! let api = AuthClient::from_builder(reqwest::Client::builder(), session)?;
//! let request = api.get("https://api.example/me");
//! # drop(request);
//! # Ok(())
//! # }
//! ```

mod client;
mod error;
mod message;
mod redirect;
mod request;
mod service;

#[cfg(feature = "reqwest-middleware")]
pub(crate) use self::message::Outgoing;

pub use self::client::AuthClient;
pub use self::error::{RequestError, RequestErrorKind};
pub use self::redirect::same_origin_redirects;
pub use self::request::RequestBuilder;
pub use self::service::ReqwestService;

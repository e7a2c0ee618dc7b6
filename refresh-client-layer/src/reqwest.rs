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
//!
//! # Over a bare client
//!
//! The layer is a `Service<reqwest::Request>` too:
//!
//! ```
//! use refresh_client_layer::reqwest::same_origin_redirects;
//! use refresh_client_layer::RefreshLayer;
//! # use refresh_client_layer::TokenManager;
//! use tower::{ServiceBuilder, ServiceExt};
//!
//! # fn build(session: TokenManager) -> Result<(), Box<dyn std::error::Error>> {
//! // By itself reqwest sends the token to the second hop within a foreign origin.
//! let http = reqwest::Client::builder().redirect(same_origin_redirects()).build()?;
//! let api = ServiceBuilder::new().layer(RefreshLayer::new(session)).service(http);
//! let request = reqwest::Request::new(reqwest::Method::GET, "https://api.example/me".parse()?);
//! let sent = api.oneshot(request);
//! # drop(sent);
//! # Ok(())
//! # }
//! ```
//!
//! A `reqwest::Request` keeps its extensions to itself, so here the layer sees nothing that one request
//! asks for: [`SkipAuth`](crate::SkipAuth), [`NoReplay`](crate::replay::NoReplay) and
//! [`ReplayCap`](crate::replay::ReplayCap) do nothing. To a [`keyed`](crate::RefreshLayer::keyed) layer
//! each request is nobody's. An [`AuthClient`] [with that layer](AuthClient::with_layer) has none of
//! these limits: see [`RequestBuilder::with_extension`].

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

//! The HTTP side of an issuer: refreshing, revoking, a user's sessions, and the public documents.
//!
//! [`TokenEndpoints`] is a plain Tower service that answers every path. Mount it where you like, in
//! axum at the root as `fallback_service`, under a prefix as `nest_service`:
//!
//! ```
//! use auth_layer::endpoint::{TokenEndpoints, token_response};
//! use auth_layer::issue::TokenIssuer;
//! use axum::response::{IntoResponse, Response};
//! use axum::{Router, extract::State, http::StatusCode, routing::post};
//!
//! async fn login(State(issuer): State<TokenIssuer>) -> Response {
//!     let Ok(sign_in) = issuer.begin_sign_in("alice").await else {
//!         return StatusCode::SERVICE_UNAVAILABLE.into_response();
//!     };
//!     // Once the password is right:
//!     match issuer.start(sign_in).await {
//!         Ok(pair) => token_response(&pair).into_response(),
//!         Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
//!     }
//! }
//!
//! fn app(issuer: TokenIssuer) -> Router {
//!     Router::new()
//!         .route("/login", post(login))
//!         .with_state(issuer.clone())
//!         .fallback_service(TokenEndpoints::new(issuer))
//! }
//! ```
//!
//! | request | body | answer |
//! | --- | --- | --- |
//! | `POST /refresh` | JSON `{"refresh_token":".."}`, or the cookie | a new pair |
//! | `POST /token` | the form of RFC 6749 s6 | the same |
//! | `POST /revoke` | the form of RFC 7009 s2.1 | empty |
//! | `POST /logout` | JSON `{"refresh_token":".."}`, or the cookie | 204 |
//! | `POST /introspect` | the form of RFC 7662 s2.1, from a client with a secret | what the token is worth |
//! | `GET /sessions` | | the user's sessions |
//! | `DELETE /sessions/{sid}` | | 204: that session is over |
//! | `DELETE /sessions` | | 204: all are over but the one that asks |
//! | `GET /.well-known/jwks.json` | | the public keys |
//! | `GET /.well-known/oauth-authorization-server` | | RFC 8414 |
//!
//! An `Idempotency-Key` may come with every refresh: 16 to 255 visible ASCII
//! characters, with or without double quotes, such as a UUID. A token response has the member `"idempotent": true`, by which a client knows that the server honours
//! the header.
//!
//! # Sessions
//! `/sessions` wants an access token of this issuer, as bearer or, of a session that is bound to a key,
//! with a [proof](TokenEndpoints::dpop), and is about the sessions of its subject: a list of `{"sid", "label", "created_at", "rotated_at", "ip", "user_agent", "current"}`,
//! times in seconds since the Unix epoch. A token whose session belongs to an OAuth client is refused
//! unless [a scope](TokenEndpoints::sessions_scopes) is named for it. To log out everywhere, `DELETE /sessions`, then
//! `POST /logout`. After a change of password call
//! [`revoke_others`](crate::TokenIssuer::revoke_others).
//!
//! # Browsers
//! In [`CookieMode`] a browser keeps the refresh token where no script can read it. What the page
//! does, which `examples/browser` does in full:
//!
//! ```js
//! import * as kept from "./kept.js"; // IndexedDB: get, put, drop
//!
//! let access = null;
//!
//! // One tab at a time. Sign in and log out under the same lock.
//! const refresh = () => navigator.locks.request("session", async () => {
//!   // On the disk before it is sent: if the answer is lost, whoever asks again has the same key.
//!   const key = await kept.get("key") ?? base64url(crypto.getRandomValues(new Uint8Array(32)));
//!   await kept.put("key", key);
//!   const answer = await fetch("/refresh", {
//!     method: "POST", headers: { "Idempotency-Key": `"${key}"` },
//!   });
//!   if (answer.ok) access = (await answer.json()).access_token;
//!   // 401: sign in again. 409: ask again. Else: the same request again, later.
//!   if (answer.ok || [401, 409].includes(answer.status)) await kept.drop("key");
//!   return answer.status;
//! });
//! ```
//!
//! Your log-in handler answers with [`TokenEndpoints::token_response`].
//!
//! # Pages of another origin
//! A page of another origin needs CORS: put `CorsLayer` of tower-http around the endpoints, so that
//! it answers the preflights. A cookie is sent only within the same site, such as from
//! `app.example.com` to `auth.example.com`:
//!
//! ```
//! use auth_layer::TokenEndpoints;
//! use auth_layer::endpoint::CookieMode;
//! use http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
//! use http::{HeaderName, HeaderValue, Method};
//! use tower::ServiceBuilder;
//! use tower_http::cors::CorsLayer;
//! # fn app(issuer: auth_layer::TokenIssuer) -> Result<(), Box<dyn std::error::Error>> {
//!
//! const APP: &str = "https://app.example.com";
//!
//! let cors = CorsLayer::new()
//!     .allow_origin(HeaderValue::from_static(APP))
//!     .allow_credentials(true)
//!     .allow_methods([Method::GET, Method::POST, Method::DELETE])
//!     .allow_headers([AUTHORIZATION, CONTENT_TYPE, HeaderName::from_static("idempotency-key")])
//!     .expose_headers([RETRY_AFTER]);
//! let cookies = CookieMode::new().allow_origin(APP)?;
//! let endpoints = TokenEndpoints::new(issuer).cookies(cookies);
//! let service = ServiceBuilder::new().layer(cors).service(endpoints);
//! # Ok(())
//! # }
//! ```
//!
//! # Clients that hold a key
//! Where [proofs are checked](TokenEndpoints::dpop) a client on a device can bind its session to a key
//! that never leaves it (RFC 9449 s5): then a stolen token is worth nothing. For pages of another origin
//! allow the header `DPoP` and expose `DPoP-Nonce` and `WWW-Authenticate`.
//!
//! # Limits
//! [`Limits`] are on by default. Those by address want to know the address: see [`ClientAddress`].

mod address;
mod admit;
mod bearer;
mod body;
mod client;
mod cookie;
mod credential;
mod denial;
mod documents;
mod endpoints;
mod form;
mod holder;
mod idempotency;
mod introspect;
mod limit;
mod proof;
mod read;
mod refresh;
mod refusal;
mod revoke;
mod route;
mod service;
mod sessions;
mod wire;

pub use address::{ClientAddress, PeerAddress};
pub use body::EndpointBody;
pub use cookie::{CookieConfigError, CookieMode};
pub use endpoints::TokenEndpoints;
pub use limit::Limits;
pub use service::ResponseFuture;
pub use wire::token_response;

type Response = http::Response<EndpointBody>;

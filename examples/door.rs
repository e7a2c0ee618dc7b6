use std::net::SocketAddr;

use auth_layer::endpoint::{ClientAddress, TokenEndpoints};
use auth_layer::issue::{IssueErrorKind, TokenIssuer};
use axum::extract::{ConnectInfo, State};
use axum::http::header::USER_AGENT;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;

use crate::Users;

/// Where users sign in: `POST /login` with JSON `{"username", "password"}`, which answers like
/// `/refresh`. The server has to say where connections come from, by `ConnectInfo`.
#[derive(Clone, Debug)]
pub struct Door {
    issuer: TokenIssuer,
    endpoints: TokenEndpoints,
    users: Users,
}

impl Door {
    /// A door for the demo users.
    pub fn new(issuer: TokenIssuer, endpoints: TokenEndpoints) -> Self {
        Self {
            issuer,
            endpoints,
            users: Users::demo(),
        }
    }

    /// Its route.
    pub fn router(self) -> Router {
        Router::new().route("/login", post(login)).with_state(self)
    }
}

/// The address of the peer, for [`TokenEndpoints::client_address`].
pub fn peer_address() -> ClientAddress {
    ClientAddress::peer(|extensions| {
        let ConnectInfo(peer): &ConnectInfo<SocketAddr> = extensions.get()?;
        Some(peer.ip())
    })
}

#[derive(Deserialize)]
struct Credentials {
    username: String,
    password: String,
}

async fn login(
    State(door): State<Door>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Json(Credentials { username, password }): Json<Credentials>,
) -> Response {
    // Before the password is checked: if another request changes it meanwhile, this sign-in is refused.
    let mut session = match door.issuer.begin_sign_in(&username).await {
        Ok(session) => session.ip(peer.ip()),
        Err(error) => return not_started(&error),
    };
    if let Some(Ok(program)) = headers.get(USER_AGENT).map(|it| it.to_str()) {
        session = session.user_agent(program);
    }
    if !door.users.know(username, password).await {
        return invalid_credentials();
    }
    match door.issuer.start(session).await {
        Ok(pair) => door.endpoints.token_response(&pair).into_response(),
        Err(error) if error.kind() == IssueErrorKind::Revoked => invalid_credentials(),
        Err(error) => not_started(&error),
    }
}

fn invalid_credentials() -> Response {
    let body = json!({ "error": "invalid_credentials" });
    (StatusCode::UNAUTHORIZED, Json(body)).into_response()
}

fn not_started(error: &(dyn std::error::Error + 'static)) -> Response {
    tracing::error!(error, "no session was started");
    StatusCode::SERVICE_UNAVAILABLE.into_response()
}

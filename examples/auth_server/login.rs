use std::net::SocketAddr;
use std::sync::Arc;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use auth_layer::endpoint::TokenEndpoints;
use auth_layer::issue::{NewSession, TokenIssuer};
use axum::Json;
use axum::extract::{ConnectInfo, State};
use axum::http::header::USER_AGENT;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize)]
pub(crate) struct Credentials {
    username: String,
    password: String,
}

/// What a log-in takes.
#[derive(Clone)]
pub(crate) struct Door {
    pub(crate) issuer: TokenIssuer,
    pub(crate) endpoints: TokenEndpoints,
    pub(crate) users: Users,
}

/// Answers like `/refresh`.
pub(crate) async fn login(
    State(door): State<Door>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Json(credentials): Json<Credentials>,
) -> Response {
    let mut session = NewSession::new(&credentials.username).ip(peer.ip());
    if let Some(Ok(program)) = headers.get(USER_AGENT).map(|it| it.to_str()) {
        session = session.user_agent(program);
    }
    // Argon2 is slow on purpose: not on the threads that serve everybody else.
    let known = tokio::task::spawn_blocking(move || door.users.know(&credentials)).await;
    if !known.unwrap_or(false) {
        let body = json!({ "error": "invalid_credentials" });
        return (StatusCode::UNAUTHORIZED, Json(body)).into_response();
    }
    match door.issuer.start(session).await {
        Ok(pair) => door.endpoints.token_response(&pair).into_response(),
        Err(error) => {
            tracing::error!(%error, "no session was started");
            StatusCode::SERVICE_UNAVAILABLE.into_response()
        }
    }
}

/// Names and password hashes.
#[derive(Clone)]
pub(crate) struct Users(Arc<[(&'static str, String)]>);

impl Users {
    pub(crate) fn demo() -> Self {
        let hash = |(name, password): (&'static str, &str)| {
            let hash = Argon2::default().hash_password(password.as_bytes());
            (name, hash.map(|it| it.to_string()).unwrap_or_default())
        };
        Self(
            [("alice", "wonderland"), ("bob", "builder")]
                .map(hash)
                .into(),
        )
    }

    fn know(&self, credentials: &Credentials) -> bool {
        let known = self
            .0
            .iter()
            .find(|(name, _)| *name == credentials.username);
        // A stranger costs as much time as a friend.
        let (_, hash) = known.unwrap_or(&self.0[0]);
        let is_right = PasswordHash::new(hash).is_ok_and(|hash| {
            let password = credentials.password.as_bytes();
            Argon2::default().verify_password(password, &hash).is_ok()
        });
        known.is_some() && is_right
    }
}

use auth_layer::Verifier;
use auth_layer::verify::Verify as _;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, Request, State};
use axum::http::header::{AUTHORIZATION, COOKIE, ORIGIN, SET_COOKIE, USER_AGENT};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::thefts::{Loot, Thefts};

/// Somebody who has a copy of the refresh token, played by the server, since the page cannot read it.
#[derive(Clone)]
pub(crate) struct Thief {
    /// What it attacks.
    server: Router,
    verifier: Verifier,
    thefts: Thefts,
}

impl Thief {
    pub(crate) fn new(server: Router, verifier: Verifier, thefts: Thefts) -> Self {
        Self {
            server,
            verifier,
            thefts,
        }
    }

    pub(crate) fn router(self) -> Router {
        Router::new()
            .route("/demo/thief", post(steal))
            .route("/demo/thief/{id}", post(use_loot))
            .with_state(self)
    }

    /// Refreshes with the cookie of `headers`, or says with which status that was refused.
    async fn refresh(&self, headers: &HeaderMap) -> Result<Loot, StatusCode> {
        let mut request = Request::post("/refresh").header(USER_AGENT, "a thief's program");
        for name in [COOKIE, ORIGIN, SEC_FETCH_SITE] {
            if let Some(value) = headers.get(&name) {
                request = request.header(name, value);
            }
        }
        // Not the owner's: that one stays in the owner's browser.
        let key = examples::hex(&examples::random().map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?);
        let request = request.header("idempotency-key", format!("\"{}\"", &key[..64]));
        let answer = self.send(request.body(Body::empty())).await;
        if answer.status() != StatusCode::OK {
            return Err(answer.status());
        }
        Loot::of(answer).await.ok_or(StatusCode::BAD_GATEWAY)
    }

    async fn call(&self, access_token: &str) -> StatusCode {
        let request = Request::get("/api/me")
            .header(AUTHORIZATION, format!("Bearer {access_token}"))
            .body(Body::empty());
        self.send(request).await.status()
    }

    async fn send(&self, request: Result<Request, axum::http::Error>) -> Response {
        match request {
            Ok(request) => self.server.clone().oneshot(request).await.into_response(),
            Err(_) => StatusCode::BAD_REQUEST.into_response(),
        }
    }
}

impl Loot {
    async fn of(answer: Response) -> Option<Self> {
        let cookie = answer.headers().get(SET_COOKIE)?.to_str().ok()?;
        let (cookie, _) = cookie.split_once(';')?;
        let cookie = cookie.to_owned();
        let body = to_bytes(answer.into_body(), 1 << 16).await.ok()?;
        let body: Value = serde_json::from_slice(&body).ok()?;
        Some(Self {
            access_token: body["access_token"].as_str()?.to_owned(),
            cookie,
        })
    }
}

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Copies the token of the request that asks for it, and refreshes before its owner does.
async fn steal(State(thief): State<Thief>, headers: HeaderMap) -> Result<Json<Value>, StatusCode> {
    let loot = thief.refresh(&headers).await?;
    let claims = thief.verifier.verify(&loot.access_token).await;
    let sid = claims.ok().and_then(|it| Some(it.session_id()?.to_owned()));
    let id = thief.thefts.add(sid.unwrap_or_default(), loot);
    let id = id.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
    Ok(Json(json!({ "thief": id })))
}

/// Says what the thief gets for what it has.
async fn use_loot(
    State(thief): State<Thief>,
    Path(id): Path<String>,
    mut headers: HeaderMap,
) -> Result<Json<Value>, StatusCode> {
    let theft = thief.thefts.find(&id).ok_or(StatusCode::NOT_FOUND)?;
    let api = thief.call(&theft.loot.access_token).await;
    let cookie = theft.loot.cookie.parse();
    headers.insert(COOKIE, cookie.map_err(|_| StatusCode::BAD_GATEWAY)?);
    let refresh = match thief.refresh(&headers).await {
        Ok(loot) => {
            thief.thefts.replace(&id, loot);
            StatusCode::OK
        }
        Err(status) => status,
    };
    Ok(Json(json!({
        "api": api.as_u16(),
        "refresh": refresh.as_u16(),
        "noticed": theft.is_noticed,
    })))
}

use std::error::Error;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::{BodyExt as _, Full};
use serde_json::json;
use tower_service::Service;

use super::{State, TokenServer};
use crate::clock::Now;
use crate::tokens::TokenSet;

impl<B> Service<Request<B>> for TokenServer
where
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Response = Response<Full<Bytes>>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = Answer> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (server, (parts, body)) = (self.clone(), request.into_parts());
        Box::pin(async move {
            match parts.uri.path() {
                "/refresh" => {
                    server
                        .refresh(&parts, &json_token(&read(body).await?))
                        .await
                }
                "/token" => {
                    server
                        .refresh(&parts, &form_token(&read(body).await?))
                        .await
                }
                "/logout" => server.sign_out(&json_token(&read(body).await?), NO_CONTENT),
                "/revoke" => server.sign_out(&form_token(&read(body).await?), StatusCode::OK),
                _ => server.api(&parts, body).await,
            }
        })
    }
}

type Answer = io::Result<Response<Full<Bytes>>>;

impl TokenServer {
    async fn refresh(&self, parts: &Parts, token: &str) -> Answer {
        self.state().counts.refreshes += 1;
        self.shared.refreshes.send_modify(|arrived| *arrived += 1);
        let delay = self.state().faults.refresh_delay;
        tokio::time::sleep(delay).await;
        let mut is_held = self.shared.is_held.subscribe();
        // The sender is in self, so that it cannot be gone.
        drop(is_held.wait_for(|is_held| !is_held).await);

        let key = parts.headers.get("idempotency-key");
        let key = key.and_then(|key| Some(key.to_str().ok()?.to_owned()));
        let mut state = self.state();
        let State {
            sessions,
            faults,
            counts,
        } = &mut *state;
        if let Some(status) = faults.fail() {
            return Ok(answer(status, Bytes::new()));
        }
        let tokens = sessions.rotate(token, key, Now::read().monotonic, counts);
        if faults.lose() {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        Ok(match tokens {
            Some(tokens) => json(StatusCode::OK, &told(&tokens)),
            None if parts.uri.path() == "/token" => json(StatusCode::BAD_REQUEST, &refusal()),
            None => json(StatusCode::UNAUTHORIZED, &refusal()),
        })
    }

    fn sign_out(&self, token: &str, status: StatusCode) -> Answer {
        let mut state = self.state();
        let State {
            sessions, counts, ..
        } = &mut *state;
        sessions.sign_out(token, counts);
        Ok(answer(status, Bytes::new()))
    }

    async fn api<B>(&self, parts: &Parts, body: B) -> Answer
    where
        B: Body,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        self.state().counts.requests += 1;
        let delay = self.state().faults.request_delay;
        tokio::time::sleep(delay).await;
        let token = parts.headers.get(AUTHORIZATION);
        let token = token.and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        let is_live = |token| self.state().sessions.is_live(token, Now::read().monotonic);
        if token.is_some_and(is_live) {
            return Ok(answer(StatusCode::OK, read(body).await?));
        }
        self.state().counts.refused += 1;
        let reads_first = self.state().faults.refuses_late;
        if reads_first {
            read(body).await?;
        }
        let mut response = answer(StatusCode::UNAUTHORIZED, Bytes::new());
        response.headers_mut().insert(WWW_AUTHENTICATE, CHALLENGE);
        Ok(response)
    }
}

async fn read<B>(body: B) -> io::Result<Bytes>
where
    B: Body,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let read = body.collect().await.map_err(io::Error::other)?;
    Ok(read.to_bytes())
}

fn json_token(body: &[u8]) -> String {
    let body: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let token = body["refresh_token"].as_str();
    token.unwrap_or_default().to_owned()
}

fn form_token(body: &[u8]) -> String {
    let mut members = form_urlencoded::parse(body);
    let token = members.find(|(name, _)| matches!(&**name, "refresh_token" | "token"));
    token.map_or_else(String::new, |(_, token)| token.into_owned())
}

fn told(tokens: &TokenSet) -> serde_json::Value {
    let lifetime = tokens.lifetime(Now::read().wall).unwrap_or_default();
    json!({
        "access_token": tokens.access_token().secret(),
        "refresh_token": tokens.refresh_token().secret(),
        "token_type": "Bearer",
        "expires_in": lifetime.as_secs(),
    })
}

fn refusal() -> serde_json::Value {
    json!({"error": "invalid_grant"})
}

fn json(status: StatusCode, body: &serde_json::Value) -> Response<Full<Bytes>> {
    let mut response = answer(status, body.to_string().into());
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}

fn answer(status: StatusCode, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response
}

const NO_CONTENT: StatusCode = StatusCode::NO_CONTENT;
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const CHALLENGE: HeaderValue = HeaderValue::from_static(r#"Bearer error="invalid_token""#);

use http::header::USER_AGENT;
use http::{HeaderMap, StatusCode};

use super::Response;
use super::form::Form;
use super::idempotency::idempotency_key;
use super::refusal::Refusal;
use super::service::Shared;
use super::wire::{refresh_token, token_response};
use crate::issue::{RefreshErrorKind, RefreshRequest};

impl Shared {
    pub(super) async fn refresh(
        &self,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<Response, Refusal> {
        let key = idempotency_key(headers)?;
        let token = refresh_token(body)?.ok_or(Refusal::no_token())?;
        let request = RefreshRequest::new(token).idempotency_key(key);
        self.exchange(headers, request, Dialect::JSON).await
    }

    pub(super) async fn token(
        &self,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<Response, Refusal> {
        let key = idempotency_key(headers)?;
        let form = Form::parse(body)?;
        let client_id = self.clients.authenticate(headers, &form)?;
        match form.get("grant_type") {
            Some("refresh_token") => {}
            Some(_) => return Err(Refusal::UNSUPPORTED_GRANT),
            None => return Err(Refusal::invalid("No grant_type")),
        }
        let token = form
            .get("refresh_token")
            .ok_or(Refusal::invalid("No refresh_token"))?;
        let scopes = form.get("scope").map(str::parse).transpose();
        let request = RefreshRequest::new(token)
            .idempotency_key(key)
            .client_id(client_id)
            .scopes(scopes.map_err(|_| Refusal::INVALID_SCOPE)?);
        self.exchange(headers, request, Dialect::OAUTH).await
    }

    async fn exchange(
        &self,
        headers: &HeaderMap,
        request: RefreshRequest,
        dialect: Dialect,
    ) -> Result<Response, Refusal> {
        let request = request.user_agent(user_agent(headers));
        match self.issuer.refresh(request).await {
            Ok(pair) => Ok(token_response(&pair)),
            Err(error) => Err(dialect.refusal(error.kind())),
        }
    }
}

/// The status codes in which `/refresh` and OAuth differ.
#[derive(Clone, Copy)]
struct Dialect {
    dead: StatusCode,
    superseded: StatusCode,
}

impl Dialect {
    const JSON: Self = Self {
        dead: StatusCode::UNAUTHORIZED,
        superseded: StatusCode::CONFLICT,
    };
    const OAUTH: Self = Self {
        dead: StatusCode::BAD_REQUEST,
        superseded: StatusCode::BAD_REQUEST,
    };

    fn refusal(self, kind: RefreshErrorKind) -> Refusal {
        match kind {
            RefreshErrorKind::Malformed => Refusal::MALFORMED_TOKEN,
            RefreshErrorKind::Superseded => Refusal::superseded(self.superseded),
            RefreshErrorKind::WiderScope => Refusal::INVALID_SCOPE,
            RefreshErrorKind::Unavailable => Refusal::unavailable(),
            _ => Refusal::dead_token(self.dead),
        }
    }
}

fn user_agent(headers: &HeaderMap) -> Option<String> {
    const LONGEST: usize = 256;
    let text = headers.get(USER_AGENT)?.to_str().ok()?;
    Some(text.chars().take(LONGEST).collect())
}

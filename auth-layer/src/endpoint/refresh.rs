use http::header::{SET_COOKIE, USER_AGENT};
use http::request::Parts;
use http::{HeaderMap, StatusCode};

use super::Response;
use super::cookie::CookieMode;
use super::endpoints::Shared;
use super::form::Form;
use super::idempotency::idempotency_key;
use super::limit::SessionCharge;
use super::refusal::Refusal;
use super::wire::{cookie_response, refresh_token, token_response};
use crate::issue::{RefreshError, RefreshErrorKind, RefreshRequest, TokenPair};
use crate::proof::ProofErrorKind;
use crate::refresh_token::RefreshToken;

impl Shared {
    pub(super) async fn refresh(&self, request: &Parts, body: &[u8]) -> Result<Response, Refusal> {
        let key = idempotency_key(&request.headers)?;
        let (token, cookies) = self.presented(request, body)?;
        if key.is_none() && cookies.is_some_and(|it| !it.plain) {
            return Err(Refusal::csrf());
        }
        let charge = self.admit(request, &token, key.as_ref())?;
        let proof = self.prove(request, charge).await?;
        let refresh = RefreshRequest::new(token)
            .idempotency_key(key)
            .proved_key(proof.jkt);
        let refreshed = self.exchange(request, refresh, charge, Dialect::JSON).await;
        match (refreshed, cookies) {
            (Ok(pair), None) => Ok(proof.hand_out(token_response(&pair))),
            (Ok(pair), Some(cookies)) => {
                Ok(proof.hand_out(cookie_response(&pair, cookies, self.issuer.now())))
            }
            // Nothing else clears it: another tab may have brought a newer one meanwhile.
            (Err(refusal), Some(cookies)) if refusal.is_dead_token() => {
                Err(refusal.with(SET_COOKIE, cookies.clear()))
            }
            (Err(refusal), _) => Err(refusal),
        }
    }

    pub(super) async fn token(&self, request: &Parts, body: &[u8]) -> Result<Response, Refusal> {
        let key = idempotency_key(&request.headers)?;
        let form = Form::parse(body)?;
        let client_id = self.authenticate(request, &form)?;
        match form.get("grant_type") {
            Some("refresh_token") => {}
            Some(_) => return Err(Refusal::UNSUPPORTED_GRANT),
            None => return Err(Refusal::invalid("No grant_type")),
        }
        let token = form.get("refresh_token");
        let token = RefreshToken::from(token.ok_or(Refusal::invalid("No refresh_token"))?);
        let scopes = form.get("scope").map(str::parse).transpose();
        let scopes = scopes.map_err(|_| Refusal::INVALID_SCOPE)?;
        let charge = self.admit(request, &token, key.as_ref())?;
        let proof = self.prove(request, charge).await?;
        let refresh = RefreshRequest::new(token)
            .idempotency_key(key)
            .proved_key(proof.jkt)
            .client_id(client_id)
            .scopes(scopes);
        let pair = self
            .exchange(request, refresh, charge, Dialect::OAUTH)
            .await?;
        Ok(proof.hand_out(token_response(&pair)))
    }

    /// The token of the body, else that of the cookie, and where the next one goes then.
    fn presented(
        &self,
        request: &Parts,
        body: &[u8],
    ) -> Result<(RefreshToken, Option<&CookieMode>), Refusal> {
        if let Some(token) = refresh_token(body)? {
            return Ok((token, None));
        }
        let cookies = self.cookies.as_ref().ok_or(Refusal::no_token())?;
        let token = cookies.read(&request.headers)?;
        let token = token.ok_or(Refusal::no_token())?;
        cookies.csrf.check(request)?;
        Ok((token, Some(cookies)))
    }

    async fn exchange(
        &self,
        request: &Parts,
        refresh: RefreshRequest,
        charge: Option<SessionCharge>,
        dialect: Dialect,
    ) -> Result<TokenPair, Refusal> {
        let refresh = refresh
            .ip(self.ip(request))
            .user_agent(user_agent(&request.headers));
        let pair = self.issuer.refresh(refresh).await;
        if let Some(charge) = charge {
            let failed = pair.as_ref().err().map(RefreshError::kind);
            self.settle(request, charge, failed)?;
        }
        pair.map_err(|error| match error.kind() {
            RefreshErrorKind::Unproved => self.invalid_proof(ProofErrorKind::Missing),
            kind => dialect.refusal(kind),
        })
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
            RefreshErrorKind::Superseded => Refusal::superseded(self.superseded),
            RefreshErrorKind::WiderScope => Refusal::INVALID_SCOPE,
            RefreshErrorKind::Unavailable => Refusal::unavailable(),
            _ => Refusal::dead_token(self.dead),
        }
    }
}

fn user_agent(headers: &HeaderMap) -> Option<String> {
    Some(headers.get(USER_AGENT)?.to_str().ok()?.to_owned())
}

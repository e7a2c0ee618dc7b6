use http::header::{SET_COOKIE, USER_AGENT};
use http::request::Parts;
use http::{HeaderMap, StatusCode};

use super::Response;
use super::endpoints::Shared;
use super::form::Form;
use super::idempotency::idempotency_key;
use super::limit::SessionCharge;
use super::proof::Proof;
use super::refusal::Refusal;
use super::wire::{add_cookies, cookie_response, refresh_token, token_response};
use crate::issue::{RefreshError, RefreshErrorKind, RefreshRequest, SessionEvent, TokenPair};
use crate::proof::ProofErrorKind;
use crate::refresh_token::{IdempotencyKey, RefreshToken, SessionId};

impl Shared {
    pub(super) async fn refresh(&self, request: &Parts, body: &[u8]) -> Result<Response, Refusal> {
        let key = idempotency_key(&request.headers)?;
        match refresh_token(body)? {
            Some(token) => {
                let (pair, proof) = self.refresh_with(request, token, key).await?;
                Ok(proof.hand_out(token_response(&pair)))
            }
            None => self.refresh_cookie(request, key).await,
        }
    }

    async fn refresh_cookie(
        &self,
        request: &Parts,
        key: Option<IdempotencyKey>,
    ) -> Result<Response, Refusal> {
        let cookies = self.cookies.as_ref().ok_or(Refusal::no_token())?;
        let tokens = cookies.read(&request.headers);
        if tokens.is_empty() {
            return Err(Refusal::no_token());
        }
        cookies.check_csrf(request)?;
        if key.is_none() && !cookies.plain {
            return Err(Refusal::csrf());
        }
        let is_one = tokens.len() == 1;
        let refreshed = match self.newest(tokens) {
            Ok(token) => self.refresh_with(request, token, key).await,
            Err(refusal) => Err(refusal),
        };
        match refreshed {
            Ok((pair, proof)) => {
                let mut response = cookie_response(&pair, cookies, self.issuer.now());
                if !is_one {
                    add_cookies(&mut response, cookies.clear_others());
                }
                Ok(proof.hand_out(response))
            }
            // No other refusal clears it: another tab may have brought a newer one meanwhile.
            Err(refusal) if refusal.is_dead_token() => Err(cookies
                .clear()
                .fold(refusal, |refusal, cookie| refusal.with(SET_COOKIE, cookie))),
            Err(refusal) => Err(refusal),
        }
    }

    /// Of the tokens of one session the newest. A text that is not a token of ours counts for nothing
    /// beside one that is. Tokens of different sessions are refused, and nothing is revoked.
    fn newest(&self, tokens: Vec<RefreshToken>) -> Result<RefreshToken, Refusal> {
        let mut newest: Option<(SessionId, u64, usize)> = None;
        for (at, token) in tokens.iter().enumerate() {
            let Ok(presented) = self.issuer.open(token) else {
                continue;
            };
            let (sid, generation) = (presented.session(), presented.generation());
            match newest {
                Some((other, _, _)) if other != sid => {
                    self.issuer.tell(SessionEvent::RefreshFailed {
                        sid: None,
                        kind: RefreshErrorKind::SeveralSessions,
                    });
                    return Err(Dialect::JSON.refusal(RefreshErrorKind::SeveralSessions));
                }
                Some((_, known, _)) if known >= generation => {}
                _ => newest = Some((sid, generation, at)),
            }
        }
        let at = newest.map_or(0, |(_, _, at)| at);
        tokens.into_iter().nth(at).ok_or(Refusal::no_token())
    }

    async fn refresh_with(
        &self,
        request: &Parts,
        token: RefreshToken,
        key: Option<IdempotencyKey>,
    ) -> Result<(TokenPair, Proof), Refusal> {
        let charge = self.admit(request, &token, key.as_ref())?;
        let proof = self.prove(request, charge).await?;
        let refresh = RefreshRequest::new(token)
            .idempotency_key(key)
            .proved_key(proof.jkt);
        let pair = self.exchange(request, refresh, charge, Dialect::JSON).await;
        Ok((pair?, proof))
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
        let audiences = self.targets(&form)?;
        let charge = self.admit(request, &token, key.as_ref())?;
        let proof = self.prove(request, charge).await?;
        let refresh = RefreshRequest::new(token)
            .idempotency_key(key)
            .proved_key(proof.jkt)
            .client_id(client_id)
            .audiences(audiences)
            .scopes(scopes);
        let pair = self
            .exchange(request, refresh, charge, Dialect::OAUTH)
            .await?;
        Ok(proof.hand_out(token_response(&pair)))
    }

    /// The audiences that the resources of a request name; none if it names no resource (RFC 8707 s2).
    /// They are looked at before the rotation, so that an unknown one costs no token.
    fn targets(&self, form: &Form<'_>) -> Result<Vec<String>, Refusal> {
        let (known, wanted) = (self.issuer.audiences(), form.resources());
        let is_wanted = |audience: &&String| wanted.contains(audience.as_str());
        let targets: Vec<_> = known.iter().filter(is_wanted).cloned().collect();
        let is_known = |resource: &str| targets.iter().any(|target| target == resource);
        if wanted.iter().all(|resource| is_known(resource)) {
            Ok(targets)
        } else {
            Err(Refusal::INVALID_TARGET)
        }
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

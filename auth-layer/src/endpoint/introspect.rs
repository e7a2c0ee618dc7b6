use http::request::Parts;
use serde_json::{Map, Value, json as value};

use super::Response;
use super::endpoints::Shared;
use super::form::Form;
use super::refusal::Refusal;
use super::wire::json;
use crate::refresh_token::RefreshToken;
use crate::store::Session;
use crate::verify::{Verifier, Verify as _, VerifyErrorKind};

impl Shared {
    /// RFC 7662: what a token is worth now, for confidential clients only.
    pub(super) async fn introspect(
        &self,
        request: &Parts,
        body: &[u8],
    ) -> Result<Response, Refusal> {
        let form = Form::parse(body)?;
        let client = self.authenticate_confidential(request, &form)?;
        let token = form.get("token").ok_or(Refusal::invalid("No token"))?;
        let claims = match self.refresh_claims(token, &client).await? {
            Some(claims) => Some(claims),
            None => self.access_claims(token).await?,
        };
        Ok(json(&match claims {
            Some(mut claims) => {
                claims.insert("active".into(), true.into());
                Value::Object(claims)
            }
            None => value!({ "active": false }),
        }))
    }

    /// Everything that an access token says, if it is good and its session is alive.
    async fn access_claims(&self, token: &str) -> Result<Option<Map<String, Value>>, Refusal> {
        let claims = match self.introspector()?.verify(token).await {
            Ok(claims) => claims,
            Err(error) if error.kind() == VerifyErrorKind::KeysUnavailable => {
                return Err(Refusal::unavailable());
            }
            Err(_) => return Ok(None),
        };
        if let Some(sid) = claims.session_id() {
            let session = match sid.parse() {
                Ok(sid) => self.issuer.find(sid).await?,
                Err(_) => None,
            };
            if session.is_none_or(|it| Some(&*it.subject) != claims.subject()) {
                return Ok(None);
            }
        }
        let is_dpop = claims.confirmation().is_some_and(|it| it.jkt().is_some());
        let scheme = if is_dpop { "DPoP" } else { "Bearer" };
        let mut all = claims.custom().clone();
        all.insert("token_type".into(), scheme.into());
        Ok(Some(all))
    }

    /// Of a refresh token, to the client that could use it.
    async fn refresh_claims(
        &self,
        token: &str,
        client: &str,
    ) -> Result<Option<Map<String, Value>>, Refusal> {
        let token = RefreshToken::from(token);
        let Ok(presented) = self.issuer.open(&token) else {
            return Ok(None);
        };
        let session = self.issuer.find(presented.session()).await?;
        Ok(session
            .filter(|it| it.serves(Some(client)) && it.chain.current == presented.hash())
            .map(|it| self.describe(&it)))
    }

    fn describe(&self, session: &Session) -> Map<String, Value> {
        let texts = [
            ("iss", Some(self.issuer.name().to_owned())),
            ("sub", Some(session.subject.clone())),
            ("sid", Some(session.id.to_string())),
            ("client_id", session.client_id.clone()),
            (
                "scope",
                Some(session.scopes.to_string()).filter(|it| !it.is_empty()),
            ),
        ];
        let times = [
            ("iat", session.chain.rotated_at),
            ("exp", session.chain.idle_expires_at),
        ];
        let texts = texts
            .into_iter()
            .filter_map(|(name, it)| Some((name, it?.into())));
        let times = times
            .into_iter()
            .map(|(name, it)| (name, it.as_secs().into()));
        let members = texts.chain(times);
        let cnf = session
            .jkt
            .map(|it| ("cnf", value!({ "jkt": it.to_string() })));
        let members = members.chain(cnf);
        members.map(|(name, it)| (name.to_owned(), it)).collect()
    }

    /// Whether the sender of a bound token is its owner is for the asker to check (RFC 9449 s6.2).
    pub(super) fn introspector(&self) -> Result<Verifier<Map<String, Value>>, Refusal> {
        // It lives for one token.
        let builder = self.issuer.verifier_builder().claims().cached_tokens(0);
        let verifier = builder.accept_sender_constrained().build();
        verifier.map_err(|_| Refusal::unavailable())
    }
}

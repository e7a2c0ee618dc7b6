use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Serialize;
use serde_json::{Map, Value};

use super::issuer::Core;
use super::{IssueError, TokenPair};
use crate::claims::Thumbprint;
use crate::clock::Timestamp;
use crate::refresh_token::RefreshToken;
use crate::scope::Scopes;
use crate::store::{CustomClaims, Session};

impl Core {
    /// An access token of `session`, and the refresh token beside it.
    pub(super) fn pair(
        &self,
        session: &Session,
        refresh_token: RefreshToken,
        Access {
            scopes,
            client_id,
            audiences,
        }: Access<'_>,
        claims: &CustomClaims,
        now: Timestamp,
    ) -> Result<TokenPair, IssueError> {
        let ends = now
            .plus(self.access_ttl)
            .min(session.chain.absolute_expires_at);
        let sid = session.id.to_string();
        let jti = self.token_id()?;
        let client_id = session.client_id.as_deref().or(client_id);
        let audiences = if audiences.is_empty() {
            &*self.names.audiences
        } else {
            audiences
        };
        let access_token = self.keys.sign(&AccessClaims {
            iss: &self.names.issuer,
            sub: &session.subject,
            aud: Audience::of(audiences),
            // Up to the next second: a token lives as long as its answer says, not a bit less.
            exp: ends.plus(Duration::from_millis(999)).as_secs(),
            iat: now.as_secs(),
            jti: &jti,
            sid: &sid,
            client_id: client_id.unwrap_or(&self.names.default_client_id),
            cnf: session.jkt.map(Confirmation::of_key),
            scope: Some(&scopes).filter(|it| !it.is_empty()),
            auth_time: session.auth_time.as_secs(),
            custom: claims.members(),
        })?;
        Ok(TokenPair {
            access_token: access_token.into(),
            refresh_token,
            expires_in: Duration::from_secs(ends.since(now).as_secs()),
            scopes,
            session: session.id,
            jkt: session.jkt,
            refresh_expires_at: session.chain.idle_expires_at,
        })
    }

    fn token_id(&self) -> Result<String, IssueError> {
        let mut bytes = [0; 16];
        self.random.fill(&mut bytes)?;
        Ok(BASE64_URL_SAFE_NO_PAD.encode(bytes))
    }
}

/// What a request asks for in its access token.
pub(super) struct Access<'a> {
    pub(super) scopes: Scopes,
    /// The client that authenticated or named itself for this request.
    pub(super) client_id: Option<&'a str>,
    /// Those of the issuer's audiences that it names; all of them if it names none.
    pub(super) audiences: &'a [String],
}

/// RFC 9068 s2.2, and `sid` of OpenID Connect.
#[derive(Serialize)]
struct AccessClaims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: Audience<'a>,
    exp: i64,
    iat: i64,
    jti: &'a str,
    sid: &'a str,
    client_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<&'a Scopes>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cnf: Option<Confirmation>,
    auth_time: i64,
    #[serde(flatten)]
    custom: &'a Map<String, Value>,
}

/// RFC 9449 s6.1.
#[derive(Serialize)]
struct Confirmation {
    jkt: String,
}

impl Confirmation {
    fn of_key(jkt: Thumbprint) -> Self {
        let jkt = jkt.to_string();
        Self { jkt }
    }
}

/// One audience is a string, several are an array (RFC 7519 s4.1.3).
#[derive(Serialize)]
#[serde(untagged)]
enum Audience<'a> {
    One(&'a str),
    Several(&'a [String]),
}

impl<'a> Audience<'a> {
    fn of(audiences: &'a [String]) -> Self {
        match audiences {
            [one] => Self::One(one),
            several => Self::Several(several),
        }
    }
}

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::{
    AccessToken, Expiry, IdempotencyKey, InvalidTokens, InvalidTokensKind, RefreshToken, TokenSet,
};
use crate::dpop::DpopKey;

/// The members of a token answer, read tolerantly.
#[derive(Deserialize)]
pub(crate) struct TokenJson {
    access_token: Option<String>,
    #[serde(rename = "accessToken")]
    access_token_camel: Option<String>,
    refresh_token: Option<String>,
    #[serde(rename = "refreshToken")]
    refresh_token_camel: Option<String>,
    token_type: Option<String>,
    #[serde(rename = "tokenType")]
    token_type_camel: Option<String>,
    expires_in: Option<Value>,
    #[serde(rename = "expiresIn")]
    expires_in_camel: Option<Value>,
    idempotent: Option<Value>,
    // What follows is written by stores; a server may mean something else by it.
    expires_at: Option<Value>,
    generation: Option<Value>,
    sign_in: Option<Value>,
    lifetime: Option<Value>,
    idempotency_key: Option<Value>,
    dpop_key: Option<Value>,
}

impl TokenJson {
    pub(crate) fn parse(body: &[u8]) -> Result<Self, InvalidTokens> {
        // An array would do for the parser, member by member.
        if !body.trim_ascii_start().starts_with(b"{") {
            return Err(InvalidTokensKind::NotJson.into());
        }
        // The parser's own error would quote the body.
        serde_json::from_slice(body).map_err(|_| InvalidTokensKind::NotJson.into())
    }

    /// Since the epoch.
    pub(crate) fn expires_at(&self) -> Option<Duration> {
        exact_seconds(self.expires_at.as_ref()?)
    }

    /// From issue to expiry.
    pub(crate) fn lifetime(&self) -> Option<Duration> {
        exact_seconds(self.lifetime.as_ref()?)
    }

    pub(crate) fn sign_in(&self) -> Option<&str> {
        self.sign_in.as_ref()?.as_str()
    }

    /// `None` if it is something of a server's.
    pub(crate) fn generation(&self) -> Result<Option<u64>, InvalidTokens> {
        let number = self.generation.as_ref();
        // It could not be counted up for ever.
        if number
            .and_then(Value::as_f64)
            .is_some_and(|it| it >= i64::MAX as f64)
        {
            return Err(InvalidTokensKind::NotJson.into());
        }
        Ok(number.and_then(Value::as_u64))
    }

    pub(crate) fn idempotency_key(&self) -> Option<IdempotencyKey> {
        IdempotencyKey::from_secret(self.idempotency_key.as_ref()?.as_str()?)
    }

    pub(crate) fn dpop_key(&self) -> Option<DpopKey> {
        DpopKey::from_secret(self.dpop_key.as_ref()?.as_str()?)
    }

    /// Where the cookie counts, whatever else is written.
    #[cfg(feature = "http")]
    pub(crate) fn without_refresh_token(mut self) -> Self {
        self.refresh_token = None;
        self.refresh_token_camel = None;
        self
    }

    /// The tokens; `kept` stands in for a refresh token that the server did not repeat, or left empty.
    /// They must be bound to `key` if there is one, else to none.
    pub(crate) fn into_tokens(
        self,
        kept: Option<&RefreshToken>,
        key: Option<&DpopKey>,
    ) -> Result<TokenSet, InvalidTokens> {
        let token_type = self.token_type.or(self.token_type_camel);
        let (wanted, otherwise) = match key {
            None => ("bearer", InvalidTokensKind::NotBearer),
            Some(_) => ("dpop", InvalidTokensKind::NotBound),
        };
        // The member is required (RFC 6749 section 5.1), but only a binding has to be certain.
        let is_wanted = token_type.map_or(key.is_none(), |name| name.eq_ignore_ascii_case(wanted));
        if !is_wanted {
            return Err(otherwise.into());
        }
        let access = self
            .access_token
            .or(self.access_token_camel)
            .map(AccessToken::new)
            .map(|token| match key {
                None => token,
                Some(key) => token.bound_to(key.clone()),
            })
            .ok_or(InvalidTokensKind::NoAccessToken)?;
        let refresh = self
            .refresh_token
            .or(self.refresh_token_camel)
            .filter(|token| !token.is_empty())
            .map(RefreshToken::new)
            .or_else(|| kept.cloned())
            .ok_or(InvalidTokensKind::NoRefreshToken)?;
        let expiry = self.expires_in.or(self.expires_in_camel);
        let tokens = TokenSet {
            access,
            refresh,
            expiry: expiry.as_ref().and_then(seconds).map(Expiry::In),
            lifetime: None,
            generation: super::FIRST_GENERATION,
            is_idempotent: matches!(self.idempotent, Some(Value::Bool(true))),
        };
        tokens.check()?;
        Ok(tokens)
    }
}

fn exact_seconds(value: &Value) -> Option<Duration> {
    Duration::try_from_secs_f64(value.as_f64()?).ok()
}

/// Servers write seconds as integers, as floats, as text, and sometimes below zero.
fn seconds(value: &Value) -> Option<Duration> {
    let seconds = match value {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => text.trim().parse().ok()?,
        _ => return None,
    };
    if seconds.is_nan() {
        return None;
    }
    let bounded = seconds.clamp(0.0, super::LONGEST_LIFETIME.as_secs_f64());
    Duration::try_from_secs_f64(bounded).ok()
}

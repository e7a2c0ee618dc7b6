use http::HeaderMap;
use http::header::AUTHORIZATION;

use super::denial::Denial;
use super::refusal::Refusal;

/// An access token, and how it was sent.
#[derive(Clone, Copy)]
pub(super) struct Credential<'a> {
    pub(super) token: &'a str,
    pub(super) scheme: Scheme,
}

/// How an access token is sent, and what a challenge asks for (RFC 9110 s11).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Scheme {
    /// RFC 6750 s2.1.
    Bearer,
    /// RFC 9449 s7.1.
    Dpop,
}

impl<'a> Credential<'a> {
    /// The token, of the `DPoP` scheme only if `dpop` is known here.
    pub(super) fn of(headers: &'a HeaderMap, dpop: bool) -> Result<Self, Denial> {
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let (Some(value), more) = (values.next(), values.next()) else {
            return Err(Denial::NoToken);
        };
        let value = value.to_str().ok().filter(|_| more.is_none());
        let value = value.ok_or(Refusal::invalid(
            "Authorization occurs twice, or is no text",
        ))?;
        let (scheme, token) = value.split_once(' ').ok_or(Denial::NoToken)?;
        let scheme = match () {
            () if scheme.eq_ignore_ascii_case("bearer") => Scheme::Bearer,
            () if dpop && scheme.eq_ignore_ascii_case("dpop") => Scheme::Dpop,
            () => return Err(Denial::NoToken),
        };
        let token = token.trim();
        Ok(Self { token, scheme })
    }
}

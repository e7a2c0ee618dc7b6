use http::Method;

use super::read::Media;
use super::refusal::Refusal;

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    Refresh,
    Token,
    Revoke,
    LogOut,
    Keys,
    Metadata,
}

pub(super) const REFRESH: &str = "/refresh";
pub(super) const TOKEN: &str = "/token";
pub(super) const REVOKE: &str = "/revoke";
pub(super) const LOG_OUT: &str = "/logout";
pub(super) const KEYS: &str = "/.well-known/jwks.json";
pub(super) const METADATA: &str = "/.well-known/oauth-authorization-server";

impl Route {
    pub(super) fn of(method: &Method, path: &str) -> Result<Self, Refusal> {
        let route = match path {
            REFRESH => Self::Refresh,
            TOKEN => Self::Token,
            REVOKE => Self::Revoke,
            LOG_OUT => Self::LogOut,
            KEYS => Self::Keys,
            METADATA => Self::Metadata,
            _ => return Err(Refusal::UNKNOWN_PATH),
        };
        let allowed = match route {
            Self::Keys | Self::Metadata => "GET, HEAD",
            _ => "POST",
        };
        if allowed.split(", ").any(|it| it == method.as_str()) {
            Ok(route)
        } else {
            Err(Refusal::wrong_method(allowed))
        }
    }

    pub(super) fn media(self) -> Media {
        match self {
            Self::Token | Self::Revoke => Media::Form,
            _ => Media::Json,
        }
    }
}

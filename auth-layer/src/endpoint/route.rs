use http::Method;

use super::read::Media;
use super::refusal::Refusal;
use crate::refresh_token::SessionId;

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    Refresh,
    Token,
    Revoke,
    Introspect,
    LogOut,
    Sessions(Wish),
    Keys,
    Metadata,
}

/// What a user wants with their sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    List,
    End(SessionId),
    EndOthers,
}

pub(super) const REFRESH: &str = "/refresh";
pub(super) const TOKEN: &str = "/token";
pub(super) const REVOKE: &str = "/revoke";
pub(super) const INTROSPECT: &str = "/introspect";
pub(super) const LOG_OUT: &str = "/logout";
pub(super) const SESSIONS: &str = "/sessions";
pub(super) const KEYS: &str = "/.well-known/jwks.json";
pub(super) const METADATA: &str = "/.well-known/oauth-authorization-server";

impl Route {
    pub(super) fn of(method: &Method, path: &str) -> Result<Self, Refusal> {
        let is_delete = method == Method::DELETE;
        let (route, allowed) = match path {
            REFRESH => (Self::Refresh, "POST"),
            TOKEN => (Self::Token, "POST"),
            REVOKE => (Self::Revoke, "POST"),
            INTROSPECT => (Self::Introspect, "POST"),
            LOG_OUT => (Self::LogOut, "POST"),
            SESSIONS if is_delete => (Self::Sessions(Wish::EndOthers), "DELETE"),
            SESSIONS => (Self::Sessions(Wish::List), "GET, HEAD, DELETE"),
            KEYS => (Self::Keys, "GET, HEAD"),
            METADATA => (Self::Metadata, "GET, HEAD"),
            _ => (Self::Sessions(Wish::End(session(path)?)), "DELETE"),
        };
        if allowed.split(", ").any(|it| it == method.as_str()) {
            Ok(route)
        } else {
            Err(Refusal::wrong_method(allowed))
        }
    }

    /// What its body must be written in, if it is read at all.
    pub(super) fn media(self) -> Option<Media> {
        match self {
            Self::Token | Self::Revoke | Self::Introspect => Some(Media::Form),
            Self::Refresh | Self::LogOut => Some(Media::Json),
            _ => None,
        }
    }
}

fn session(path: &str) -> Result<SessionId, Refusal> {
    let sid = path
        .strip_prefix(SESSIONS)
        .and_then(|it| it.strip_prefix('/'));
    sid.and_then(|it| it.parse().ok())
        .ok_or(Refusal::UNKNOWN_PATH)
}

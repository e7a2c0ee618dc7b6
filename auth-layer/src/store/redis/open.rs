use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ::redis::io::tcp::TcpSettings;
use ::redis::io::tcp::socket2::TcpKeepalive;
use ::redis::{Client, ErrorKind, IntoConnectionInfo as _, RedisError, ServerError};

use crate::store::StoreError;

/// A session store that was not opened; the message says what to do.
#[derive(Debug)]
pub struct RedisOpenError {
    kind: RedisOpenErrorKind,
    source: Option<RedisError>,
}

impl RedisOpenError {
    /// Why it was not opened.
    pub fn kind(&self) -> RedisOpenErrorKind {
        self.kind
    }
}

/// Why a session store was not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RedisOpenErrorKind {
    /// The URL is none, or has a part that is unknown.
    InvalidUrl,
    /// Nobody answers there.
    Unreachable,
    /// The password is not accepted, or its user may not do what is needed.
    Denied,
    /// It is older than Redis 7.0.
    Outdated,
    /// It was used by a newer version of this crate.
    Newer,
    /// It is a replica, which takes no writes.
    Replica,
    /// Redis failed otherwise: see the source.
    Failed,
}

impl fmt::Display for RedisOpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            RedisOpenErrorKind::InvalidUrl => {
                "the URL of the session store is not understood: give \
                redis://user:password@host:port/database"
            }
            RedisOpenErrorKind::Unreachable => {
                "the session store cannot be reached: see that Redis runs, and what its URL is"
            }
            RedisOpenErrorKind::Denied => {
                "the session store denies access: see its password and what its user may do"
            }
            RedisOpenErrorKind::Outdated => {
                "the session store needs Redis 7.0 or later: bring the server up to date"
            }
            RedisOpenErrorKind::Newer => {
                "the session store was used by a newer version of auth-layer: run that version"
            }
            RedisOpenErrorKind::Replica => {
                "the session store is a replica, which takes no writes: give the URL of the primary"
            }
            RedisOpenErrorKind::Failed => "the session store cannot be opened",
        })
    }
}

impl Error for RedisOpenError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_ref().map(|it| it as _)
    }
}

/// A connection that nobody has used yet.
pub(super) fn client(url: &str) -> Result<Client, RedisOpenError> {
    let invalid = |source| RedisOpenError {
        kind: RedisOpenErrorKind::InvalidUrl,
        source: Some(source),
    };
    let at = url.into_connection_info().map_err(invalid)?;
    Client::open(at.set_tcp_settings(tcp())).map_err(invalid)
}

/// Also a connection that is idle, or that waits for the other end, finds out that nobody is there.
fn tcp() -> TcpSettings {
    let keepalive = TcpKeepalive::new()
        .with_time(Duration::from_secs(15))
        .with_interval(Duration::from_secs(5));
    let settings = TcpSettings::default().set_keepalive(keepalive);
    #[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
    let settings = settings.set_user_timeout(Duration::from_secs(30));
    settings
}

impl From<RedisOpenErrorKind> for RedisOpenError {
    fn from(kind: RedisOpenErrorKind) -> Self {
        Self { kind, source: None }
    }
}

impl From<RedisError> for RedisOpenError {
    fn from(source: RedisError) -> Self {
        let kind = match source.kind() {
            ErrorKind::AuthenticationFailed => RedisOpenErrorKind::Denied,
            _ if source.is_io_error() || source.is_timeout() => RedisOpenErrorKind::Unreachable,
            _ => server_errors(&source)
                .iter()
                .find_map(|(_, error)| kind_of(error))
                .unwrap_or(RedisOpenErrorKind::Failed),
        };
        Self {
            kind,
            source: Some(source),
        }
    }
}

/// What is not of the server's making was late.
pub(super) fn by_a_store(error: StoreError) -> RedisOpenError {
    match error.source().and_then(|it| it.downcast_ref()) {
        Some(source) => RedisError::clone(source).into(),
        None => RedisOpenErrorKind::Unreachable.into(),
    }
}

fn server_errors(error: &RedisError) -> Arc<[(usize, ServerError)]> {
    error.clone().into_server_errors().unwrap_or_default()
}

fn kind_of(error: &ServerError) -> Option<RedisOpenErrorKind> {
    // Redis 7.0 gives it no code of its own.
    let is_denied = |it: &str| it.starts_with("The user executing the script can't");
    match error.code() {
        "NOAUTH" | "WRONGPASS" | "NOPERM" => Some(RedisOpenErrorKind::Denied),
        "READONLY" => Some(RedisOpenErrorKind::Replica),
        "ERR" if error.details().is_some_and(is_denied) => Some(RedisOpenErrorKind::Denied),
        _ => None,
    }
}

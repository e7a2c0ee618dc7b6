use std::error::Error;
use std::fmt;
use std::time::Duration;

use ::redis::aio::{ConnectionManager, ConnectionManagerConfig};
use ::redis::{Client, ErrorKind, RedisError, ServerErrorKind};

/// A session store that was not opened; the message says what to do.
#[derive(Debug)]
pub struct RedisOpenError {
    kind: RedisOpenErrorKind,
    source: RedisError,
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
            RedisOpenErrorKind::Failed => "the session store cannot be opened",
        })
    }
}

impl Error for RedisOpenError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}

/// A connection that is replaced when it is lost.
pub(super) async fn connect(url: &str) -> Result<(Client, ConnectionManager), RedisOpenError> {
    let client = Client::open(url).map_err(|source| RedisOpenError {
        kind: RedisOpenErrorKind::InvalidUrl,
        source,
    })?;
    let config = ConnectionManagerConfig::new()
        .set_connection_timeout(Some(Duration::from_secs(2)))
        .set_response_timeout(Some(Duration::from_secs(2)))
        .set_max_delay(Duration::from_secs(1))
        .set_number_of_retries(2)
        .set_pipeline_buffer_size(1_024);
    let connected = ConnectionManager::new_with_config(client.clone(), config).await;
    let mut manager = connected.map_err(opened)?;
    let ping = ::redis::cmd("PING").query_async::<()>(&mut manager).await;
    ping.map_err(opened)?;
    Ok((client, manager))
}

fn opened(source: RedisError) -> RedisOpenError {
    let kind = match source.kind() {
        ErrorKind::AuthenticationFailed | ErrorKind::Server(ServerErrorKind::NoPerm) => {
            RedisOpenErrorKind::Denied
        }
        _ if source.code() == Some("NOAUTH") || source.code() == Some("WRONGPASS") => {
            RedisOpenErrorKind::Denied
        }
        _ if source.is_io_error() || source.is_timeout() => RedisOpenErrorKind::Unreachable,
        _ => RedisOpenErrorKind::Failed,
    };
    RedisOpenError { kind, source }
}

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgDatabaseError, PgSeverity};

use crate::store::{StoreError, StoreErrorKind};

/// A statement that failed, and what is known of it.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    error: Arc<sqlx::Error>,
    had_effect: Effect,
}

/// Whether a failed statement changed anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    None,
    Unknown,
}

impl Failure {
    /// There was no connection to run it on.
    pub(super) fn before(error: sqlx::Error) -> Self {
        Self {
            error: error.into(),
            had_effect: Effect::None,
        }
    }

    /// The server rolls back what it answers with an error. Where the connection was lost, nobody
    /// knows.
    pub(super) fn during(error: sqlx::Error) -> Self {
        let had_effect = match severity(&error) {
            Some(PgSeverity::Error) => Effect::None,
            _ => Effect::Unknown,
        };
        Self {
            error: error.into(),
            had_effect,
        }
    }

    pub(super) fn timeout(after: Duration) -> Self {
        let error = format!("no answer within {} s", after.as_secs());
        Self::during(io::Error::new(io::ErrorKind::TimedOut, error).into())
    }

    /// The same of a statement that only reads.
    pub(super) fn of_a_read(self) -> Self {
        Self {
            had_effect: Effect::None,
            ..self
        }
    }

    pub(super) fn is_known_to_have_done_nothing(&self) -> bool {
        self.had_effect == Effect::None
    }

    /// Two statements were in each other's way: whoever failed may go again at once.
    pub(super) fn is_conflict(&self) -> bool {
        matches!(self.code(), "40001" | "40P01")
    }

    /// It is about a single row: a value that cannot be kept, or somebody else's lock. The rest of a
    /// batch is better off without it.
    pub(super) fn is_of_one_row(&self) -> bool {
        let code = self.code();
        code.starts_with("22") || code.starts_with("23") || matches!(code, "55P03" | "57014")
    }

    /// Another connection could fare better: this one is dead, or leads to a server that steps down.
    pub(super) fn is_of_the_connection(&self) -> bool {
        !self.is_conflict() && !self.is_of_one_row()
    }

    /// Nobody has to wait for one that was tried in vain for seconds.
    pub(super) fn is_worth_a_second_try(&self) -> bool {
        self.is_of_the_connection()
            && matches!(
                *self.error,
                sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::Database(_)
            )
    }

    pub(super) fn store_error(&self) -> StoreError {
        let kind = match self.code() {
            "23505" => StoreErrorKind::Conflict,
            "XX001" | "XX002" => StoreErrorKind::Damaged,
            code if code.starts_with("22") => StoreErrorKind::Rejected,
            _ => StoreErrorKind::Unavailable,
        };
        StoreError::new(kind, self.error.clone())
    }

    fn code(&self) -> &str {
        database(&self.error).map_or("", PgDatabaseError::code)
    }
}

/// Without the server's details, which may name people.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

fn severity(error: &sqlx::Error) -> Option<PgSeverity> {
    database(error).map(PgDatabaseError::severity)
}

fn database(error: &sqlx::Error) -> Option<&PgDatabaseError> {
    error
        .as_database_error()
        .and_then(|it| it.try_downcast_ref())
}

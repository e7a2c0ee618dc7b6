use sqlx::Row as _;
use sqlx::postgres::PgRow;

pub(super) use crate::store::row::session;

use crate::store::row::SessionRow;
use crate::store::{Outcome, StoreError, StoreErrorKind};

/// What the rotation that returned the row decided.
pub(super) fn outcome(row: &PgRow) -> Result<Outcome, StoreError> {
    match row.try_get::<i16, _>("last_outcome") {
        Ok(1) => Ok(Outcome::Advanced),
        Ok(2) => Ok(Outcome::Replayed),
        Ok(3) => Ok(Outcome::Late),
        Ok(4) => Ok(Outcome::Forked),
        Ok(5) => Ok(Outcome::Stale),
        Ok(6) => Ok(Outcome::Future),
        Ok(7) => Ok(Outcome::Kept),
        _ => Err(StoreErrorKind::Damaged.into()),
    }
}

impl SessionRow for PgRow {
    fn text(&self, column: &str) -> sqlx::Result<Option<&str>> {
        self.try_get(column)
    }

    fn number(&self, column: &str) -> sqlx::Result<Option<i64>> {
        self.try_get(column)
    }

    fn bytes(&self, column: &str) -> sqlx::Result<Option<&[u8]>> {
        self.try_get(column)
    }
}

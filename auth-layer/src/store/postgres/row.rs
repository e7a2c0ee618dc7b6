use sqlx::Row as _;
use sqlx::postgres::PgRow;

pub(super) use crate::store::row::{outcome, session};

use crate::store::row::SessionRow;

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

    fn last_outcome(&self) -> sqlx::Result<i64> {
        self.try_get::<i16, _>("last_outcome").map(i64::from)
    }
}

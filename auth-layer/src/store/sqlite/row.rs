use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

pub(super) use crate::store::row::session;

use crate::refresh_token::SessionId;
use crate::store::row::SessionRow;

/// The id, of whatever else is in the row.
pub(super) fn id(row: &SqliteRow) -> Option<SessionId> {
    let bytes: &[u8] = row.try_get("id").ok()?;
    Some(SessionId::from_bytes(bytes.try_into().ok()?))
}

impl SessionRow for SqliteRow {
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

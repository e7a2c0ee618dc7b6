use std::time::Duration;

use sqlx::{Row as _, SqlitePool, query};

use super::statements::unavailable;
use crate::refresh_token::SessionId;
use crate::store::{FeedListener, StoreError, StoreErrorKind};

/// Nobody tells a process what another one wrote to a file, so it looks.
pub(super) async fn feed(on: &SqlitePool, to: &FeedListener) -> Result<(), StoreError> {
    loop {
        catch_up(on, to).await?;
        tokio::time::sleep(POLL).await;
    }
}

const POLL: Duration = Duration::from_millis(500);

async fn catch_up(on: &SqlitePool, to: &FeedListener) -> Result<(), StoreError> {
    let catch_up = to.catch_up();
    let mut after = (catch_up.since().as_millis(), Vec::<u8>::new());
    loop {
        let read = query(REVOKED).bind(after.0).bind(after.1).fetch_all(on);
        let rows = read.await.map_err(unavailable)?;
        for row in &rows {
            to.revoked(id(row.try_get("id").map_err(damaged)?)?);
        }
        let Some(last) = rows.last().filter(|_| rows.len() == PAGE) else {
            break;
        };
        after = (
            last.try_get("revoked_at").map_err(damaged)?,
            last.try_get("id").map_err(damaged)?,
        );
    }
    catch_up.done();
    Ok(())
}

const PAGE: usize = 4_096;

/// The predicate of the index, then its order.
pub(super) const REVOKED: &str = "SELECT revoked_at, id FROM auth_session WHERE revoked_at IS NOT NULL \
    AND (revoked_at, id) > (?1, ?2) ORDER BY revoked_at, id LIMIT 4096";

fn id(bytes: &[u8]) -> Result<SessionId, StoreError> {
    let bytes = bytes.try_into().map_err(|_| StoreErrorKind::Damaged)?;
    Ok(SessionId::from_bytes(bytes))
}

fn damaged(error: sqlx::Error) -> StoreError {
    StoreError::new(StoreErrorKind::Damaged, error)
}

use std::time::Duration;

use rusqlite::{Connection, Row, params};

use super::failure;
use super::reader::Reader;
use crate::clock::Timestamp;
use crate::refresh_token::SessionId;
use crate::store::feed::pages::{Pages, Revoked};
use crate::store::{FeedListener, StoreError};

/// Nobody tells a process what another one wrote to a file, so it looks.
pub(super) async fn feed(on: &Reader, to: &FeedListener) -> Result<(), StoreError> {
    loop {
        catch_up(on, to).await?;
        tokio::time::sleep(POLL).await;
    }
}

const POLL: Duration = Duration::from_millis(500);

async fn catch_up(on: &Reader, to: &FeedListener) -> Result<(), StoreError> {
    let mut next = Some(Pages::new(to));
    while let Some(pages) = next {
        let after = pages.after;
        let page = on
            .read(move |on| page(on, after).map_err(failure::of))
            .await?;
        next = pages.tell(&page);
    }
    Ok(())
}

/// The predicate of the index, then its order.
pub(super) const REVOKED: &str = "SELECT revoked_at, id FROM auth_session WHERE revoked_at IS NOT NULL \
    AND (revoked_at, id) > (?1, ?2) ORDER BY revoked_at, id LIMIT ?3";

fn page(on: &Connection, after: Revoked) -> rusqlite::Result<Vec<Revoked>> {
    let mut read = on.prepare_cached(REVOKED)?;
    let from = params![after.at.as_millis(), after.id.as_bytes(), Pages::SIZE];
    read.query_map(from, revoked)?.collect()
}

fn revoked(row: &Row<'_>) -> rusqlite::Result<Revoked> {
    Ok(Revoked {
        at: Timestamp::from_millis(row.get("revoked_at")?),
        id: SessionId::from_bytes(row.get("id")?),
    })
}

use std::io;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions, PgRow};
use sqlx::{PgPool, Row as _, query};

use super::open;
use crate::clock::Timestamp;
use crate::refresh_token::SessionId;
use crate::store::feed::pages::{Pages, Revoked};
use crate::store::{FeedListener, StoreError, StoreErrorKind};

/// Listens on a connection of its own, so that no pool is too small for it.
pub(super) async fn feed(options: &PgConnectOptions, to: &FeedListener) -> Result<(), StoreError> {
    let mut on = listen(options).await?;
    loop {
        catch_up(&mut on, to).await?;
        if let Ok(lost) = tokio::time::timeout(POLL, hear(&mut on, to)).await {
            return Err(unavailable(lost));
        }
    }
}

/// Also finds what was revoked by hand, and a connection that died in silence.
const POLL: Duration = Duration::from_secs(5);
const LONGEST_ANSWER: Duration = Duration::from_secs(5);

async fn listen(options: &PgConnectOptions) -> Result<PgListener, StoreError> {
    let connecting = async {
        let name = options.get_application_name().unwrap_or("auth-layer");
        let named = options.clone().application_name(&format!("{name} feed"));
        let only = connection(named);
        let mut on = PgListener::connect_with(&only).await?;
        on.ignore_pool_close_event(true);
        on.eager_reconnect(false);
        on.listen("auth_session_revoked").await?;
        Ok(on)
    };
    in_time(connecting).await
}

fn connection(options: PgConnectOptions) -> PgPool {
    PgPoolOptions::new()
        .max_connections(1)
        .max_lifetime(None)
        .idle_timeout(None)
        .acquire_timeout(LONGEST_ANSWER)
        .after_connect(|on, _| Box::pin(open::settle(on)))
        .connect_lazy_with(options)
}

async fn catch_up(on: &mut PgListener, to: &FeedListener) -> Result<(), StoreError> {
    let mut next = Some(Pages::new(to));
    while let Some(pages) = next {
        let read = query(REVOKED)
            .bind(pages.after.at.as_millis())
            .bind(*pages.after.id.as_bytes())
            .bind(i64::from(Pages::SIZE))
            .fetch_all(&mut *on);
        let page = in_time(read).await?;
        let page = page.iter().map(revoked).collect::<Result<Vec<_>, _>>()?;
        next = pages.tell(&page);
    }
    Ok(())
}

/// The predicate of the index, then its order.
const REVOKED: &str = "SELECT revoked_at, id FROM auth_session WHERE revoked_at IS NOT NULL \
    AND (revoked_at, id) > ($1, $2) ORDER BY revoked_at, id LIMIT $3";

fn revoked(row: &PgRow) -> Result<Revoked, StoreError> {
    Ok(Revoked {
        at: Timestamp::from_millis(row.try_get("revoked_at").map_err(damaged)?),
        id: SessionId::from_bytes(row.try_get("id").map_err(damaged)?),
    })
}

/// Returns how the connection was lost.
async fn hear(on: &mut PgListener, to: &FeedListener) -> sqlx::Error {
    loop {
        match on.try_recv().await {
            Ok(Some(news)) => {
                if let Ok(id) = news.payload().parse() {
                    to.revoked(id);
                }
            }
            Ok(None) => return io::Error::from(io::ErrorKind::ConnectionReset).into(),
            Err(error) => return error,
        }
    }
}

async fn in_time<T>(work: impl Future<Output = sqlx::Result<T>>) -> Result<T, StoreError> {
    match tokio::time::timeout(LONGEST_ANSWER, work).await {
        Ok(result) => result.map_err(unavailable),
        Err(_) => Err(unavailable(io::Error::from(io::ErrorKind::TimedOut).into())),
    }
}

fn unavailable(error: sqlx::Error) -> StoreError {
    StoreError::new(StoreErrorKind::Unavailable, error)
}

fn damaged(error: sqlx::Error) -> StoreError {
    StoreError::new(StoreErrorKind::Damaged, error)
}

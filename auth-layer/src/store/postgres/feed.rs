use std::io;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use sqlx::{PgPool, Row as _, query};

use super::open;
use crate::refresh_token::SessionId;
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
    let catch_up = to.catch_up();
    let mut after = (catch_up.since().as_millis(), Vec::<u8>::new());
    loop {
        let read = query(REVOKED)
            .bind(after.0)
            .bind(after.1)
            .fetch_all(&mut *on);
        let rows = in_time(read).await?;
        for row in &rows {
            to.revoked(SessionId::from_bytes(row.try_get("id").map_err(damaged)?));
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
const REVOKED: &str = "SELECT revoked_at, id FROM auth_session WHERE revoked_at IS NOT NULL \
    AND (revoked_at, id) > ($1, $2) ORDER BY revoked_at, id LIMIT 4096";

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

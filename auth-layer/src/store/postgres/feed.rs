use std::io;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection, PgListener, PgPoolOptions, PgRow};
use sqlx::{Acquire as _, Connection as _, PgPool, Row as _, query};

use super::open;
use super::statements::Connections;
use crate::clock::Timestamp;
use crate::refresh_token::SessionId;
use crate::store::feed::pages::{Pages, Revoked};
use crate::store::{FeedListener, StoreError, StoreErrorKind};

/// On a connection of its own, so that no pool is too small for it.
///
/// Through a pooler it must not listen: the server connection would go on listening for the next application.
pub(super) async fn feed(with: &Connections, to: &FeedListener) -> Result<(), StoreError> {
    let options = named(&with.pool.connect_options());
    let direct = connection(open::settled(options.clone()));
    if !in_time(open::is_direct(&direct)).await? {
        tracing::warn!(
            target: "auth_layer::store", every = ?OFTEN,
            "a pooler stands before the session store, where notifications do not arrive: the feed polls"
        );
        return poll(&connection(options), to).await;
    }
    let mut on = listen(&direct).await?;
    loop {
        catch_up(in_time(on.acquire()).await?, true, to).await?;
        if let Ok(lost) = tokio::time::timeout(SELDOM, hear(&mut on, to)).await {
            return Err(unavailable(lost));
        }
    }
}

/// Also finds what was revoked by hand, and a connection that was lost without a sign.
const SELDOM: Duration = Duration::from_secs(5);
const OFTEN: Duration = Duration::from_millis(500);
const LONGEST_ANSWER: Duration = Duration::from_secs(5);

async fn poll(only: &PgPool, to: &FeedListener) -> Result<(), StoreError> {
    loop {
        let mut on = in_time(only.acquire()).await?;
        catch_up(&mut on, false, to).await?;
        drop(on);
        tokio::time::sleep(OFTEN).await;
    }
}

async fn listen(only: &PgPool) -> Result<PgListener, StoreError> {
    let connecting = async {
        let mut on = PgListener::connect_with(only).await?;
        on.ignore_pool_close_event(true);
        on.eager_reconnect(false);
        on.listen("auth_session_revoked").await?;
        Ok(on)
    };
    in_time(connecting).await
}

fn named(options: &PgConnectOptions) -> PgConnectOptions {
    let name = options.get_application_name().unwrap_or("auth-layer");
    let name = format!("{name} feed");
    options.clone().application_name(&name)
}

fn connection(options: PgConnectOptions) -> PgPool {
    PgPoolOptions::new()
        .max_connections(1)
        .max_lifetime(None)
        .idle_timeout(None)
        .acquire_timeout(LONGEST_ANSWER)
        .connect_lazy_with(options)
}

async fn catch_up(
    on: &mut PgConnection,
    is_settled: bool,
    to: &FeedListener,
) -> Result<(), StoreError> {
    let mut next = Some(Pages::new(to));
    while let Some(pages) = next {
        let read = async {
            // Any index will do, and what is read is little.
            let begin = "BEGIN READ ONLY; SET LOCAL enable_seqscan = off";
            let mut within = on.begin_with(begin).await?;
            let page = query(REVOKED)
                .bind(pages.after.at.as_millis())
                .bind(*pages.after.id.as_bytes())
                .bind(i64::from(Pages::SIZE))
                .persistent(is_settled)
                .fetch_all(&mut *within)
                .await?;
            within.commit().await?;
            Ok(page)
        };
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

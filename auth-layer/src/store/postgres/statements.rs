use std::time::Duration;

use sqlx::postgres::{PgArguments, PgConnection, PgRow};
use sqlx::query::Query;
use sqlx::{
    Connection as _, Executor as _, PgPool, Postgres, Row as _, SqlSafeStr as _, Transaction, query,
};
use tokio::time::Instant;

use super::batch::{Batch, Rows};
use super::failure::Failure;
use super::open::BEGIN;
use super::row;
use crate::clock::Timestamp;
use crate::refresh_token::SessionId;
use crate::store::{
    LIST_LIMIT, RevokedBy, Rotation, Selection, Session, StoreError, StoreErrorKind,
};

/// Rotates all sessions of the batch in one transaction, then answers. After a failure, who is left
/// in it was not answered.
pub(super) async fn rotate(
    on: &mut PgConnection,
    is_settled: bool,
    batch: &mut Batch,
) -> Result<(), Failure> {
    let rotated = if is_settled {
        // To parse a new statement may wait for a lock on the table, and must not count as begun.
        let prepared = in_time(LONGEST_STATEMENT, on.prepare(ROTATE.into_sql_str()));
        prepared.await.map_err(Failure::of_a_read)?;
        let Some(rotations) = begin(batch) else {
            return Ok(());
        };
        in_time(LONGEST_ROTATION, rotations.fetch_all(&mut *on)).await?
    } else {
        let within = in_time(LONGEST_STATEMENT, on.begin_with(BEGIN));
        let within = within.await.map_err(Failure::of_a_read)?;
        let Some(rotations) = begin(batch) else {
            return Ok(());
        };
        in_time(LONGEST_ROTATION, alone(within, rotations)).await?
    };
    batch.decided(by_id(rotated));
    if batch.is_empty() {
        return Ok(());
    }
    let dead: Vec<_> = batch.rotations().map(id).collect();
    let found = fetch(on, is_settled, query(FIND).bind(dead)).await;
    batch.dead(&by_id(found.map_err(Failure::of_a_read)?));
    Ok(())
}

/// From here on the callers wait for the outcome. None if no caller is left.
fn begin(batch: &mut Batch) -> Option<Query<'static, Postgres, PgArguments>> {
    let now = Instant::now();
    batch.begin(now);
    (!batch.is_empty()).then(|| bind_rotations(batch, now))
}

fn bind_rotations(batch: &Batch, now: Instant) -> Query<'static, Postgres, PgArguments> {
    fn column<T>(batch: &Batch, of: impl Fn(&Rotation) -> T) -> Vec<T> {
        batch.rotations().map(of).collect()
    }
    let patience = batch.patience(now).map(|it| it.as_secs_f64() * 1_000.0);
    query(ROTATE)
        .bind(column(batch, id))
        .bind(column(batch, |it| count(it.generation)))
        .bind(column(batch, |it| *it.presented.as_bytes()))
        .bind(column(batch, |it| *it.child.as_bytes()))
        .bind(column(batch, |it| it.keyed))
        .bind(column(batch, |it| it.now.as_millis()))
        .bind(column(batch, |it| it.now.plus(it.idle).as_millis()))
        .bind(column(batch, |it| {
            it.forgiven_since().map(Timestamp::as_millis)
        }))
        .bind(column(batch, |it| it.client_id.clone()))
        .bind(column(batch, |it| it.ip.map(|it| it.to_string())))
        .bind(column(batch, |it| it.user_agent.clone()))
        .bind(column(batch, |it| it.jkt.map(|it| *it.as_bytes())))
        .bind(column(batch, |it| it.keep_bound))
        .bind(patience.collect::<Vec<_>>())
        .bind(column(batch, |it| it.tag_key_id.map(i64::from)))
}

const ROTATE: &str = include_str!("rotate.sql");

/// Conditional on the epoch of its subject, whose row is locked up to the commit: a revocation of all sessions either comes
/// first, and is seen here, or finds the session.
pub(super) async fn insert(
    pool: &Connections,
    it: &Session,
    epoch: Option<u64>,
) -> Result<(), StoreError> {
    let millis = Timestamp::as_millis;
    let chain = &it.chain;
    let inserted = ask(pool, Repeat::Never, |_| {
        let insert = query(if epoch.is_some() { INSERT_IF } else { INSERT })
            .bind(*it.id.as_bytes())
            .bind(&it.subject)
            .bind(&it.client_id)
            .bind(it.scopes.to_string())
            .bind(&it.label)
            .bind(it.claims.to_json())
            .bind(millis(it.auth_time))
            .bind(millis(it.created_at))
            .bind(count(chain.generation))
            .bind(*chain.current.as_bytes())
            .bind(chain.previous.map(|it| *it.as_bytes()))
            .bind(millis(chain.rotated_at))
            .bind(millis(chain.idle_expires_at))
            .bind(millis(chain.absolute_expires_at))
            .bind(chain.revoked_at.map(millis))
            .bind(it.revoked_by.map(RevokedBy::as_str))
            .bind(it.ip.map(|it| it.to_string()))
            .bind(&it.user_agent)
            .bind(it.jkt.map(|it| *it.as_bytes()))
            .bind(chain.tag_key_id.map(i64::from));
        match epoch {
            Some(epoch) => insert.bind(count(epoch)),
            None => insert,
        }
    });
    match inserted.await?.is_empty() {
        true => Err(StoreErrorKind::Revoked.into()),
        false => Ok(()),
    }
}

pub(super) async fn epoch(pool: &Connections, subject: &str) -> Result<u64, StoreError> {
    let rows = ask(pool, Repeat::Safe, |_| query(EPOCH).bind(subject)).await?;
    let epoch = rows.first().map(|row| row.try_get::<i64, _>("epoch"));
    let damaged = |error| StoreError::new(StoreErrorKind::Damaged, error);
    let epoch = epoch.transpose().map_err(damaged)?;
    Ok(epoch.map_or(0, |it| u64::try_from(it).unwrap_or(0)))
}

/// Asked again after its answer was lost, it also returns what was revoked at the same time by the
/// same cause: better told twice than never.
pub(super) async fn revoke(
    pool: &Connections,
    selection: &Selection,
    by: RevokedBy,
    now: Timestamp,
) -> Result<Vec<Session>, StoreError> {
    let (id, subject, keep) = columns(selection);
    if let Some(subject) = subject {
        // Committed first: a session whose insertion this has waited for is one that the next statement sees.
        ask(pool, Repeat::Safe, |_| query(NEXT_EPOCH).bind(subject)).await?;
    }
    let rows = ask(pool, Repeat::Safe, |is_repeat| {
        let statement = if id.is_some() {
            REVOKE_ONE
        } else {
            REVOKE_SUBJECT
        };
        query(statement)
            .bind(now.as_millis())
            .bind(by.as_str())
            .bind(is_repeat)
            .bind(id.or(keep))
            .bind(subject)
    });
    rows.await?.iter().map(row::session).collect()
}

pub(super) async fn list(
    pool: &Connections,
    selection: &Selection,
    now: Timestamp,
) -> Result<Vec<Session>, StoreError> {
    let (id, subject, keep) = columns(selection);
    let rows = ask(pool, Repeat::Safe, |_| {
        let statement = if id.is_some() { LIST_ONE } else { LIST_SUBJECT };
        query(statement)
            .bind(now.as_millis())
            .bind(LIST_LIMIT as i64)
            .bind(id.or(keep))
            .bind(subject)
    });
    rows.await?.iter().map(row::session).collect()
}

pub(super) async fn delete_expired(
    pool: &Connections,
    before: Timestamp,
    limit: u32,
) -> Result<u64, StoreError> {
    let deleted = ask(pool, Repeat::Never, |_| {
        query(DELETE_EXPIRED)
            .bind(before.as_millis())
            .bind(i64::from(limit))
    });
    Ok(deleted.await?.len() as u64)
}

/// Connections, and whether they have the settings that the statements want. Where they have not, perhaps as a pooler is in
/// between, each statement sets them for its own transaction.
#[derive(Clone, Debug)]
pub(super) struct Connections {
    pub(super) pool: PgPool,
    pub(super) are_settled: bool,
}

/// Whether a statement whose answer was lost may be run again.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Repeat {
    Safe,
    Never,
}

/// Runs a statement of its own, on another connection if the first one fails.
async fn ask<'q>(
    pool: &Connections,
    repeat: Repeat,
    statement: impl Fn(bool) -> Query<'q, Postgres, PgArguments> + Send,
) -> Result<Vec<PgRow>, StoreError> {
    let mut lost = false;
    for tries_left in (0..MOST_TRIES).rev() {
        let failure = match once(pool, statement(lost)).await {
            Ok(rows) => return Ok(rows),
            Err(failure) => failure,
        };
        tracing::warn!(target: "auth_layer::store", %failure, "a statement failed");
        let harmless = failure.is_known_to_have_done_nothing();
        let again = failure.is_conflict()
            || !lost && failure.is_worth_a_second_try() && (harmless || repeat == Repeat::Safe);
        if !again || tries_left == 0 {
            return Err(failure.store_error());
        }
        lost |= !failure.is_conflict();
    }
    Err(StoreErrorKind::Unavailable.into())
}

const MOST_TRIES: u32 = 5;

async fn once(
    pool: &Connections,
    query: Query<'_, Postgres, PgArguments>,
) -> Result<Vec<PgRow>, Failure> {
    let mut on = pool.pool.acquire().await.map_err(Failure::before)?;
    let result = fetch(&mut on, pool.are_settled, query).await;
    if result.as_ref().is_err_and(Failure::is_of_the_connection) {
        on.close_on_drop();
    }
    result
}

/// All rows, once the transaction is committed: sqlx reads up to `ReadyForQuery`.
async fn fetch(
    on: &mut PgConnection,
    is_settled: bool,
    query: Query<'_, Postgres, PgArguments>,
) -> Result<Vec<PgRow>, Failure> {
    if is_settled {
        return in_time(LONGEST_STATEMENT, query.fetch_all(on)).await;
    }
    let work = async { alone(on.begin_with(BEGIN).await?, query).await };
    in_time(LONGEST_STATEMENT, work).await
}

/// A statement of its own, for a connection that may lead to another server in the next transaction: it leaves neither a
/// setting nor a prepared statement behind.
async fn alone(
    mut within: Transaction<'_, Postgres>,
    query: Query<'_, Postgres, PgArguments>,
) -> sqlx::Result<Vec<PgRow>> {
    let rows = query.persistent(false).fetch_all(&mut *within).await?;
    within.commit().await?;
    Ok(rows)
}

async fn in_time<T>(
    limit: Duration,
    work: impl Future<Output = sqlx::Result<T>>,
) -> Result<T, Failure> {
    match tokio::time::timeout(limit, work).await {
        Ok(done) => done.map_err(Failure::during),
        Err(_) => Err(Failure::timeout(limit)),
    }
}

/// The server gives up before; this is for one that cannot say so.
const LONGEST_STATEMENT: Duration = Duration::from_secs(9);
/// A rotation that was sent may have happened, so its caller waits for the outcome. A server that is silent for this long is
/// taken for a lost connection: the client has gone by then.
const LONGEST_ROTATION: Duration = Duration::from_secs(30);

/// A row whose id makes no sense belongs to nobody.
fn by_id(rows: Vec<PgRow>) -> Rows {
    let id = |row: &PgRow| row.try_get("id").map(SessionId::from_bytes);
    rows.into_iter()
        .filter_map(|row| Some((id(&row).ok()?, row)))
        .collect()
}

fn id(rotation: &Rotation) -> [u8; 16] {
    *rotation.session.as_bytes()
}

type Columns<'a> = (Option<[u8; 16]>, Option<&'a str>, Option<[u8; 16]>);

/// The id of one, or the subject and the id that is not meant.
fn columns(selection: &Selection) -> Columns<'_> {
    match selection {
        Selection::One(id) => (Some(*id.as_bytes()), None, None),
        Selection::Subject(subject) => (None, Some(subject), None),
        Selection::Others { subject, keep } => (None, Some(subject), Some(*keep.as_bytes())),
    }
}

/// Generations end below `i64::MAX`: the token's format sees to it.
fn count(generation: u64) -> i64 {
    i64::try_from(generation).unwrap_or(i64::MAX)
}

// Columns have names everywhere: a newer schema may have more of them.
macro_rules! columns {
    () => {
        "id, subject, client_id, scopes, label, claims, auth_time, created_at, generation, \
        current_hash, previous_hash, rotated_at, idle_expires_at, absolute_expires_at, revoked_at, \
        revoked_by, ip, user_agent, jkt, tag_key_id, last_outcome"
    };
}

// Commits with a notification wait for each other: only for rows that are revoked. As in rotate.sql.
macro_rules! notify {
    () => {
        ", pg_notify('auth_session_revoked', \
        rtrim(translate(encode(id, 'base64'), '+/', '-_'), '='))::text AS told"
    };
}

const FIND: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM auth_session WHERE id = ANY($1)"
);

macro_rules! insert {
    () => {
        "INSERT INTO auth_session (id, subject, client_id, scopes, label, claims, \
        auth_time, created_at, generation, current_hash, previous_hash, rotated_at, idle_expires_at, \
        absolute_expires_at, revoked_at, revoked_by, ip, user_agent, jkt, tag_key_id) \
        SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20"
    };
}

const INSERT: &str = concat!(insert!(), " RETURNING id");

/// The row of the subject is locked in its newest version, also if another transaction has just changed it.
const INSERT_IF: &str = concat!(
    "WITH subject AS (INSERT INTO auth_subject AS s (subject, epoch) VALUES ($2, 0) \
    ON CONFLICT (subject) DO UPDATE SET epoch = s.epoch RETURNING s.epoch) ",
    insert!(),
    " FROM subject WHERE subject.epoch = $21 RETURNING id"
);

const EPOCH: &str = "SELECT epoch FROM auth_subject WHERE subject = $1";

const NEXT_EPOCH: &str = "INSERT INTO auth_subject AS s (subject, epoch) VALUES ($1, 1) \
    ON CONFLICT (subject) DO UPDATE SET epoch = s.epoch + 1 RETURNING s.epoch";

const REVOKE_ONE: &str = concat!(
    "UPDATE auth_session SET revoked_at = $1, revoked_by = $2 \
    WHERE (revoked_at IS NULL OR $3 AND revoked_at = $1 AND revoked_by = $2) \
    AND id = $4 AND $5::text IS NULL RETURNING ",
    columns!(),
    notify!()
);
const REVOKE_SUBJECT: &str = concat!(
    "UPDATE auth_session SET revoked_at = $1, revoked_by = $2 \
    WHERE (revoked_at IS NULL OR $3 AND revoked_at = $1 AND revoked_by = $2) \
    AND subject = $5 AND id IS DISTINCT FROM $4 RETURNING ",
    columns!(),
    notify!()
);

const LIST_ONE: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM auth_session WHERE revoked_at IS NULL AND idle_expires_at > $1 \
    AND absolute_expires_at > $1 AND id = $3 AND $4::text IS NULL LIMIT $2"
);
const LIST_SUBJECT: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM auth_session WHERE revoked_at IS NULL AND idle_expires_at > $1 \
    AND absolute_expires_at > $1 AND subject = $4 AND id IS DISTINCT FROM $3 \
    ORDER BY created_at DESC, id LIMIT $2"
);

/// Two that clean up at once, or meet a rotation, pass each other by.
const DELETE_EXPIRED: &str = "DELETE FROM auth_session WHERE id = ANY(ARRAY(\
    SELECT id FROM auth_session WHERE absolute_expires_at < $1 LIMIT $2 FOR UPDATE SKIP LOCKED)) \
    RETURNING id";

use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteConnection};
use sqlx::{Sqlite, SqlitePool, query};

use super::row;
use crate::clock::Timestamp;
use crate::store::{LIST_LIMIT, RevokedBy, Selection, Session, StoreError, StoreErrorKind};

pub(super) async fn insert(on: &mut SqliteConnection, it: &Session) -> Result<(), StoreError> {
    let millis = Timestamp::as_millis;
    let chain = &it.chain;
    query(INSERT)
        .bind(&it.id.as_bytes()[..])
        .bind(&it.subject)
        .bind(&it.client_id)
        .bind(it.scopes.to_string())
        .bind(&it.label)
        .bind(it.claims.to_json())
        .bind(millis(it.auth_time))
        .bind(millis(it.created_at))
        .bind(count(chain.generation))
        .bind(&chain.current.as_bytes()[..])
        .bind(chain.previous.as_ref().map(|it| &it.as_bytes()[..]))
        .bind(millis(chain.rotated_at))
        .bind(millis(chain.idle_expires_at))
        .bind(millis(chain.absolute_expires_at))
        .bind(chain.revoked_at.map(millis))
        .bind(it.revoked_by.map(RevokedBy::as_str))
        .bind(it.ip.map(|it| it.to_string()))
        .bind(&it.user_agent)
        .bind(it.jkt.as_ref().map(|it| &it.as_bytes()[..]))
        .execute(on)
        .await
        .map_err(unavailable)?;
    Ok(())
}

pub(super) async fn revoke(
    on: &mut SqliteConnection,
    selection: &Selection,
    by: RevokedBy,
    now: Timestamp,
) -> Result<Vec<Session>, StoreError> {
    let statement = match selection {
        Selection::One(_) => REVOKE_ONE,
        Selection::Subject(_) => REVOKE_SUBJECT,
        Selection::Others { .. } => REVOKE_OTHERS,
    };
    let query = query(statement).bind(now.as_millis()).bind(by.as_str());
    let rows = bind_selection(query, selection)
        .fetch_all(on)
        .await
        .map_err(unavailable)?;
    rows.iter().map(row::session).collect()
}

pub(super) async fn list(
    on: &SqlitePool,
    selection: &Selection,
    now: Timestamp,
) -> Result<Vec<Session>, StoreError> {
    let statement = match selection {
        Selection::One(_) => LIST_ONE,
        Selection::Subject(_) => LIST_SUBJECT,
        Selection::Others { .. } => LIST_OTHERS,
    };
    let query = query(statement)
        .bind(now.as_millis())
        .bind(LIST_LIMIT as i64);
    let rows = bind_selection(query, selection)
        .fetch_all(on)
        .await
        .map_err(unavailable)?;
    rows.iter().map(row::session).collect()
}

pub(super) async fn delete_expired(
    on: &mut SqliteConnection,
    before: Timestamp,
    limit: u32,
) -> Result<u64, StoreError> {
    let deleted = query(DELETE_EXPIRED)
        .bind(before.as_millis())
        .bind(limit)
        .execute(on)
        .await;
    Ok(deleted.map_err(unavailable)?.rows_affected())
}

fn bind_selection<'q>(
    query: Query<'q, Sqlite, SqliteArguments>,
    selection: &'q Selection,
) -> Query<'q, Sqlite, SqliteArguments> {
    match selection {
        Selection::One(id) => query.bind(&id.as_bytes()[..]),
        Selection::Subject(subject) => query.bind(subject),
        Selection::Others { subject, keep } => query.bind(subject).bind(&keep.as_bytes()[..]),
    }
}

pub(super) fn unavailable(error: sqlx::Error) -> StoreError {
    let database = error.as_database_error();
    let kind = if database.is_some_and(|it| it.is_unique_violation()) {
        StoreErrorKind::Conflict
    } else if database
        .and_then(|it| it.code())
        .is_some_and(|it| is_damage(&it))
    {
        StoreErrorKind::Damaged
    } else {
        StoreErrorKind::Unavailable
    };
    StoreError::new(kind, error)
}

/// `SQLITE_CORRUPT` or `SQLITE_NOTADB`, also in their extended forms.
pub(super) fn is_damage(code: &str) -> bool {
    code.parse::<i32>()
        .is_ok_and(|it| matches!(it & 0xff, 11 | 26))
}

/// Generations end below `i64::MAX`: the token's format sees to it.
pub(super) fn count(generation: u64) -> i64 {
    i64::try_from(generation).unwrap_or(i64::MAX)
}

const INSERT: &str = "INSERT INTO auth_session (id, subject, client_id, scopes, label, claims, \
    auth_time, created_at, generation, current_hash, previous_hash, rotated_at, idle_expires_at, \
    absolute_expires_at, revoked_at, revoked_by, ip, user_agent, jkt) \
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";

const REVOKE_ONE: &str = "UPDATE auth_session SET revoked_at = ?1, revoked_by = ?2 \
    WHERE revoked_at IS NULL AND id = ?3 RETURNING *";
const REVOKE_SUBJECT: &str = "UPDATE auth_session SET revoked_at = ?1, revoked_by = ?2 \
    WHERE revoked_at IS NULL AND subject = ?3 RETURNING *";
const REVOKE_OTHERS: &str = "UPDATE auth_session SET revoked_at = ?1, revoked_by = ?2 \
    WHERE revoked_at IS NULL AND subject = ?3 AND id <> ?4 RETURNING *";

const LIST_ONE: &str = "SELECT * FROM auth_session WHERE revoked_at IS NULL \
    AND idle_expires_at > ?1 AND absolute_expires_at > ?1 AND id = ?3 LIMIT ?2";
const LIST_SUBJECT: &str = "SELECT * FROM auth_session WHERE revoked_at IS NULL \
    AND idle_expires_at > ?1 AND absolute_expires_at > ?1 AND subject = ?3 \
    ORDER BY created_at DESC, id LIMIT ?2";
const LIST_OTHERS: &str = "SELECT * FROM auth_session WHERE revoked_at IS NULL \
    AND idle_expires_at > ?1 AND absolute_expires_at > ?1 AND subject = ?3 AND id <> ?4 \
    ORDER BY created_at DESC, id LIMIT ?2";

const DELETE_EXPIRED: &str = "DELETE FROM auth_session WHERE id IN \
    (SELECT id FROM auth_session WHERE absolute_expires_at < ? LIMIT ?)";

#[cfg(test)]
pub(super) const ALL: [&str; 7] = [
    REVOKE_ONE,
    REVOKE_SUBJECT,
    REVOKE_OTHERS,
    LIST_ONE,
    LIST_SUBJECT,
    LIST_OTHERS,
    DELETE_EXPIRED,
];

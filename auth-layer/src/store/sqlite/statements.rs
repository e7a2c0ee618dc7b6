use rusqlite::{Connection, OptionalExtension as _, ToSql, params, params_from_iter};

use super::failure;
use super::row::{self, Unread};
use crate::clock::Timestamp;
use crate::store::{LIST_LIMIT, RevokedBy, Selection, Session, StoreError, StoreErrorKind};

pub(super) fn insert(on: &Connection, it: &Session, if_in: Option<u64>) -> Result<(), StoreError> {
    if let Some(expected) = if_in
        && epoch(on, &it.subject)? != expected
    {
        return Err(StoreErrorKind::Revoked.into());
    }
    let millis = Timestamp::as_millis;
    let chain = &it.chain;
    let previous = chain.previous.as_ref();
    let mut insert = on.prepare_cached(INSERT).map_err(failure::of)?;
    let inserted = insert.execute(params![
        it.id.as_bytes(),
        it.subject,
        it.client_id,
        it.scopes.to_string(),
        it.label,
        it.claims.to_json(),
        millis(it.auth_time),
        millis(it.created_at),
        count(chain.generation),
        chain.current.as_bytes(),
        previous.map_or(&row::ROOM, |it| it.as_bytes()),
        millis(chain.rotated_at),
        millis(chain.idle_expires_at),
        millis(chain.absolute_expires_at),
        chain.revoked_at.map(millis),
        it.revoked_by.map(RevokedBy::as_str),
        it.ip.map(|it| it.to_string()),
        it.user_agent,
        it.jkt.as_ref().map(|it| it.as_bytes()),
        chain.tag_key_id,
    ]);
    inserted.map(drop).map_err(failure::of)
}

pub(super) fn epoch(on: &Connection, subject: &str) -> Result<u64, StoreError> {
    let read = on.prepare_cached(EPOCH);
    let epoch = read.and_then(|mut it| it.query_row([subject], |row| row.get(0)).optional());
    let epoch: Option<i64> = epoch.map_err(failure::of)?;
    Ok(epoch.map_or(0, |it| u64::try_from(it).unwrap_or(0)))
}

fn next_epoch(on: &Connection, subject: &str) -> Result<(), StoreError> {
    let next = on.prepare_cached(NEXT_EPOCH);
    let next = next.and_then(|mut it| it.execute([subject]));
    next.map(drop).map_err(failure::of)
}

pub(super) fn revoke(
    on: &Connection,
    selection: &Selection,
    by: RevokedBy,
    now: Timestamp,
) -> Result<Vec<Unread>, StoreError> {
    if let Some(subject) = selection.subject() {
        next_epoch(on, subject)?;
    }
    let statement = match selection {
        Selection::One(_) => REVOKE_ONE,
        Selection::Subject(_) => REVOKE_SUBJECT,
        Selection::Others { .. } => REVOKE_OTHERS,
    };
    select(on, statement, [&now.as_millis(), &by.as_str()], selection).map_err(failure::of)
}

pub(super) fn list(
    on: &Connection,
    selection: &Selection,
    now: Timestamp,
) -> Result<Vec<Unread>, StoreError> {
    let statement = match selection {
        Selection::One(_) => LIST_ONE,
        Selection::Subject(_) => LIST_SUBJECT,
        Selection::Others { .. } => LIST_OTHERS,
    };
    let limit = LIST_LIMIT as i64;
    select(on, statement, [&now.as_millis(), &limit], selection).map_err(failure::of)
}

pub(super) fn delete_expired(
    on: &Connection,
    before: Timestamp,
    limit: u32,
) -> Result<u64, StoreError> {
    let delete = on.prepare_cached(DELETE_EXPIRED);
    let deleted = delete.and_then(|mut it| it.execute(params![before.as_millis(), limit]));
    deleted.map(|it| it as u64).map_err(failure::of)
}

fn select(
    on: &Connection,
    statement: &str,
    first: [&dyn ToSql; 2],
    selection: &Selection,
) -> rusqlite::Result<Vec<Unread>> {
    let chosen: &[&dyn ToSql] = match selection {
        Selection::One(id) => &[id.as_bytes()],
        Selection::Subject(subject) => &[subject],
        Selection::Others { subject, keep } => &[subject, keep.as_bytes()],
    };
    let parameters = params_from_iter(first.iter().chain(chosen));
    let mut select = on.prepare_cached(statement)?;
    select.query_map(parameters, row::session)?.collect()
}

/// Generations end below `i64::MAX`: the token's format sees to it.
pub(super) fn count(generation: u64) -> i64 {
    i64::try_from(generation).unwrap_or(i64::MAX)
}

const INSERT: &str = "INSERT INTO auth_session (id, subject, client_id, scopes, label, claims, \
    auth_time, created_at, generation, current_hash, previous_hash, rotated_at, idle_expires_at, \
    absolute_expires_at, revoked_at, revoked_by, ip, user_agent, jkt, tag_key_id) \
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";

const EPOCH: &str = "SELECT epoch FROM auth_subject WHERE subject = ?";

const NEXT_EPOCH: &str = "INSERT INTO auth_subject (subject, epoch) VALUES (?, 1) \
    ON CONFLICT (subject) DO UPDATE SET epoch = epoch + 1";

const REVOKE_ONE: &str = concat!(
    "UPDATE auth_session SET revoked_at = ?1, revoked_by = ?2 \
    WHERE revoked_at IS NULL AND id = ?3 RETURNING ",
    row::columns!()
);
const REVOKE_SUBJECT: &str = concat!(
    "UPDATE auth_session SET revoked_at = ?1, revoked_by = ?2 \
    WHERE revoked_at IS NULL AND subject = ?3 RETURNING ",
    row::columns!()
);
const REVOKE_OTHERS: &str = concat!(
    "UPDATE auth_session SET revoked_at = ?1, revoked_by = ?2 \
    WHERE revoked_at IS NULL AND subject = ?3 AND id <> ?4 RETURNING ",
    row::columns!()
);

const LIST_ONE: &str = concat!(
    "SELECT ",
    row::columns!(),
    " FROM auth_session WHERE revoked_at IS NULL \
    AND idle_expires_at > ?1 AND absolute_expires_at > ?1 AND id = ?3 LIMIT ?2"
);
const LIST_SUBJECT: &str = concat!(
    "SELECT ",
    row::columns!(),
    " FROM auth_session WHERE revoked_at IS NULL \
    AND idle_expires_at > ?1 AND absolute_expires_at > ?1 AND subject = ?3 \
    ORDER BY created_at DESC, id LIMIT ?2"
);
const LIST_OTHERS: &str = concat!(
    "SELECT ",
    row::columns!(),
    " FROM auth_session WHERE revoked_at IS NULL \
    AND idle_expires_at > ?1 AND absolute_expires_at > ?1 AND subject = ?3 AND id <> ?4 \
    ORDER BY created_at DESC, id LIMIT ?2"
);

const DELETE_EXPIRED: &str = "DELETE FROM auth_session WHERE id IN \
    (SELECT id FROM auth_session WHERE absolute_expires_at < ? LIMIT ?)";

#[cfg(test)]
pub(super) const ALL: [&str; 8] = [
    EPOCH,
    REVOKE_ONE,
    REVOKE_SUBJECT,
    REVOKE_OTHERS,
    LIST_ONE,
    LIST_SUBJECT,
    LIST_OTHERS,
    DELETE_EXPIRED,
];

use std::collections::HashMap;
use std::fmt;

use sqlx::sqlite::{SqliteArguments, SqliteConnection};
use sqlx::{AssertSqlSafe, Sqlite, query, query::Query};

use super::row;
use super::statements::{count, unavailable};
use crate::clock::Timestamp;
use crate::refresh_token::SessionId;
use crate::store::{Dead, Outcome, RevokedBy, Rotated, Rotation, Session, StoreError};

/// Rotates one session after the other, with two statements for all of them.
///
/// The transaction has to be one that writes from its beginning: then nobody changes a session
/// between the look at it and the writing of it, and the decision can be the one that is pure.
pub(super) async fn rotate(
    on: &mut SqliteConnection,
    rotations: &[&Rotation],
) -> Result<Vec<Result<Rotated, StoreError>>, StoreError> {
    let mut sessions = find(on, rotations).await?;
    let answers = rotations
        .iter()
        .map(|it| match sessions.get_mut(&it.session) {
            Some(found) => found.rotate(it),
            None => Ok(Rotated::Dead(Dead::Unknown)),
        })
        .collect();
    let changed = sessions.values().filter_map(Found::changed).collect();
    write(on, changed).await?;
    Ok(answers)
}

struct Found {
    session: Result<Session, StoreError>,
    is_changed: bool,
}

impl Found {
    fn rotate(&mut self, rotation: &Rotation) -> Result<Rotated, StoreError> {
        let session = match &mut self.session {
            Ok(session) => session,
            // Each of those who ask gets an error of their own; the first one, with its cause.
            Err(error) => {
                let kind = error.kind();
                return Err(std::mem::replace(error, kind.into()));
            }
        };
        let rotated = session.rotate(rotation);
        self.is_changed |= match &rotated {
            Rotated::Decided(outcome, _) => is_written(*outcome),
            Rotated::Dead(_) => false,
        };
        Ok(rotated)
    }

    fn changed(&self) -> Option<&Session> {
        self.session.as_ref().ok().filter(|_| self.is_changed)
    }
}

fn is_written(outcome: Outcome) -> bool {
    match outcome {
        Outcome::Advanced | Outcome::Kept | Outcome::Forked | Outcome::Stale => true,
        Outcome::Replayed | Outcome::Late | Outcome::Future => false,
    }
}

async fn find(
    on: &mut SqliteConnection,
    rotations: &[&Rotation],
) -> Result<HashMap<SessionId, Found>, StoreError> {
    let mut ids: Vec<_> = rotations.iter().map(|it| it.session).collect();
    ids.sort_unstable();
    ids.dedup();
    let rows = Values::of(ids.len(), 1);
    let mut find = query(AssertSqlSafe(finding(&rows)));
    for id in &ids {
        find = find.bind(&id.as_bytes()[..]);
    }
    let found = rows.fill(find).fetch_all(on).await.map_err(unavailable)?;
    let found = found.iter().filter_map(|row| {
        let found = Found {
            session: row::session(row),
            is_changed: false,
        };
        Some((row::id(row)?, found))
    });
    Ok(found.collect())
}

async fn write(on: &mut SqliteConnection, sessions: Vec<&Session>) -> Result<(), StoreError> {
    if sessions.is_empty() {
        return Ok(());
    }
    let rows = Values::of(sessions.len(), 10);
    let mut update = query(AssertSqlSafe(writing(&rows)));
    for it in sessions {
        let chain = &it.chain;
        update = update
            .bind(&it.id.as_bytes()[..])
            .bind(count(chain.generation))
            .bind(&chain.current.as_bytes()[..])
            .bind(chain.previous.as_ref().map(|it| &it.as_bytes()[..]))
            .bind(chain.rotated_at.as_millis())
            .bind(chain.idle_expires_at.as_millis())
            .bind(chain.revoked_at.map(Timestamp::as_millis))
            .bind(it.revoked_by.map(RevokedBy::as_str))
            .bind(it.ip.map(|it| it.to_string()))
            .bind(&it.user_agent);
    }
    rows.fill(update).execute(on).await.map_err(unavailable)?;
    Ok(())
}

fn finding(rows: &Values) -> String {
    format!(
        "WITH r (id) AS ({rows}) \
        SELECT auth_session.* FROM r CROSS JOIN auth_session ON auth_session.id = r.id"
    )
}

fn writing(rows: &Values) -> String {
    format!(
        "WITH r (id, generation, current_hash, previous_hash, rotated_at, idle_expires_at, \
        revoked_at, revoked_by, ip, user_agent) AS ({rows}) \
        UPDATE auth_session SET generation = r.generation, current_hash = r.current_hash, \
        previous_hash = r.previous_hash, rotated_at = r.rotated_at, \
        idle_expires_at = r.idle_expires_at, revoked_at = r.revoked_at, \
        revoked_by = r.revoked_by, ip = r.ip, user_agent = r.user_agent \
        FROM r WHERE auth_session.id = r.id"
    )
}

#[cfg(test)]
pub(super) fn statements() -> [String; 2] {
    [finding(&Values::of(3, 1)), writing(&Values::of(3, 10))]
}

/// Rows of parameters. There are as many of them as in the next power of two, so that a handful of
/// statements, once prepared, will do for all; the rest are null, and no session has such an id.
struct Values {
    rows: usize,
    empty: usize,
    columns: usize,
}

impl Values {
    fn of(rows: usize, columns: usize) -> Self {
        let empty = rows.next_power_of_two() - rows;
        Self {
            rows,
            empty,
            columns,
        }
    }

    fn fill<'q>(
        &self,
        query: Query<'q, Sqlite, SqliteArguments>,
    ) -> Query<'q, Sqlite, SqliteArguments> {
        (0..self.empty * self.columns).fold(query, |query, _| query.bind(None::<i64>))
    }
}

impl fmt::Display for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let row = format!("({})", vec!["?"; self.columns].join(","));
        write!(f, "VALUES {}", vec![row; self.rows + self.empty].join(","))
    }
}

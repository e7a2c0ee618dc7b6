use sqlx::Row as _;
use sqlx::postgres::PgRow;

use crate::clock::Timestamp;
use crate::refresh_token::{SessionId, TokenHash};
use crate::store::{
    CustomClaims, Outcome, RevokedBy, Session, StoreError, StoreErrorKind, rotation::Chain,
};

/// The session of a row of `auth_session`.
pub(super) fn session(row: &PgRow) -> Result<Session, StoreError> {
    read(row).map_err(|error| StoreError::new(StoreErrorKind::Damaged, error))
}

/// What the rotation that returned the row decided.
pub(super) fn outcome(row: &PgRow) -> Result<Outcome, StoreError> {
    match row.try_get::<i16, _>("last_outcome") {
        Ok(1) => Ok(Outcome::Advanced),
        Ok(2) => Ok(Outcome::Replayed),
        Ok(3) => Ok(Outcome::Late),
        Ok(4) => Ok(Outcome::Forked),
        Ok(5) => Ok(Outcome::Stale),
        Ok(6) => Ok(Outcome::Future),
        _ => Err(StoreErrorKind::Damaged.into()),
    }
}

type Cause = Box<dyn std::error::Error + Send + Sync>;

fn read(row: &PgRow) -> Result<Session, Cause> {
    let created_at = timestamp(row, "created_at")?;
    let current = TokenHash::from_bytes(bytes(row, "current_hash")?);
    let id = SessionId::from_bytes(bytes(row, "id")?);
    let subject: String = row.try_get("subject")?;
    let mut session = Session::new(id, subject, current, created_at, Default::default());
    session.client_id = row.try_get("client_id")?;
    session.scopes = row.try_get::<&str, _>("scopes")?.parse()?;
    session.label = row.try_get("label")?;
    session.claims = CustomClaims::from_json(row.try_get("claims")?)?;
    session.auth_time = timestamp(row, "auth_time")?;
    session.ip = row
        .try_get::<Option<&str>, _>("ip")?
        .map(str::parse)
        .transpose()?;
    session.user_agent = row.try_get("user_agent")?;
    session.chain = chain(row, current)?;
    session.revoked_by = row
        .try_get::<Option<&str>, _>("revoked_by")?
        .and_then(RevokedBy::from_word);
    Ok(session)
}

fn chain(row: &PgRow, current: TokenHash) -> Result<Chain, Cause> {
    let rotated_at = timestamp(row, "rotated_at")?;
    let mut chain = Chain::new(current, rotated_at, Default::default(), Default::default());
    chain.generation = row.try_get::<i64, _>("generation")?.try_into()?;
    if row.try_get::<Option<&[u8]>, _>("previous_hash")?.is_some() {
        chain.previous = Some(TokenHash::from_bytes(bytes(row, "previous_hash")?));
    }
    chain.idle_expires_at = timestamp(row, "idle_expires_at")?;
    chain.absolute_expires_at = timestamp(row, "absolute_expires_at")?;
    chain.revoked_at = row
        .try_get::<Option<i64>, _>("revoked_at")?
        .map(Timestamp::from_millis);
    Ok(chain)
}

fn timestamp(row: &PgRow, column: &str) -> Result<Timestamp, Cause> {
    Ok(Timestamp::from_millis(row.try_get(column)?))
}

fn bytes<const N: usize>(row: &PgRow, column: &str) -> Result<[u8; N], Cause> {
    Ok(row.try_get::<&[u8], _>(column)?.try_into()?)
}

use sqlx::Row as _;
use sqlx::postgres::PgRow;

use crate::claims::Thumbprint;
use crate::clock::Timestamp;
use crate::refresh_token::{SessionId, TokenHash};
use crate::store::{Chain, CustomClaims, Outcome, RevokedBy, Session, StoreError, StoreErrorKind};

/// What the rotation that returned the row decided.
pub(super) fn outcome(row: &PgRow) -> Result<Outcome, StoreError> {
    match row.try_get::<i16, _>("last_outcome") {
        Ok(1) => Ok(Outcome::Advanced),
        Ok(2) => Ok(Outcome::Replayed),
        Ok(3) => Ok(Outcome::Late),
        Ok(4) => Ok(Outcome::Forked),
        Ok(5) => Ok(Outcome::Stale),
        Ok(6) => Ok(Outcome::Future),
        Ok(7) => Ok(Outcome::Kept),
        _ => Err(StoreErrorKind::Damaged.into()),
    }
}

/// The session of a row of `auth_session`. What is null where it must not be is damage.
pub(super) fn session(row: &PgRow) -> Result<Session, StoreError> {
    read(row).map_err(|error| StoreError::new(StoreErrorKind::Damaged, error))
}

type Cause = Box<dyn std::error::Error + Send + Sync>;

fn read(row: &PgRow) -> Result<Session, Cause> {
    let id = SessionId::from_bytes(row.try_get("id")?);
    let subject: String = row.try_get("subject")?;
    let (chain, created_at) = (chain(row)?, timestamp(row, "created_at")?);
    let mut session = Session::new(id, subject, chain.current, created_at, Default::default());
    session.client_id = row.try_get("client_id")?;
    session.jkt = row
        .try_get::<Option<_>, _>("jkt")?
        .map(Thumbprint::from_bytes);
    session.scopes = row.try_get::<&str, _>("scopes")?.parse()?;
    session.label = row.try_get("label")?;
    session.claims = CustomClaims::from_json(row.try_get("claims")?)?;
    session.auth_time = timestamp(row, "auth_time")?;
    session.ip = row
        .try_get::<Option<&str>, _>("ip")?
        .map(str::parse)
        .transpose()?;
    session.user_agent = row.try_get("user_agent")?;
    session.chain = chain;
    session.revoked_by = row
        .try_get::<Option<&str>, _>("revoked_by")?
        .and_then(RevokedBy::from_word);
    Ok(session)
}

fn chain(row: &PgRow) -> Result<Chain, Cause> {
    let current = TokenHash::from_bytes(row.try_get("current_hash")?);
    let (rotated_at, lifetime) = (timestamp(row, "rotated_at")?, Default::default());
    let mut chain = Chain::new(current, rotated_at, lifetime, lifetime);
    chain.generation = row.try_get::<i64, _>("generation")?.try_into()?;
    chain.previous = row
        .try_get::<Option<_>, _>("previous_hash")?
        .map(TokenHash::from_bytes);
    chain.tag_key_id = row
        .try_get::<Option<i64>, _>("tag_key_id")?
        .map(u32::try_from)
        .transpose()?;
    chain.idle_expires_at = timestamp(row, "idle_expires_at")?;
    chain.absolute_expires_at = timestamp(row, "absolute_expires_at")?;
    chain.revoked_at = row
        .try_get::<Option<_>, _>("revoked_at")?
        .map(Timestamp::from_millis);
    Ok(chain)
}

fn timestamp(row: &PgRow, column: &str) -> Result<Timestamp, Cause> {
    Ok(Timestamp::from_millis(row.try_get(column)?))
}

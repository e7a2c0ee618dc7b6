use crate::claims::Thumbprint;
use crate::clock::Timestamp;
use crate::refresh_token::{SessionId, TokenHash};
use crate::store::{CustomClaims, RevokedBy, Session, StoreError, StoreErrorKind, rotation::Chain};

/// A row of `auth_session`, column by column. What is null where it must not be is damage.
pub(super) trait SessionRow {
    fn text(&self, column: &str) -> sqlx::Result<Option<&str>>;

    fn number(&self, column: &str) -> sqlx::Result<Option<i64>>;

    fn bytes(&self, column: &str) -> sqlx::Result<Option<&[u8]>>;
}

/// The session of a row of `auth_session`.
pub(super) fn session(row: &impl SessionRow) -> Result<Session, StoreError> {
    read(row).map_err(|error| StoreError::new(StoreErrorKind::Damaged, error))
}

type Cause = Box<dyn std::error::Error + Send + Sync>;

fn read(row: &impl SessionRow) -> Result<Session, Cause> {
    let created_at = timestamp(row, "created_at")?;
    let current = TokenHash::from_bytes(bytes(row, "current_hash")?);
    let id = SessionId::from_bytes(bytes(row, "id")?);
    let subject = text(row, "subject")?;
    let mut session = Session::new(id, subject, current, created_at, Default::default());
    session.client_id = row.text("client_id")?.map(str::to_owned);
    if row.bytes("jkt")?.is_some() {
        session.jkt = Some(Thumbprint::from_bytes(bytes(row, "jkt")?));
    }
    session.scopes = text(row, "scopes")?.parse()?;
    session.label = row.text("label")?.map(str::to_owned);
    session.claims = CustomClaims::from_json(text(row, "claims")?)?;
    session.auth_time = timestamp(row, "auth_time")?;
    session.ip = row.text("ip")?.map(str::parse).transpose()?;
    session.user_agent = row.text("user_agent")?.map(str::to_owned);
    session.chain = chain(row, current)?;
    session.revoked_by = row.text("revoked_by")?.and_then(RevokedBy::from_word);
    Ok(session)
}

fn chain(row: &impl SessionRow, current: TokenHash) -> Result<Chain, Cause> {
    let rotated_at = timestamp(row, "rotated_at")?;
    let mut chain = Chain::new(current, rotated_at, Default::default(), Default::default());
    chain.generation = number(row, "generation")?.try_into()?;
    if row.bytes("previous_hash")?.is_some() {
        chain.previous = Some(TokenHash::from_bytes(bytes(row, "previous_hash")?));
    }
    chain.idle_expires_at = timestamp(row, "idle_expires_at")?;
    chain.absolute_expires_at = timestamp(row, "absolute_expires_at")?;
    chain.revoked_at = row.number("revoked_at")?.map(Timestamp::from_millis);
    Ok(chain)
}

fn timestamp(row: &impl SessionRow, column: &str) -> Result<Timestamp, Cause> {
    Ok(Timestamp::from_millis(number(row, column)?))
}

fn bytes<const N: usize>(row: &impl SessionRow, column: &str) -> Result<[u8; N], Cause> {
    Ok(row.bytes(column)?.ok_or(NULL)?.try_into()?)
}

fn number(row: &impl SessionRow, column: &str) -> Result<i64, Cause> {
    Ok(row.number(column)?.ok_or(NULL)?)
}

fn text<'a>(row: &'a impl SessionRow, column: &str) -> Result<&'a str, Cause> {
    Ok(row.text(column)?.ok_or(NULL)?)
}

const NULL: &str = "a column is null that must not be";

use std::error::Error;

use rusqlite::Row;
use rusqlite::types::{FromSql, ValueRef};

use crate::claims::Thumbprint;
use crate::clock::Timestamp;
use crate::refresh_token::{SessionId, TokenHash};
use crate::scope::Scopes;
use crate::store::{Chain, CustomClaims, RevokedBy, Session, StoreError, StoreErrorKind};

/// What [`session`] reads, in this order.
macro_rules! columns {
    () => {
        "rowid, scopes, claims, id, subject, client_id, jkt, label, auth_time, created_at, ip, user_agent, \
        generation, current_hash, previous_hash, rotated_at, idle_expires_at, absolute_expires_at, \
        revoked_at, revoked_by, tag_key_id"
    };
}
pub(super) use columns;

/// The session of a row. What makes no sense is an error of the conversion.
pub(super) fn session(row: &Row<'_>) -> rusqlite::Result<Unread> {
    let mut columns = Columns { row, next: 0 };
    let (rowid, scopes, claims) = (columns.next()?, columns.next()?, columns.next()?);
    let mut session = Session {
        id: SessionId::from_bytes(columns.next()?),
        subject: columns.next()?,
        client_id: columns.next()?,
        jkt: columns.next::<Option<_>>()?.map(Thumbprint::from_bytes),
        scopes: Scopes::default(),
        label: columns.next()?,
        claims: CustomClaims::default(),
        auth_time: columns.timestamp()?,
        created_at: columns.timestamp()?,
        ip: columns.read(|it| Ok(it.as_str_or_null()?.map(str::parse).transpose()?))?,
        user_agent: columns.next()?,
        chain: Chain {
            generation: columns.read(|it| Ok(it.as_i64()?.try_into()?))?,
            current: TokenHash::from_bytes(columns.next()?),
            previous: columns
                .next::<Option<_>>()?
                .filter(|it| *it != ROOM)
                .map(TokenHash::from_bytes),
            rotated_at: columns.timestamp()?,
            idle_expires_at: columns.timestamp()?,
            absolute_expires_at: columns.timestamp()?,
            revoked_at: columns.next::<Option<_>>()?.map(Timestamp::from_millis),
            tag_key_id: None,
        },
        revoked_by: columns.read(|it| Ok(it.as_str_or_null()?.and_then(RevokedBy::from_word)))?,
    };
    session.chain.tag_key_id = columns.next()?;
    Ok(Unread {
        rowid,
        session,
        scopes,
        claims,
    })
}

/// Stands for a previous hash until there is one: the row does not grow with its first rotation, so
/// that its page is not split. Nothing hashes to it.
pub(super) const ROOM: [u8; 32] = [0; 32];

/// A session some of which is still text. To read it is left to whoever asks: everybody waits for the
/// thread that writes.
pub(super) struct Unread {
    pub(super) rowid: i64,
    pub(super) session: Session,
    scopes: String,
    claims: String,
}

impl Unread {
    pub(super) fn read(self) -> Result<Session, StoreError> {
        let mut session = self.session;
        session.scopes = self.scopes.parse().map_err(damaged)?;
        session.claims = CustomClaims::from_json(&self.claims).map_err(damaged)?;
        Ok(session)
    }
}

fn damaged(cause: impl Error + Send + Sync + 'static) -> StoreError {
    StoreError::new(StoreErrorKind::Damaged, cause)
}

/// The columns of a row, one after the other.
struct Columns<'a> {
    row: &'a Row<'a>,
    next: usize,
}

impl Columns<'_> {
    fn next<T: FromSql>(&mut self) -> rusqlite::Result<T> {
        let at = self.pass();
        self.row.get(at)
    }

    fn timestamp(&mut self) -> rusqlite::Result<Timestamp> {
        self.next().map(Timestamp::from_millis)
    }

    fn read<T>(
        &mut self,
        read: impl FnOnce(ValueRef<'_>) -> Result<T, Box<dyn Error + Send + Sync>>,
    ) -> rusqlite::Result<T> {
        let at = self.pass();
        let value = self.row.get_ref(at)?;
        let failed =
            |cause| rusqlite::Error::FromSqlConversionFailure(at, value.data_type(), cause);
        read(value).map_err(failed)
    }

    fn pass(&mut self) -> usize {
        let at = self.next;
        self.next += 1;
        at
    }
}

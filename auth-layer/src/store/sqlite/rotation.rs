use rusqlite::{OptionalExtension as _, params};

use super::hand::Hand;
use super::row::{self, Unread};
use super::statements::count;
use super::{failure, statements};
use crate::refresh_token::SessionId;
use crate::store::{Dead, Outcome, RevokedBy, Rotated, Rotation, Selection, StoreError};

/// What became of a rotation of a session that is alive.
pub(super) type Decided = Result<(Outcome, Unread), Dead>;

pub(super) fn read(decided: Decided) -> Result<Rotated, StoreError> {
    Ok(match decided {
        Ok((outcome, session)) => Rotated::Decided(outcome, session.read()?),
        Err(dead) => Rotated::Dead(dead),
    })
}

/// In a transaction that writes from its beginning nobody changes a session between the look at it and
/// the writing of it, so the decision can be the one that is pure.
pub(super) fn rotate(hand: &mut Hand<'_>, rotation: &Rotation) -> Result<Decided, StoreError> {
    let Some(mut found) = find(hand, rotation.session)? else {
        return Ok(Err(Dead::Unknown));
    };
    let outcome = match found.session.decide(rotation) {
        Ok(outcome) => outcome,
        Err(dead) => return Ok(Err(dead)),
    };
    match outcome {
        Outcome::Advanced | Outcome::Kept => advance(hand, &found)?,
        Outcome::Forked | Outcome::Stale => {
            let it = Selection::One(found.session.id);
            statements::revoke(hand.on, &it, RevokedBy::Reuse, rotation.now)?;
        }
        Outcome::Replayed | Outcome::Late | Outcome::Future => {}
    }
    Ok(Ok((outcome, found)))
}

fn find(hand: &mut Hand<'_>, id: SessionId) -> Result<Option<Unread>, StoreError> {
    let found = hand.find.query_row([id.as_bytes()], row::session);
    found.optional().map_err(failure::of)
}

fn advance(hand: &mut Hand<'_>, found: &Unread) -> Result<(), StoreError> {
    let it = &found.session;
    let advanced = hand.advance.execute(params![
        found.rowid,
        count(it.chain.generation),
        it.chain.current.as_bytes(),
        it.chain.previous.as_ref().map(|it| it.as_bytes()),
        it.chain.rotated_at.as_millis(),
        it.chain.idle_expires_at.as_millis(),
        it.ip.map(|it| it.to_string()),
        it.user_agent,
        it.chain.tag_key_id,
    ]);
    advanced.map(drop).map_err(failure::of)
}

pub(super) const FIND: &str = concat!(
    "SELECT ",
    row::columns!(),
    " FROM auth_session WHERE id = ?"
);

pub(super) const ADVANCE: &str = "UPDATE auth_session SET generation = ?2, current_hash = ?3, \
    previous_hash = ?4, rotated_at = ?5, idle_expires_at = ?6, ip = ?7, user_agent = ?8, tag_key_id = ?9 \
    WHERE rowid = ?1";

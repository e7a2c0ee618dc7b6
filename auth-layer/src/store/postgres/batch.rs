use std::collections::HashMap;
use std::time::Duration;

use sqlx::postgres::PgRow;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::failure::Failure;
use super::row;
use crate::refresh_token::SessionId;
use crate::store::ticket::Ticket;
use crate::store::{Dead, RevokedBy, Rotated, Rotation, StoreError, StoreErrorKind};

/// Rotations of different sessions that travel together, in the order of their ids: two batches then
/// meet in one order. Whoever was answered leaves it.
#[derive(Debug)]
pub(super) struct Batch {
    waiting: Vec<Waiting>,
    /// It may have happened before: the answer was lost.
    is_repeat: bool,
    conflicts: u32,
}

/// A rotation and who asked for it.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) rotation: Rotation,
    pub(super) reply: Reply,
    pub(super) ticket: Ticket,
    /// When its caller is refused, unless the rotation has begun.
    pub(super) refused_at: Instant,
}

pub(super) type Reply = oneshot::Sender<Result<Rotated, StoreError>>;

/// A row, if there is one for each id.
pub(super) type Rows = HashMap<SessionId, PgRow>;

impl Batch {
    pub(super) fn new(mut waiting: Vec<Waiting>) -> Self {
        waiting.sort_unstable_by_key(|it| it.rotation.session);
        Self {
            waiting,
            is_repeat: false,
            conflicts: 0,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Leaves those whose caller was refused, and refuses those whose time is over. The rest is about to be sent: each of
    /// their callers waits for the outcome now.
    pub(super) fn begin(&mut self, now: Instant) {
        for it in std::mem::take(&mut self.waiting) {
            if now >= it.refused_at {
                it.answer(Err(StoreErrorKind::Unavailable.into()));
            } else if it.ticket.begin() {
                self.waiting.push(it);
            }
        }
    }

    /// How long each caller still waits.
    pub(super) fn patience(&self, now: Instant) -> impl Iterator<Item = Duration> {
        let left = move |it: &Waiting| it.refused_at.saturating_duration_since(now);
        self.waiting.iter().map(left)
    }

    pub(super) fn rotations(&self) -> impl Iterator<Item = &Rotation> {
        self.waiting.iter().map(|it| &it.rotation)
    }

    /// Answers those whose sessions were alive, with what became of them.
    pub(super) fn decided(&mut self, mut rows: Rows) {
        for it in std::mem::take(&mut self.waiting) {
            match rows.remove(&it.rotation.session) {
                Some(row) => it.answer(decided(&row)),
                None => self.waiting.push(it),
            }
        }
    }

    /// Answers the rest, whose sessions were dead, with why.
    pub(super) fn dead(&mut self, rows: &Rows) {
        for it in self.waiting.drain(..) {
            let answer = match rows.get(&it.rotation.session) {
                Some(row) => why_dead(&it.rotation, row, self.is_repeat),
                None => Ok(Rotated::Dead(Dead::Unknown)),
            };
            it.answer(answer);
        }
    }

    /// What to try now. Who cannot be helped is told.
    pub(super) fn after(mut self, failure: &Failure) -> Vec<Self> {
        if failure.is_conflict() && self.conflicts < MOST_CONFLICTS {
            self.conflicts += 1;
            return vec![self];
        }
        if failure.is_of_one_row() && self.waiting.len() > 1 {
            return self.one_by_one();
        }
        let again = failure.is_worth_a_second_try() && !self.is_repeat;
        let harmless = failure.is_known_to_have_done_nothing();
        let (repeated, lost): (Vec<_>, Vec<_>) = self
            .waiting
            .drain(..)
            .partition(|it| again && (harmless || it.rotation.keyed));
        for it in lost {
            it.answer(Err(failure.store_error()));
        }
        self.waiting = repeated;
        self.is_repeat = true;
        if self.is_empty() { vec![] } else { vec![self] }
    }

    fn one_by_one(self) -> Vec<Self> {
        let alone = |it| Self {
            waiting: vec![it],
            is_repeat: self.is_repeat,
            conflicts: self.conflicts,
        };
        self.waiting.into_iter().rev().map(alone).collect()
    }
}

/// Each costs the loser of a deadlock the server's `deadlock_timeout`, 1 s.
const MOST_CONFLICTS: u32 = 5;

impl Waiting {
    fn answer(self, answer: Result<Rotated, StoreError>) {
        let _ = self.reply.send(answer);
    }
}

fn decided(row: &PgRow) -> Result<Rotated, StoreError> {
    Ok(Rotated::Decided(row::outcome(row)?, row::session(row)?))
}

fn why_dead(rotation: &Rotation, row: &PgRow, is_repeat: bool) -> Result<Rotated, StoreError> {
    let session = row::session(row)?;
    // Better twice than never: the answer that told of this reuse was lost.
    let found_out = session.revoked_by == Some(RevokedBy::Reuse)
        && session.chain.revoked_at == Some(rotation.now);
    match session.admit(rotation) {
        Err(Dead::Revoked) if is_repeat && found_out => decided(row),
        Err(dead) => Ok(Rotated::Dead(dead)),
        // The UPDATE skipped the row, yet it is alive at `rotation.now`: the statement waited longer than its caller does, or
        // the clocks of two nodes disagree. Nothing was changed.
        Ok(()) => Err(StoreErrorKind::Unavailable.into()),
    }
}

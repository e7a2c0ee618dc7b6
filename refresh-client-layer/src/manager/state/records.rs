use std::cmp::Ordering;

use super::{Live, Session, State, Unsaved};
use crate::manager::write::Write;
use crate::store::StoredTokens;
use crate::tokens::{IdempotencyKey, TokenSet};

/// How a stored record stands to the session here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::manager) enum Standing {
    Same,
    /// Another process has refreshed.
    Newer,
    /// A backup that was restored.
    Older,
    /// Of another sign-in, which is over.
    Ended,
    /// Of another sign-in.
    Foreign,
}

/// The session and the record in the store.
impl State {
    pub(in crate::manager) fn standing(&self, stored: &StoredTokens) -> Standing {
        match &self.session {
            Session::Live(live) if live.sign_in == stored.sign_in() => {
                match stored.tokens().generation().cmp(&self.generation) {
                    Ordering::Less => Standing::Older,
                    Ordering::Equal => Standing::Same,
                    Ordering::Greater => Standing::Newer,
                }
            }
            _ if self.endings.cover(stored) => Standing::Ended,
            _ if matches!(self.unsaved, Unsaved::End(it) if it.covers(stored)) => Standing::Ended,
            _ => Standing::Foreign,
        }
    }

    /// The session gives way to this record, unless somebody has just signed in here.
    pub(in crate::manager) fn gives_way(&self, stored: &StoredTokens) -> bool {
        let standing = self.standing(stored);
        matches!(standing, Standing::Newer | Standing::Foreign) && self.unsaved != Unsaved::SignIn
    }

    /// What the store does not know yet.
    pub(in crate::manager) fn next_write(&self) -> Option<Write> {
        match (self.unsaved, &self.session) {
            (Unsaved::End(ending), _) => Some(Write::Clear(ending, self.endings.clone())),
            (Unsaved::Nothing, Session::Live(live)) if self.has_unsaved_key => {
                Some(self.announcing(live, self.key.clone()))
            }
            (_, Session::Live(live)) => self.saving(live.record(self.key.clone())),
            (_, _) => None,
        }
    }

    /// The write that announces a refresh of the live session.
    pub(in crate::manager) fn begin_write(&self, key: Option<IdempotencyKey>) -> Option<Write> {
        match &self.session {
            Session::Live(live) => Some(self.announcing(live, key)),
            _ => None,
        }
    }

    /// The write that stores the children of the live session.
    pub(in crate::manager) fn child_write(
        &self,
        tokens: &TokenSet,
        was_stored: bool,
    ) -> Option<Write> {
        let Session::Live(live) = &self.session else {
            return None;
        };
        let record = StoredTokens::of(live.sign_in, tokens.clone(), None);
        match was_stored || self.unsaved == Unsaved::Nothing {
            true => Some(Write::Refresh(record, self.endings.clone())),
            false => self.saving(record),
        }
    }

    fn announcing(&self, live: &Live, key: Option<IdempotencyKey>) -> Write {
        Write::Key(live.record(key), self.endings.clone())
    }

    fn saving(&self, record: StoredTokens) -> Option<Write> {
        match self.unsaved {
            Unsaved::SignIn => Some(Write::SignIn(record)),
            Unsaved::Begin => Some(Write::Begin(record)),
            Unsaved::Refresh => Some(Write::Refresh(record, self.endings.clone())),
            Unsaved::Nothing | Unsaved::End(_) => None,
        }
    }
}

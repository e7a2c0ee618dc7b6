use super::endings::{Ending, Endings};
use crate::store::{Change, StoredTokens};

/// What the store is to learn. It decides by the record that is found, so that nothing another process has
/// written is undone.
#[derive(Debug)]
pub(super) enum Write {
    /// A sign-in here, which takes the place of whatever is stored.
    SignIn(StoredTokens),
    /// Tokens to begin with, if nothing is stored.
    Begin(StoredTokens),
    /// New tokens, and never in place of nothing: then another process has signed out.
    Refresh(StoredTokens, Endings),
    /// The same tokens, with the key of the refresh that begins.
    Key(StoredTokens, Endings),
    /// The end of a session. What others that ended here have left behind goes with it.
    Clear(Ending, Endings),
}

impl Write {
    /// True if the store holds what was to be written.
    pub(super) fn is_done(&self, stored: &StoredTokens) -> bool {
        match self {
            Self::SignIn(record)
            | Self::Begin(record)
            | Self::Refresh(record, _)
            | Self::Key(record, _) => record.version() == stored.version(),
            Self::Clear(..) => false,
        }
    }

    pub(super) fn decide(&self, stored: Option<&StoredTokens>) -> Change {
        match (self, stored) {
            (Self::Clear(ending, endings), Some(stored))
                if !ending.covers(stored) && !endings.cover(stored) =>
            {
                Change::Keep
            }
            (Self::Clear(..), _) => Change::Remove,
            (Self::SignIn(record) | Self::Begin(record), None) => Change::Put(record.clone()),
            (Self::Refresh(..) | Self::Key(..), None) => Change::Keep,
            (Self::SignIn(record), Some(stored)) if record.sign_in() != stored.sign_in() => {
                Change::Put(record.clone())
            }
            (Self::Refresh(record, endings) | Self::Key(record, endings), Some(stored))
                if record.sign_in() != stored.sign_in() =>
            {
                put_if(endings.cover(stored), record)
            }
            (Self::Begin(record), Some(stored)) if record.sign_in() != stored.sign_in() => {
                Change::Keep
            }
            (Self::Key(record, _), Some(stored)) if generation(stored) == generation(record) => {
                // The first key counts.
                let begins =
                    stored.idempotency_key().is_none() && record.idempotency_key().is_some();
                put_if(begins, &stored.with_key(record.idempotency_key().cloned()))
            }
            (
                Self::SignIn(record)
                | Self::Begin(record)
                | Self::Refresh(record, _)
                | Self::Key(record, _),
                Some(stored),
            ) => put_if(generation(stored) < generation(record), record),
        }
    }
}

fn put_if(is_so: bool, record: &StoredTokens) -> Change {
    match is_so {
        true => Change::Put(record.clone()),
        false => Change::Keep,
    }
}

fn generation(record: &StoredTokens) -> u64 {
    record.tokens().generation()
}

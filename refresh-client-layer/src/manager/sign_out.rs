use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;

use super::endings::Ending;
use super::shared::Shared;
use super::state::{Session, Unsaved};
use crate::clock::{self, Now};
use crate::event::EndReason;
use crate::tokens::RefreshToken;

/// What became of a sign-out. The session is over locally in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SignOut {
    is_revoked: bool,
    is_cleared: bool,
}

impl SignOut {
    /// The server confirmed that the session is over. If it did not, the refresh token stays good
    /// until it expires.
    pub fn is_revoked(self) -> bool {
        self.is_revoked
    }

    /// The store has forgotten the tokens. If it has not, it is asked again in the background, where
    /// there is a runtime.
    pub fn is_cleared(self) -> bool {
        self.is_cleared
    }
}

/// Ends the session here at once; the rest of the work is what is returned.
pub(super) fn end(shared: &Arc<Shared>) -> Leaving {
    let leaving = {
        let mut state = shared.state_mut();
        let leaving = match &state.session {
            Session::Live(live) => Leaving::With(live.tokens.refresh_token().clone()),
            Session::Unloaded(given) => {
                Leaving::Unknown(given.as_ref().map(|tokens| tokens.refresh_token().clone()))
            }
            Session::Empty | Session::Ended(_) => Leaving::Nobody,
        };
        // Nothing may be cleared before the store has been looked into.
        let clears = matches!(leaving, Leaving::With(_));
        state.end(EndReason::SignedOut, clears);
        leaving
    };
    shared.publish();
    leaving
}

/// Whose session is to be ended at the server.
pub(super) enum Leaving {
    With(RefreshToken),
    /// That of the store, or else of this token.
    Unknown(Option<RefreshToken>),
    Nobody,
}

/// Forgets the tokens in the store, then ends the session at the server.
pub(super) async fn finish(shared: Arc<Shared>, leaving: Leaving) -> SignOut {
    let token = match leaving {
        Leaving::With(token) => Some(token),
        Leaving::Unknown(given) => left_in_store(&shared).await.or(given),
        Leaving::Nobody => None,
    };
    let is_cleared = shared.persist().await;
    if !is_cleared {
        shared.persist_later();
    }
    SignOut {
        is_cleared,
        is_revoked: match token {
            Some(token) => shared.revoke(token).await,
            None => false,
        },
    }
}

/// The token of a session that nobody had looked into. Whoever signs in meanwhile writes over it later.
async fn left_in_store(shared: &Shared) -> Option<RefreshToken> {
    let _writer = shared.writing.lock().await;
    let stored = shared.store.load().await;
    let mut state = shared.state_mut();
    let ending = match &stored {
        Ok(stored) => stored.as_ref().map(|it| Ending::of(it.sign_in())),
        Err(_fault) => Some(Ending::until(Now::read().millis())),
    };
    let stored = stored.ok().flatten();
    state.is_leaving = false;
    match (&state.session, state.unsaved) {
        (Session::Ended(EndReason::SignedOut), _) => {
            if let Some(ending) = ending {
                state.end_record(ending, true);
            }
        }
        (_, Unsaved::SignIn) => {}
        // Those are another session's by now.
        _ => return None,
    }
    Some(stored?.tokens().refresh_token().clone())
}

impl Shared {
    /// True if the server confirmed it in time.
    pub(super) async fn revoke(&self, token: RefreshToken) -> bool {
        let work = AssertUnwindSafe(self.refresher.revoke(token)).catch_unwind();
        matches!(clock::within(PATIENCE, work).await, Some(Ok(Ok(()))))
    }
}

/// Nobody wants to wait longer for a sign-out.
const PATIENCE: Duration = Duration::from_secs(5);

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;

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
    let now = Now::read();
    let leaving = {
        let mut state = shared.state_mut();
        let (leaving, unsaved) = match &state.session {
            Session::Live(live) => {
                let token = live.tokens.refresh_token().clone();
                (Leaving::With(token), until(now, state.generation))
            }
            Session::Unloaded(given) => {
                let given = given.as_ref().map(|tokens| tokens.refresh_token().clone());
                // Nobody may clear the store before it has been looked into.
                (Leaving::Unknown(given), Unsaved::Nothing)
            }
            Session::Empty | Session::Ended(_) => (Leaving::Nobody, Unsaved::Nothing),
        };
        state.end(EndReason::SignedOut, unsaved);
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
    let stored = stored.ok().flatten();
    match (&state.session, state.unsaved) {
        (Session::Ended(EndReason::SignedOut), _) => {
            let generation = stored.as_ref().map_or(0, |it| it.tokens().generation());
            state.unsaved = until(Now::read(), generation.max(state.generation));
        }
        (_, Unsaved::SignIn) => {}
        // Those are another session's by now.
        _ => return None,
    }
    Some(stored?.tokens().refresh_token().clone())
}

/// Whatever other processes have stored until now, and nothing that somebody signs in with later.
fn until(now: Now, generation: u64) -> Unsaved {
    // A refresh under way may have stored one more.
    Unsaved::End(now.millis().max(generation.saturating_add(1)))
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

//! One refresh, from its start to its landing, in a task of its own.

mod attempt;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::runtime::Handle;
use tracing::Instrument as _;

use super::error::{RefreshUnavailable, UnavailableKind};
use super::shared::Shared;
use super::state::{Session, Standing};
use super::want::FlightId;
use crate::clock::Now;
use crate::event::{EndReason, Event};
use crate::metrics::Stopwatch;
use crate::refresh::SessionId;
use crate::store::StoredTokens;
use crate::tokens::TokenSet;

/// Starts the refresh. It runs to its end, whoever waits for it.
pub(super) fn launch(shared: &Arc<Shared>, flight: FlightId, runtime: &Handle) {
    let landing = Landing {
        shared: shared.clone(),
        flight,
        is_look: !matches!(shared.state().session, Session::Live(_)),
        has_landed: false,
        watch: Stopwatch::start(Now::read()),
    };
    let span = tracing::debug_span!("refresh", flight);
    drop(runtime.spawn(fly(landing).instrument(span)));
}

/// True while the refresher of this manager runs in this task.
pub(super) fn is_inside(shared: &Arc<Shared>) -> bool {
    INSIDE
        .try_with(|inside| *inside == shared.id())
        .unwrap_or(false)
}

tokio::task_local! {
    static INSIDE: SessionId;
}

async fn fly(mut landing: Landing) {
    let shared = landing.shared.clone();
    let attempt = AssertUnwindSafe(attempt::run(&shared, landing.flight)).catch_unwind();
    let end = INSIDE
        .scope(shared.id(), attempt)
        .await
        .unwrap_or_else(|_panic| End::failed(UnavailableKind::Panicked));
    if let Some(orphan) = landing.land(end) {
        // The sign-in is over: what the server has just handed out must not live on.
        shared.revoke(orphan.refresh_token().clone()).await;
    }
    if !shared.state().is_saved() && !shared.persist().await {
        shared.persist_later();
    }
    shared.end_turn();
}

/// How a refresh ended.
enum End {
    Renewed {
        tokens: TokenSet,
        asked: Now,
        is_saved: bool,
    },
    /// The store had them.
    Found(StoredTokens),
    /// The store has nothing, so the tokens given to the builder count.
    Begun(TokenSet),
    /// Nor were there any.
    Nobody,
    Over {
        reason: EndReason,
        /// The store has the tokens still.
        clears: bool,
    },
    /// Signed out in another process, when these were on their way.
    Orphaned(TokenSet),
    /// The store has another record by now, when these were on their way.
    Replaced(StoredTokens, TokenSet),
    Failed(RefreshUnavailable, Option<Duration>),
    /// Somebody else changed the session meanwhile.
    Grounded,
}

impl End {
    fn renewed(tokens: TokenSet, asked: Now, is_saved: bool) -> Self {
        Self::Renewed {
            tokens,
            asked,
            is_saved,
        }
    }

    fn over(reason: EndReason, clears: bool) -> Self {
        Self::Over { reason, clears }
    }

    fn failed(kind: UnavailableKind) -> Self {
        Self::Failed(RefreshUnavailable::new(kind), None)
    }

    /// For the log, which learns nothing that a server said.
    fn failure(&self) -> Option<UnavailableKind> {
        match self {
            Self::Failed(error, _) => Some(error.kind()),
            _ => None,
        }
    }

    /// For the metrics.
    fn outcome(&self) -> &'static str {
        match self {
            Self::Renewed { .. } => "refreshed",
            Self::Found(_) | Self::Begun(_) | Self::Replaced(..) => "adopted",
            Self::Over {
                reason: EndReason::Refused,
                ..
            } => "refused",
            Self::Over { .. } | Self::Orphaned(_) | Self::Nobody => "signed_out",
            Self::Failed(..) => "failed",
            Self::Grounded => "discarded",
        }
    }
}

/// What came of the end of a flight.
struct Applied {
    /// Tokens that nobody may have.
    orphan: Option<TokenSet>,
    outcome: &'static str,
    has_failed: bool,
}

/// Sees to it that a flight lands, also when its runtime goes away.
struct Landing {
    shared: Arc<Shared>,
    flight: FlightId,
    /// To look into the store for a session is no refresh.
    is_look: bool,
    has_landed: bool,
    watch: Stopwatch,
}

impl Landing {
    /// Publishes the end. Tokens that come too late are handed back if nobody may have them.
    fn land(&mut self, end: End) -> Option<TokenSet> {
        let failure = end.failure();
        let Applied {
            orphan,
            outcome,
            has_failed,
        } = self.apply(end);
        self.has_landed = true;
        if !self.is_look {
            self.watch.stop(outcome, Now::read());
        }
        match (has_failed, failure) {
            (true, Some(kind)) => tracing::warn!(?kind, "refresh failed"),
            (true, None) => tracing::warn!("refresh refused"),
            (false, _) => {}
        }
        self.shared.publish();
        orphan
    }

    fn apply(&self, end: End) -> Applied {
        let mut state = self.shared.state_mut();
        if !state.is_current(self.flight) {
            let is_signed_out = matches!(state.session, Session::Ended(EndReason::SignedOut));
            return Applied {
                orphan: match end {
                    End::Renewed { tokens, .. } if is_signed_out => Some(tokens),
                    End::Orphaned(tokens) | End::Replaced(_, tokens) if is_signed_out => {
                        Some(tokens)
                    }
                    End::Orphaned(tokens) => Some(tokens),
                    _ => None,
                },
                outcome: "discarded",
                has_failed: false,
            };
        }
        let outcome = end.outcome();
        let mut has_failed = false;
        let mut orphan = None;
        match end {
            End::Renewed {
                tokens,
                asked,
                is_saved,
            } => {
                state.renew(tokens, asked, is_saved);
            }
            End::Found(stored) => state.adopt(&stored, Now::read()),
            End::Begun(tokens) => state.begin(tokens, Now::read()),
            End::Nobody => state.empty(),
            End::Over { reason, clears } => {
                if reason == EndReason::Refused {
                    has_failed = true;
                    state.news.push(Event::RefreshFailed { transient: false });
                }
                state.end(reason, clears);
            }
            End::Orphaned(tokens) => {
                orphan = Some(tokens);
                state.end(EndReason::SignedOut, false);
            }
            End::Replaced(stored, tokens) => {
                // Of the same sign-in it is what another process was given for the same refresh token.
                let is_other = state.standing(&stored) == Standing::Foreign;
                orphan = is_other.then_some(tokens);
                state.adopt(&stored, Now::read());
            }
            End::Failed(error, wish) => {
                has_failed = true;
                state.news.push(Event::RefreshFailed { transient: true });
                state.fail(self.flight, error, wish, Now::read());
            }
            End::Grounded => state.abandon(self.flight),
        }
        Applied {
            orphan,
            outcome,
            has_failed,
        }
    }
}

impl Drop for Landing {
    fn drop(&mut self) {
        if !self.has_landed {
            self.shared.state_mut().abandon(self.flight);
            self.shared.changed.notify_waiters();
        }
    }
}

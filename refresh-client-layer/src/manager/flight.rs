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
use super::state::{Session, Unsaved};
use super::want::FlightId;
use crate::clock::Now;
use crate::event::{EndReason, Event};
use crate::metrics::Stopwatch;
use crate::refresh::SessionId;
use crate::tokens::TokenSet;

/// Starts the refresh. It runs to its end, whoever waits for it.
pub(super) fn launch(shared: &Arc<Shared>, flight: FlightId, runtime: &Handle) {
    let landing = Landing {
        shared: shared.clone(),
        flight,
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
        // Signed out meanwhile: what the server has just handed out must not live on.
        shared.revoke(orphan.refresh_token().clone()).await;
    }
    let is_saved = shared.state().unsaved == Unsaved::Nothing;
    if !is_saved && !shared.persist().await {
        shared.persist_later();
    }
}

/// How a refresh ended.
enum End {
    Renewed {
        tokens: TokenSet,
        asked: Now,
        is_saved: bool,
    },
    /// The store had them.
    Found(TokenSet),
    /// The store has nothing, so the tokens given to the builder count.
    Begun(TokenSet),
    /// Nor were there any.
    Nobody,
    Over(EndReason, Unsaved),
    Failed(RefreshUnavailable, Option<Duration>),
    /// Somebody else changed the session meanwhile.
    Grounded,
}

impl End {
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
            Self::Found(_) | Self::Begun(_) => "adopted",
            Self::Over(EndReason::Refused, _) => "refused",
            Self::Over(..) | Self::Nobody => "signed_out",
            Self::Failed(..) => "failed",
            Self::Grounded => "discarded",
        }
    }
}

/// What came of the end of a flight.
struct Applied {
    events: [Option<Event>; 2],
    /// Tokens that nobody may have.
    orphan: Option<TokenSet>,
    outcome: Option<&'static str>,
}

/// Sees to it that a flight lands, also when its runtime goes away.
struct Landing {
    shared: Arc<Shared>,
    flight: FlightId,
    has_landed: bool,
    watch: Stopwatch,
}

impl Landing {
    /// Publishes the end. Tokens that come too late are handed back if nobody may have them.
    fn land(&mut self, end: End) -> Option<TokenSet> {
        let failure = end.failure();
        let Applied {
            events,
            orphan,
            outcome,
        } = self.apply(end);
        if let Some(outcome) = outcome {
            self.watch.stop(outcome, Now::read());
        }
        match (events[0], failure) {
            (Some(_), Some(kind)) => tracing::warn!(?kind, "refresh failed"),
            (Some(_), None) => tracing::warn!("refresh refused"),
            (None, _) => {}
        }
        // First the events: who is woken by the change may count them.
        for event in events.into_iter().flatten() {
            self.shared.announcer.announce(event);
        }
        self.has_landed = true;
        self.shared.changed.notify_waiters();
        orphan
    }

    fn apply(&self, end: End) -> Applied {
        let mut state = self.shared.state_mut();
        if !state.is_current(self.flight) {
            let is_signed_out = matches!(state.session, Session::Ended(EndReason::SignedOut));
            return Applied {
                events: [None, None],
                orphan: match end {
                    End::Renewed { tokens, .. } if is_signed_out => Some(tokens),
                    _ => None,
                },
                outcome: Some("discarded"),
            };
        }
        // To look into the store for the first time is no refresh.
        let is_unloaded = matches!(state.session, Session::Unloaded(_));
        let outcome = (!is_unloaded).then(|| end.outcome());
        let mut failed = None;
        let mut news = None;
        match end {
            End::Renewed {
                tokens,
                asked,
                is_saved,
            } => {
                let generation = tokens.generation();
                state.renew(tokens, asked, is_saved);
                news = Some(Event::Refreshed { generation });
            }
            End::Found(tokens) => state.adopt(tokens, Now::read()),
            End::Begun(tokens) => state.begin(tokens, Now::read()),
            End::Nobody => state.empty(),
            End::Over(reason, unsaved) => {
                if reason == EndReason::Refused {
                    failed = Some(Event::RefreshFailed { transient: false });
                }
                if state.end(reason, unsaved) {
                    news = Some(Event::SessionEnded { reason });
                }
            }
            End::Failed(error, wish) => {
                failed = Some(Event::RefreshFailed { transient: true });
                state.fail(self.flight, error, wish, Now::read());
            }
            End::Grounded => state.abandon(self.flight),
        }
        Applied {
            events: [failed, news],
            orphan: None,
            outcome,
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

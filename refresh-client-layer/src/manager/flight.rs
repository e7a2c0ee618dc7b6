//! One refresh, from its start to its landing, in a task of its own.

use std::ops::ControlFlow;
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
use crate::refresh::{RefreshError, RefreshErrorKind, RefreshRequest};
use crate::tokens::{IdempotencyKey, TokenSet};

/// Starts the refresh. It runs to its end, whoever waits for it.
pub(super) fn launch(shared: &Arc<Shared>, flight: FlightId, runtime: &Handle) {
    let landing = Landing {
        shared: shared.clone(),
        flight,
        has_landed: false,
    };
    let span = tracing::debug_span!("refresh", flight);
    drop(runtime.spawn(fly(landing).instrument(span)));
}

/// True while the refresher of this manager runs in this task.
pub(super) fn is_inside(shared: &Arc<Shared>) -> bool {
    let id = Arc::as_ptr(shared).addr();
    INSIDE.try_with(|inside| *inside == id).unwrap_or(false)
}

tokio::task_local! {
    static INSIDE: usize;
}

async fn fly(mut landing: Landing) {
    let shared = landing.shared.clone();
    let attempt = AssertUnwindSafe(attempt(&shared, landing.flight)).catch_unwind();
    let end = INSIDE
        .scope(Arc::as_ptr(&shared).addr(), attempt)
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
}

/// Sees to it that a flight lands, also when its runtime goes away.
struct Landing {
    shared: Arc<Shared>,
    flight: FlightId,
    has_landed: bool,
}

impl Landing {
    /// Publishes the end. Tokens that come too late are handed back if nobody may have them.
    fn land(&mut self, end: End) -> Option<TokenSet> {
        let (events, orphan) = self.apply(end);
        // First the events: who is woken by the change may count them. The waiters are woken by
        // the drop, even if a callback panics.
        for event in events.into_iter().flatten() {
            self.shared.announcer.announce(event);
        }
        self.has_landed = true;
        self.shared.changed.notify_waiters();
        orphan
    }

    fn apply(&self, end: End) -> ([Option<Event>; 2], Option<TokenSet>) {
        let mut state = self.shared.state_mut();
        if !state.is_current(self.flight) {
            let is_signed_out = matches!(state.session, Session::Ended(EndReason::SignedOut));
            return match end {
                End::Renewed { tokens, .. } if is_signed_out => ([None, None], Some(tokens)),
                _ => ([None, None], None),
            };
        }
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
        ([failed, news], None)
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

async fn attempt(shared: &Arc<Shared>, flight: FlightId) -> End {
    let is_unloaded = matches!(shared.state().session, Session::Unloaded(_));
    if is_unloaded {
        return load(shared).await;
    }
    // Persist before publish: a token that is not stored must not be used up.
    if shared.state().unsaved != Unsaved::Nothing {
        shared.persist().await;
    }
    let parent = match &shared.state().session {
        Session::Live(live) => live.tokens.clone(),
        _ => return End::Grounded,
    };
    let key = match begin(shared, &parent).await {
        ControlFlow::Continue(key) => key,
        ControlFlow::Break(end) => return end,
    };
    let asked = Now::read();
    let request = RefreshRequest::new(parent.refresh_token().clone(), key);
    let answer = shared.refresher.refresh(request);
    match tokio::time::timeout(shared.settings.attempt_timeout, answer).await {
        Ok(Ok(tokens)) if !tokens.access_token().is_valid() => {
            let error = RefreshError::new(
                RefreshErrorKind::Transient,
                "the refresher brought a token that no header can carry",
            );
            End::Failed(RefreshUnavailable::failed(error), None)
        }
        Ok(Ok(tokens)) => save(shared, flight, &parent, tokens, asked).await,
        Ok(Err(error)) => refused(shared, &parent, error).await,
        Err(_elapsed) => End::failed(UnavailableKind::TimedOut),
    }
}

async fn load(shared: &Shared) -> End {
    match shared.store.load().await {
        Ok(Some(stored)) => End::Found(stored.tokens().clone()),
        Ok(None) => {
            let given = match &shared.state().session {
                Session::Unloaded(given) => given.clone(),
                _ => None,
            };
            given.map_or(End::Nobody, End::Begun)
        }
        Err(_fault) => {
            shared.report_store_fault().await;
            End::failed(UnavailableKind::Store)
        }
    }
}

/// Fixes the idempotency key before the request leaves, and finds out whether another process was
/// faster.
async fn begin(shared: &Shared, parent: &TokenSet) -> ControlFlow<End, Option<IdempotencyKey>> {
    let generation = parent.generation();
    let own = shared.settings.sends_key.then(|| shared.key(generation));
    let stored = match &own {
        Some(key) => shared.store.begin(generation, key.clone()).await,
        None => shared.store.load().await,
    };
    match stored {
        Ok(Some(stored)) if stored.is_newer_than(generation) => {
            ControlFlow::Break(End::Found(stored.tokens().clone()))
        }
        Ok(Some(stored)) if own.is_some() && !stored.is_older_than(generation) => {
            ControlFlow::Continue(stored.idempotency_key().cloned().or(own))
        }
        Ok(None) if shared.state().unsaved == Unsaved::Nothing => {
            ControlFlow::Break(End::Over(EndReason::SignedOut, Unsaved::Nothing))
        }
        Ok(_) => ControlFlow::Continue(own),
        Err(_fault) => {
            shared.report_store_fault().await;
            ControlFlow::Continue(own)
        }
    }
}

/// Stores the new tokens before anybody uses them.
async fn save(
    shared: &Shared,
    flight: FlightId,
    parent: &TokenSet,
    tokens: TokenSet,
    asked: Now,
) -> End {
    let tokens = tokens
        .with_generation(parent.generation() + 1)
        .pinned(asked.wall);
    let mut writer = shared.writing.lock().await;
    let mut is_saved = false;
    if shared.state().is_current(flight) {
        match shared.store.save(&tokens).await {
            Ok(true) => {
                is_saved = true;
                writer.is_failing = false;
            }
            Ok(false) => {
                if let Some(newer) = shared.newer(parent.generation()).await {
                    return End::Found(newer);
                }
            }
            Err(_fault) => shared.note_store_fault(&mut writer),
        }
    }
    End::Renewed {
        tokens,
        asked,
        is_saved,
    }
}

/// The server does not want this token. Perhaps another process has left a newer one.
async fn refused(shared: &Shared, parent: &TokenSet, error: RefreshError) -> End {
    let kind = error.kind();
    if !matches!(
        kind,
        RefreshErrorKind::Refused | RefreshErrorKind::Superseded
    ) {
        let wish = error.retry_after();
        return End::Failed(RefreshUnavailable::failed(error), wish);
    }
    let generation = parent.generation();
    match shared.store.load().await {
        Ok(Some(stored)) if stored.is_newer_than(generation) => {
            return End::Found(stored.tokens().clone());
        }
        Ok(_) => {}
        Err(_fault) => {
            shared.report_store_fault().await;
            return End::failed(UnavailableKind::Store);
        }
    }
    let has_patience = shared.state().failures() < SUPERSEDED_PATIENCE;
    if kind == RefreshErrorKind::Superseded && has_patience {
        let wish = error.retry_after();
        return End::Failed(RefreshUnavailable::failed(error), wish);
    }
    End::Over(EndReason::Refused, Unsaved::End(generation))
}

/// How often to look for the newer token that the server speaks of before giving the session up.
const SUPERSEDED_PATIENCE: u32 = 3;

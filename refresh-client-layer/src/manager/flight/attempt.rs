use std::error::Error as _;
use std::iter;
use std::ops::ControlFlow;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use super::End;
use crate::clock::{self, Now};
use crate::event::EndReason;
use crate::manager::error::{RefreshUnavailable, UnavailableKind};
use crate::manager::shared::Shared;
use crate::manager::state::{Session, Standing, Unsaved};
use crate::manager::want::FlightId;
use crate::refresh::{RefreshError, RefreshErrorKind, RefreshRequest};
use crate::tokens::{IdempotencyKey, TokenSet};

/// Finds new tokens: in the store if another process was faster, else at the server.
pub(super) async fn run(shared: &Arc<Shared>, flight: FlightId) -> End {
    if !shared.progress(flight, STORE_PATIENCE) {
        return End::Grounded;
    }
    let is_live = matches!(shared.state().session, Session::Live(_));
    if !is_live {
        return look(shared).await;
    }
    match turn(shared, flight).await {
        ControlFlow::Continue(()) => exchange(shared, flight).await,
        ControlFlow::Break(end) => end,
    }
}

/// Looks into the store for a session: before the first request, and again where nobody is signed in.
async fn look(shared: &Shared) -> End {
    let stored = shared.look().await;
    let state = shared.state();
    match (stored, &state.session) {
        (Ok(Some(stored)), _) if state.standing(&stored) != Standing::Ended => End::Found(stored),
        (Ok(_), Session::Unloaded(given)) => given.clone().map_or(End::Nobody, End::Begun),
        (Err(_fault), Session::Unloaded(_)) => End::failed(UnavailableKind::Store),
        _ => End::Grounded,
    }
}

/// No other process that shares the store may refresh until the new tokens are stored.
async fn turn(shared: &Shared, flight: FlightId) -> ControlFlow<End> {
    if shared.has_turn() {
        return ControlFlow::Continue(());
    }
    let may_pass = shared.settings.sends_key && shared.state().tokens_are_idempotent();
    let patience = match may_pass {
        true => HOLDER_PATIENCE.min(shared.settings.attempt_timeout),
        false => shared.settings.attempt_timeout,
    };
    let end = clock::end_of(patience);
    if !shared.progress(flight, patience.saturating_add(WATCHED)) {
        return ControlFlow::Break(End::Grounded);
    }
    let mut lock = pin!(shared.store.lock());
    loop {
        let next = end.min(clock::end_of(WATCHED));
        match timeout_at(next, &mut lock).await {
            Ok(Ok(turn)) if shared.state().is_current(flight) => shared.keep_turn(turn),
            Ok(Ok(_)) => return ControlFlow::Break(End::Grounded),
            Ok(Err(_fault)) => {
                shared.note_store(false);
                shared.tell();
            }
            Err(_elapsed) => {
                // The holder may be stopped after it has stored them.
                if let Ok(Some(stored)) = shared.store.load().await {
                    if shared.state().gives_way(&stored) {
                        return ControlFlow::Break(End::Found(stored));
                    }
                }
                if Instant::now() < end {
                    continue;
                }
                if !may_pass {
                    return ControlFlow::Break(End::failed(UnavailableKind::Locked));
                }
            }
        }
        return ControlFlow::Continue(());
    }
}

async fn exchange(shared: &Arc<Shared>, flight: FlightId) -> End {
    // Persist before publish: a token that is not stored must not be used up.
    if shared.state().unsaved != Unsaved::Nothing {
        shared.persist().await;
    }
    if !shared.progress(flight, STORE_PATIENCE) {
        return End::Grounded;
    }
    let Some(parent) = shared.state().parent(flight) else {
        return End::Grounded;
    };
    let terms = match begin(shared, &parent).await {
        ControlFlow::Continue(terms) => terms,
        ControlFlow::Break(end) => return end,
    };
    let (asked, tokens) = match ask(shared, flight, &parent, terms.key).await {
        ControlFlow::Continue(answer) => answer,
        ControlFlow::Break(end) => return end,
    };
    if let Err(why) = tokens.check() {
        let what = "what the refresher brought are no tokens";
        let error = RefreshError::new(RefreshErrorKind::Transient, what).with_source(why);
        return End::Failed(RefreshUnavailable::failed(error), None);
    }
    let tokens = tokens.child_of(&parent).pinned(asked.wall);
    save(shared, flight, tokens, terms.is_stored, asked).await
}

/// Calls the refresher, and again after faults that pass within seconds. Only callers without a usable
/// token wait for that; to budget, events and backoff it is one refresh.
async fn ask(
    shared: &Arc<Shared>,
    flight: FlightId,
    parent: &TokenSet,
    key: Option<IdempotencyKey>,
) -> ControlFlow<End, (Now, TokenSet)> {
    let began = Now::read().monotonic;
    let mut pauses = PAUSES.into_iter().map(Duration::from_millis);
    loop {
        let asked = Now::read();
        if !shared.state_mut().ask(flight, asked) {
            return ControlFlow::Break(End::Grounded);
        }
        let request = RefreshRequest::new(shared.id(), parent.clone(), key.clone());
        let answer = shared.refresher.refresh(request);
        let (end, wish) = match timeout(shared.settings.attempt_timeout, answer).await {
            Ok(Ok(tokens)) => return ControlFlow::Continue((asked, tokens)),
            Ok(Err(error)) => {
                let wish = error.pause().filter(|_| !is_reentrant(&error));
                (refused(shared, error).await, wish)
            }
            Err(_elapsed) => {
                let may_repeat = shared.state().is_repeatable();
                let wish = may_repeat.then_some(Duration::ZERO);
                (End::failed(UnavailableKind::TimedOut), wish)
            }
        };
        let pause = wish.zip(pauses.next()).map(|(wish, own)| wish.max(own));
        let due = pause.map(|pause| Instant::now() + pause);
        match due.filter(|due| *due <= began + PATIENCE) {
            Some(due) if shared.state_mut().repeat(flight) => {
                shared.changed.notify_waiters();
                sleep_until(due).await;
            }
            _ => return ControlFlow::Break(end),
        }
    }
}

/// The request came back to the manager that waits for its answer, and would do so again.
fn is_reentrant(error: &RefreshError) -> bool {
    iter::successors(error.source(), |error| (*error).source())
        .filter_map(|error| error.downcast_ref::<RefreshUnavailable>())
        .any(|error| error.kind() == UnavailableKind::Reentrant)
}

/// What a refresh begins with.
struct Terms {
    key: Option<IdempotencyKey>,
    /// The store has the token that is replaced.
    is_stored: bool,
}

/// Fixes the idempotency key before the request leaves, and finds out whether another process was
/// faster.
async fn begin(shared: &Shared, parent: &TokenSet) -> ControlFlow<End, Terms> {
    let position = shared.state().position();
    let own = shared.settings.sends_key.then(|| shared.key(position));
    let write = shared.state().begin_write(own.clone());
    let Some(write) = write.filter(|_| position.generation() == parent.generation()) else {
        return ControlFlow::Break(End::Grounded);
    };
    let stored = shared.store.update(|stored| write.decide(stored)).await;
    shared.state_mut().has_unsaved_key = own.is_some() && stored.is_err();
    shared.note_store(stored.is_ok());
    shared.tell();
    let (standing, unsaved) = {
        let state = shared.state();
        let stored = stored.as_ref().ok().and_then(Option::as_ref);
        (stored.map(|stored| state.standing(stored)), state.unsaved)
    };
    match (standing, stored) {
        (Some(Standing::Same), Ok(Some(stored))) => {
            let key = own.map(|own| stored.idempotency_key().cloned().unwrap_or(own));
            // It counts also if the store cannot be read the next time.
            shared.state_mut().keep_key(position, key.clone());
            let is_stored = true;
            ControlFlow::Continue(Terms { key, is_stored })
        }
        (Some(Standing::Newer | Standing::Foreign), Ok(Some(stored)))
            if unsaved != Unsaved::SignIn =>
        {
            ControlFlow::Break(End::Found(stored))
        }
        (None, Ok(None)) if unsaved == Unsaved::Nothing => {
            ControlFlow::Break(End::over(EndReason::SignedOut, false))
        }
        _ => {
            let is_stored = false;
            ControlFlow::Continue(Terms {
                key: own,
                is_stored,
            })
        }
    }
}

/// Stores the new tokens before anybody uses them.
async fn save(
    shared: &Shared,
    flight: FlightId,
    tokens: TokenSet,
    was_stored: bool,
    asked: Now,
) -> End {
    let _writer = shared.writing.lock().await;
    let write = {
        let state = shared.state();
        let write = state.child_write(&tokens, was_stored);
        write.filter(|_| state.is_current(flight))
    };
    let Some(write) = write else {
        return End::renewed(tokens, asked, false);
    };
    let saved = shared.store.update(|stored| write.decide(stored)).await;
    shared.note_store(saved.is_ok());
    match saved {
        Ok(Some(stored)) if write.is_done(&stored) => End::renewed(tokens, asked, true),
        Ok(Some(stored)) => End::Replaced(stored, tokens),
        Ok(None) => End::Orphaned(tokens),
        Err(_fault) => End::renewed(tokens, asked, false),
    }
}

/// The server does not want this token. Perhaps another process has left a newer one.
async fn refused(shared: &Shared, error: RefreshError) -> End {
    let kind = error.kind();
    if matches!(
        kind,
        RefreshErrorKind::Configuration | RefreshErrorKind::Transient
    ) {
        let wish = error.retry_after();
        return End::Failed(RefreshUnavailable::failed(error), wish);
    }
    match shared.look().await {
        Ok(Some(stored)) if shared.state().gives_way(&stored) => return End::Found(stored),
        Ok(_) => {}
        Err(_fault) => return End::failed(UnavailableKind::Store),
    }
    if kind == RefreshErrorKind::Superseded
        && shared.state_mut().count_superseded() <= SUPERSEDED_PATIENCE
    {
        let wish = error.retry_after();
        return End::Failed(RefreshUnavailable::failed(error), wish);
    }
    // Where the user has to sign in, the refresh token may be good for another request.
    End::over(EndReason::Refused, kind != RefreshErrorKind::SignInRequired)
}

/// How long the right to refresh is waited for where a second refresh does no harm.
const HOLDER_PATIENCE: Duration = Duration::from_secs(5);
/// How often the record is looked at meanwhile.
const WATCHED: Duration = Duration::from_secs(1);
/// What a store may take for its part of a refresh, before a waiter takes the refresh over.
const STORE_PATIENCE: Duration = Duration::from_secs(12);

/// Milliseconds between two tries, which are then made at 0, 0.1, 0.4, 1.3 and 4 seconds.
const PAUSES: [u64; 4] = [100, 300, 900, 2_700];
/// No try is made later than this.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often to look for the newer token that the server speaks of before giving the session up.
const SUPERSEDED_PATIENCE: u32 = 3;

use std::ops::ControlFlow;
use std::sync::Arc;

use tokio::time::timeout;

use super::End;
use crate::clock::Now;
use crate::event::EndReason;
use crate::manager::error::{RefreshUnavailable, UnavailableKind};
use crate::manager::shared::Shared;
use crate::manager::state::{Session, Unsaved};
use crate::manager::want::FlightId;
use crate::refresh::{RefreshError, RefreshErrorKind, RefreshRequest};
use crate::store::StoreLock;
use crate::tokens::{IdempotencyKey, TokenSet};

/// Finds new tokens: in the store if another process was faster, else at the server. Whoever had to wait
/// for their turn has it until the new tokens are stored.
pub(super) async fn run(shared: &Arc<Shared>, flight: FlightId) -> (End, Option<StoreLock>) {
    let is_unloaded = matches!(shared.state().session, Session::Unloaded(_));
    if is_unloaded {
        return (load(shared).await, None);
    }
    match turn(shared).await {
        ControlFlow::Continue(turn) => (exchange(shared, flight).await, turn),
        ControlFlow::Break(end) => (end, None),
    }
}

async fn load(shared: &Shared) -> End {
    match shared.look().await {
        Ok(Some(stored)) => End::Found(stored),
        Ok(None) => {
            let given = match &shared.state().session {
                Session::Unloaded(given) => given.clone(),
                _ => None,
            };
            given.map_or(End::Nobody, End::Begun)
        }
        Err(_fault) => End::failed(UnavailableKind::Store),
    }
}

/// Without a key nobody else who shares the store may refresh meanwhile, until the new tokens are
/// stored. With one there is no need: both would send the same pair.
async fn turn(shared: &Shared) -> ControlFlow<End, Option<StoreLock>> {
    if shared.settings.sends_key {
        return ControlFlow::Continue(None);
    }
    if let Some(kept) = shared.writing.lock().await.turn.take() {
        return ControlFlow::Continue(Some(kept));
    }
    match timeout(shared.settings.attempt_timeout, shared.store.lock()).await {
        Ok(Ok(lock)) => ControlFlow::Continue(Some(lock)),
        Ok(Err(_fault)) => {
            shared.note_store(false);
            shared.tell();
            ControlFlow::Continue(None)
        }
        Err(_elapsed) => ControlFlow::Break(End::failed(UnavailableKind::TimedOut)),
    }
}

async fn exchange(shared: &Arc<Shared>, flight: FlightId) -> End {
    // Persist before publish: a token that is not stored must not be used up.
    if shared.state().unsaved != Unsaved::Nothing {
        shared.persist().await;
    }
    let Some(parent) = shared.state().parent(flight) else {
        return End::Grounded;
    };
    let terms = match begin(shared, &parent).await {
        ControlFlow::Continue(terms) => terms,
        ControlFlow::Break(end) => return end,
    };
    if !shared.state().is_current(flight) {
        return End::Grounded;
    }
    let asked = Now::read();
    let request = RefreshRequest::new(shared.id(), parent.clone(), terms.key);
    let answer = shared.refresher.refresh(request);
    let tokens = match timeout(shared.settings.attempt_timeout, answer).await {
        Ok(Ok(tokens)) => tokens,
        Ok(Err(error)) => return refused(shared, &parent, error).await,
        Err(_elapsed) => return End::failed(UnavailableKind::TimedOut),
    };
    if let Err(why) = tokens.check() {
        let what = "what the refresher brought are no tokens";
        let error = RefreshError::new(RefreshErrorKind::Transient, what).with_source(why);
        return End::Failed(RefreshUnavailable::failed(error), None);
    }
    let tokens = tokens
        .with_generation(parent.generation() + 1)
        .pinned(asked.wall);
    save(shared, flight, tokens, terms.is_stored, asked).await
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
    let generation = parent.generation();
    let own = shared.settings.sends_key.then(|| shared.key(generation));
    let stored = match &own {
        Some(key) => shared.store.begin(generation, key.clone()).await,
        None => shared.store.load().await,
    };
    shared.state_mut().has_unsaved_key = own.is_some() && stored.is_err();
    shared.note_store(stored.is_ok());
    shared.tell();
    match stored {
        Ok(Some(stored)) if shared.gives_way(&stored, generation) => {
            ControlFlow::Break(End::Found(stored))
        }
        Ok(Some(stored)) if stored.tokens().generation() == generation => {
            let key = own.map(|own| stored.idempotency_key().cloned().unwrap_or(own));
            // It counts also if the store cannot be read the next time.
            shared.state_mut().keep_key(generation, key.clone());
            ControlFlow::Continue(Terms {
                key,
                is_stored: true,
            })
        }
        Ok(None) if shared.state().unsaved == Unsaved::Nothing => {
            ControlFlow::Break(End::Over(EndReason::SignedOut, Unsaved::Nothing))
        }
        Ok(_) | Err(_) => ControlFlow::Continue(Terms {
            key: own,
            is_stored: false,
        }),
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
    if !shared.state().is_current(flight) {
        return End::renewed(tokens, asked, false);
    }
    if was_stored && matches!(shared.store.load().await, Ok(None)) {
        return End::Orphaned(tokens);
    }
    let saved = shared.store.save(&tokens).await;
    shared.note_store(saved.is_ok());
    match saved {
        Ok(true) => End::renewed(tokens, asked, true),
        Ok(false) => match shared.newer(tokens.generation() - 1).await {
            Some(newer) => End::Found(newer),
            None => End::renewed(tokens, asked, false),
        },
        Err(_fault) => End::renewed(tokens, asked, false),
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
    match shared.look().await {
        Ok(Some(stored)) if shared.gives_way(&stored, generation) => return End::Found(stored),
        Ok(_) => {}
        Err(_fault) => return End::failed(UnavailableKind::Store),
    }
    if kind == RefreshErrorKind::Superseded
        && shared.state_mut().count_superseded() <= SUPERSEDED_PATIENCE
    {
        let wish = error.retry_after();
        return End::Failed(RefreshUnavailable::failed(error), wish);
    }
    End::Over(EndReason::Refused, Unsaved::End(generation))
}

/// How often to look for the newer token that the server speaks of before giving the session up.
const SUPERSEDED_PATIENCE: u32 = 3;

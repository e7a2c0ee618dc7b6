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

/// Finds new tokens: in the store if another process was faster, else at the server.
pub(super) async fn run(shared: &Arc<Shared>, flight: FlightId) -> End {
    let is_unloaded = matches!(shared.state().session, Session::Unloaded(_));
    if is_unloaded {
        return load(shared).await;
    }
    let _turn = match turn(shared).await {
        ControlFlow::Continue(lock) => lock,
        ControlFlow::Break(end) => return end,
    };
    // Persist before publish: a token that is not stored must not be used up.
    if shared.state().unsaved != Unsaved::Nothing {
        shared.persist().await;
    }
    let Some(parent) = shared.state().parent(flight) else {
        return End::Grounded;
    };
    let key = match begin(shared, &parent).await {
        ControlFlow::Continue(key) => key,
        ControlFlow::Break(end) => return end,
    };
    if !shared.state().is_current(flight) {
        return End::Grounded;
    }
    let asked = Now::read();
    let request = RefreshRequest::new(shared.id(), parent.clone(), key);
    let answer = shared.refresher.refresh(request);
    match timeout(shared.settings.attempt_timeout, answer).await {
        Ok(Ok(tokens)) => match tokens.check() {
            Ok(()) => save(shared, flight, &parent, tokens, asked).await,
            Err(why) => {
                let what = "what the refresher brought are no tokens";
                let error = RefreshError::new(RefreshErrorKind::Transient, what).with_source(why);
                End::Failed(RefreshUnavailable::failed(error), None)
            }
        },
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

/// Without a key nobody else who shares the store may refresh meanwhile, until the new tokens are
/// stored. With one there is no need: both would send the same pair.
async fn turn(shared: &Shared) -> ControlFlow<End, Option<StoreLock>> {
    if shared.settings.sends_key {
        return ControlFlow::Continue(None);
    }
    match timeout(shared.settings.attempt_timeout, shared.store.lock()).await {
        Ok(Ok(lock)) => ControlFlow::Continue(Some(lock)),
        Ok(Err(_fault)) => {
            shared.report_store_fault().await;
            ControlFlow::Continue(None)
        }
        Err(_elapsed) => ControlFlow::Break(End::failed(UnavailableKind::TimedOut)),
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
    shared.state_mut().has_unsaved_key = own.is_some() && stored.is_err();
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

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use tokio::time::{Instant, sleep_until};

use super::backoff;
use super::shared::Shared;
use super::state::{Position, Standing, Unsaved};
use super::write::Write;
use crate::clock::{self, Now};
use crate::event::EndReason;
use crate::store::{StoreFault, StoredTokens};
use crate::tokens::{IdempotencyKey, RefreshToken};

impl Shared {
    /// Tells the store what it does not know yet; false if it would not listen.
    pub(super) async fn persist(&self) -> bool {
        let writer = self.writing.lock().await;
        let position = self.state().position();
        let is_saved = self.write_all().await;
        let has_changed = self.state().position() != position;
        drop(writer);
        self.end_turn();
        self.tell();
        // Who waits for a refresh that is of no consequence any more need not.
        if has_changed {
            self.changed.notify_waiters();
        }
        is_saved
    }

    async fn write_all(&self) -> bool {
        for written in 0..MOST_WRITES {
            let Some((write, unsaved, position)) = self.next_write() else {
                if written > 0 {
                    self.note_store(true);
                }
                return true;
            };
            let Ok(stored) = self.store.update(|stored| write.decide(stored)).await else {
                break;
            };
            if let Some(orphan) = self.written(&write, unsaved, position, stored) {
                self.revoke(orphan).await;
            }
        }
        self.note_store(false);
        false
    }

    /// Tries again and again, in a task of its own, as long as somebody has this session.
    pub(super) fn persist_later(self: &Arc<Self>) {
        let Some(runtime) = self.runtime() else {
            return;
        };
        if !self.is_retrying_store.swap(true, Ordering::AcqRel) {
            let retry = Retry(Arc::downgrade(self));
            drop(runtime.spawn(persist_repeatedly(retry)));
        }
    }

    /// The key of the refresh of these tokens: a repeat has the same one.
    pub(super) fn key(&self, position: Position) -> IdempotencyKey {
        let fresh = IdempotencyKey::random();
        let mut state = self.state_mut();
        if state.position() == position {
            state.key.get_or_insert(fresh).clone()
        } else {
            fresh
        }
    }

    pub(super) async fn look(&self) -> Result<Option<StoredTokens>, StoreFault> {
        let stored = self.store.load().await;
        self.note_store(stored.is_ok());
        stored
    }

    fn next_write(&self) -> Option<(Write, Unsaved, Position)> {
        let state = self.state();
        Some((state.next_write()?, state.unsaved, state.position()))
    }

    /// Learns from what is stored after a write. Returns the token of a child whose sign-in has ended in another
    /// process.
    fn written(
        &self,
        write: &Write,
        unsaved: Unsaved,
        position: Position,
        stored: Option<StoredTokens>,
    ) -> Option<RefreshToken> {
        let mut state = self.state_mut();
        if state.unsaved != unsaved || state.position() != position {
            return None;
        }
        match (write, stored) {
            (Write::Key(..), _) => state.has_unsaved_key = false,
            (Write::Clear(..), _) => state.unsaved = Unsaved::Nothing,
            (_, Some(stored)) if state.standing(&stored) == Standing::Same => {
                state.unsaved = Unsaved::Nothing;
            }
            (_, Some(stored)) => state.adopt(&stored, Now::read()),
            (Write::Refresh(record, _), None) => {
                state.end(EndReason::SignedOut, false);
                return Some(record.tokens().refresh_token().clone());
            }
            // Cleared this very moment; the next write will do.
            (Write::SignIn(_) | Write::Begin(_), None) => {}
        }
        None
    }
}

/// A store that takes no tokens and has none is asked again later, like one that fails.
const MOST_WRITES: u32 = 8;

/// The only one of its kind for a session, until it is dropped.
struct Retry(Weak<Shared>);

impl Drop for Retry {
    fn drop(&mut self) {
        if let Some(shared) = self.0.upgrade() {
            shared.is_retrying_store.store(false, Ordering::Release);
        }
    }
}

async fn persist_repeatedly(retry: Retry) {
    for failures in 1.. {
        let delay = backoff::delay(failures, None, clock::jitter());
        sleep_until(Instant::now() + delay).await;
        let Some(shared) = retry.0.upgrade() else {
            return;
        };
        if shared.persist().await {
            drop(retry);
            // Whoever failed before that drop has left it to this one.
            if !shared.state().is_saved() {
                shared.persist_later();
            }
            return;
        }
    }
}

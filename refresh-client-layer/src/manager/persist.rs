use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use tokio::time::{Instant, sleep_until};

use super::backoff;
use super::shared::Shared;
use super::state::{Session, Unsaved};
use crate::clock::{self, Now};
use crate::event::EndReason;
use crate::store::{StoreFault, StoredTokens};
use crate::tokens::{IdempotencyKey, TokenSet};

impl Shared {
    /// Tells the store what it does not know yet; false if it would not listen.
    pub(super) async fn persist(&self) -> bool {
        let mut writer = self.writing.lock().await;
        let generation = self.state().generation;
        let is_saved = self.write_all().await;
        let turn = if is_saved { writer.turn.take() } else { None };
        let has_changed = self.state().generation != generation;
        drop(writer);
        drop(turn);
        self.tell();
        // Who waits for a refresh that is of no consequence any more need not.
        if has_changed {
            self.changed.notify_waiters();
        }
        is_saved
    }

    async fn write_all(&self) -> bool {
        for written in 0..MOST_WRITES {
            let Some(write) = self.next_write() else {
                if written > 0 {
                    self.note_store(true);
                }
                return true;
            };
            if self.write(&write).await.is_err() {
                break;
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

    /// The key of the refresh of this generation: a repeat has the same one.
    pub(super) fn key(&self, generation: u64) -> IdempotencyKey {
        let fresh = IdempotencyKey::random();
        let mut state = self.state_mut();
        if state.generation == generation {
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

    /// What the store holds, if another process has left newer tokens.
    pub(super) async fn newer(&self, generation: u64) -> Option<StoredTokens> {
        let stored = self.store.load().await.ok()??;
        self.gives_way(&stored, generation).then_some(stored)
    }

    /// Tokens of `generation` give way to newer ones, unless somebody has just signed in with them.
    pub(super) fn gives_way(&self, stored: &StoredTokens, generation: u64) -> bool {
        stored.is_newer_than(generation) && self.state().unsaved != Unsaved::SignIn
    }

    fn next_write(&self) -> Option<Write> {
        let state = self.state();
        match (state.unsaved, &state.session) {
            (Unsaved::End(up_to), _) => Some(Write::Clear { up_to }),
            (Unsaved::Nothing, Session::Live(_)) if state.has_unsaved_key => Some(Write::Begin {
                generation: state.generation,
                key: state.key.clone()?,
            }),
            (Unsaved::Nothing, _) => None,
            (unsaved, Session::Live(live)) => Some(Write::Save {
                tokens: live.tokens.clone(),
                unsaved,
            }),
            (_, _) => None,
        }
    }

    async fn write(&self, write: &Write) -> Result<(), StoreFault> {
        match write {
            Write::Clear { up_to } => {
                self.store.clear(*up_to).await?;
                let mut state = self.state_mut();
                if state.unsaved == Unsaved::End(*up_to) {
                    state.unsaved = Unsaved::Nothing;
                }
            }
            Write::Begin { generation, key } => {
                self.store.begin(*generation, key.clone()).await?;
                let mut state = self.state_mut();
                if state.generation == *generation {
                    state.has_unsaved_key = false;
                }
            }
            Write::Save { tokens, unsaved } => {
                let generation = tokens.generation();
                if *unsaved == Unsaved::Refresh && self.store.load().await?.is_none() {
                    self.leave(generation);
                } else if self.store.save(tokens).await? {
                    self.mark_saved(generation);
                } else {
                    self.give_way(generation, *unsaved == Unsaved::SignIn)
                        .await?;
                }
            }
        }
        Ok(())
    }

    /// Somebody has signed out in another process.
    fn leave(&self, generation: u64) {
        let mut state = self.state_mut();
        if state.generation == generation {
            state.end(EndReason::SignedOut, Unsaved::Nothing);
        }
    }

    /// The store holds the same or a higher generation. A sign-in wins over it, a refresh does not.
    async fn give_way(&self, generation: u64, outranks: bool) -> Result<(), StoreFault> {
        let Some(stored) = self.store.load().await? else {
            // Cleared this very moment; the next write will do.
            return Ok(());
        };
        let mut state = self.state_mut();
        if state.generation != generation {
            // Somebody has changed the session meanwhile.
        } else if outranks {
            state.outrank(stored.tokens().generation());
        } else if stored.is_newer_than(generation) {
            state.adopt(&stored, Now::read());
        } else {
            state.unsaved = Unsaved::Nothing;
        }
        Ok(())
    }

    fn mark_saved(&self, generation: u64) {
        let mut state = self.state_mut();
        if state.generation == generation {
            state.unsaved = Unsaved::Nothing;
        }
    }
}

/// A store that takes no tokens and has none is asked again later, like one that fails.
const MOST_WRITES: u32 = 8;

enum Write {
    Save {
        tokens: TokenSet,
        unsaved: Unsaved,
    },
    /// The key of a refresh that has had no definite answer.
    Begin {
        generation: u64,
        key: IdempotencyKey,
    },
    Clear {
        up_to: u64,
    },
}

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

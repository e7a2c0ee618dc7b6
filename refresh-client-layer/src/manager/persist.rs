use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use tokio::time::{Instant, sleep_until};

use super::backoff;
use super::shared::{Shared, Writer};
use super::state::{Session, Unsaved};
use crate::clock::{self, Now};
use crate::event::Event;
use crate::store::StoreFault;
use crate::tokens::{IdempotencyKey, TokenSet};

impl Shared {
    /// Tells the store what it does not know yet; false if it would not listen.
    pub(super) async fn persist(&self) -> bool {
        let mut writer = self.writing.lock().await;
        for _ in 0..MOST_WRITES {
            let Some(write) = self.next_write() else {
                return true;
            };
            match self.write(&write).await {
                Ok(()) => writer.is_failing = false,
                Err(_fault) => break,
            }
        }
        self.note_store_fault(&mut writer);
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

    /// Tokens of the store, if another process has left newer ones.
    pub(super) async fn newer(&self, generation: u64) -> Option<TokenSet> {
        let stored = self.store.load().await.ok()??;
        stored
            .is_newer_than(generation)
            .then(|| stored.tokens().clone())
    }

    pub(super) async fn report_store_fault(&self) {
        let mut writer = self.writing.lock().await;
        self.note_store_fault(&mut writer);
    }

    /// Reports a row of faults once.
    pub(super) fn note_store_fault(&self, writer: &mut Writer) {
        if !std::mem::replace(&mut writer.is_failing, true) {
            self.announcer.announce(Event::StoreFailed);
        }
    }

    fn next_write(&self) -> Option<Write> {
        let state = self.state();
        match (state.unsaved, &state.session) {
            (Unsaved::Nothing, _) => None,
            (Unsaved::End(up_to), _) => Some(Write::Clear { up_to }),
            (unsaved, Session::Live(live)) => Some(Write::Save {
                tokens: live.tokens.clone(),
                outranks: unsaved == Unsaved::SignIn,
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
            Write::Save { tokens, outranks } => {
                if self.store.save(tokens).await? {
                    self.mark_saved(tokens.generation());
                } else {
                    self.give_way(tokens.generation(), *outranks).await?;
                }
            }
        }
        Ok(())
    }

    /// The store holds the same or a higher generation. A sign-in wins over it, a refresh does not.
    async fn give_way(&self, generation: u64, outranks: bool) -> Result<(), StoreFault> {
        let Some(stored) = self.store.load().await? else {
            // Cleared this very moment; the next write will do.
            return Ok(());
        };
        {
            let mut state = self.state_mut();
            if state.generation != generation {
                return Ok(());
            }
            if outranks {
                state.outrank(stored.tokens().generation());
            } else if stored.is_newer_than(generation) {
                state.adopt(stored.tokens().clone(), Now::read());
            } else {
                state.unsaved = Unsaved::Nothing;
            }
        }
        // Who waits for a refresh that is of no consequence any more need not.
        self.changed.notify_waiters();
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
    Save { tokens: TokenSet, outranks: bool },
    Clear { up_to: u64 },
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
            if shared.state().unsaved != Unsaved::Nothing {
                shared.persist_later();
            }
            return;
        }
    }
}

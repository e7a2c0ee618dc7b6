use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{Mutex, Notify};

use super::error::{RefreshUnavailable, UnavailableKind};
use super::flight;
use super::state::State;
use super::state_mut::StateMut;
use super::want::{Step, Verdict, Want};
use crate::clock::Now;
use crate::event::{Announcer, Event};
use crate::origin::Origins;
use crate::refresh::{AnyRefresher, SessionId};
use crate::store::{AnyStore, StoreLock};

/// What the clones of a manager have in common.
///
/// The state is behind a lock that is never held across foreign code: not while a future is polled,
/// a callback runs or a waiter is woken.
pub(super) struct Shared {
    state: RwLock<State>,
    /// Wakes everybody who waits for the state to change.
    pub(super) changed: Arc<Notify>,
    pub(super) refresher: AnyRefresher,
    pub(super) store: AnyStore,
    /// Held while the store is written to, so that a write cannot overtake a later one.
    pub(super) writing: Mutex<Writer>,
    is_store_failing: AtomicBool,
    pub(super) is_retrying_store: AtomicBool,
    pub(super) announcer: Announcer,
    pub(super) settings: Settings,
}

/// What the builder was told.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) origins: Origins,
    pub(super) runtime: Option<Handle>,
    pub(super) attempt_timeout: Duration,
    pub(super) wait_timeout: Duration,
    pub(super) sends_key: bool,
}

/// Whoever writes to the store.
#[derive(Debug, Default)]
pub(super) struct Writer {
    /// The right to refresh, kept until the store has what came of it.
    pub(super) turn: Option<StoreLock>,
}

impl Shared {
    pub(super) fn new(
        state: State,
        refresher: AnyRefresher,
        store: AnyStore,
        announcer: Announcer,
        settings: Settings,
    ) -> Self {
        Self {
            state: RwLock::new(state),
            changed: Arc::new(Notify::new()),
            refresher,
            store,
            writing: Mutex::new(Writer::default()),
            is_store_failing: AtomicBool::new(false),
            is_retrying_store: AtomicBool::new(false),
            announcer,
            settings,
        }
    }

    pub(super) fn state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn state_mut(&self) -> StateMut<'_> {
        StateMut::new(self.state.write().unwrap_or_else(PoisonError::into_inner))
    }

    /// Tells what has happened, then wakes whoever waits for a change.
    ///
    /// No lock may be held.
    pub(super) fn publish(&self) {
        self.tell();
        self.changed.notify_waiters();
    }

    /// If somebody is at it already, perhaps further up in this thread, they tell this too.
    pub(super) fn tell(&self) {
        if self.state_mut().news.begin() {
            while let Some(event) = self.next_event() {
                self.announcer.announce(event);
            }
        }
    }

    fn next_event(&self) -> Option<Event> {
        self.state_mut().news.next()
    }

    /// How the store did. A row of faults is news once.
    pub(super) fn note_store(&self, has_worked: bool) {
        let was_failing = self.is_store_failing.swap(!has_worked, Ordering::AcqRel);
        if !has_worked && !was_failing {
            self.state_mut().news.push(Event::StoreFailed);
        }
    }

    /// Moves towards what is wanted; `None` means: wait for the next change.
    pub(super) fn step(self: &Arc<Self>, want: &mut Want) -> Option<Verdict> {
        let step = self.state_mut().step(want, Now::read());
        match step {
            Step::Done(verdict) => Some(verdict),
            Step::Wait => None,
            Step::Start(flight) => {
                let Some(runtime) = self.runtime() else {
                    self.state_mut().abandon(flight);
                    self.changed.notify_waiters();
                    let error = RefreshUnavailable::new(UnavailableKind::NoRuntime);
                    return Some(Err(error.into()));
                };
                flight::launch(self, flight, &runtime);
                None
            }
        }
    }

    pub(super) fn id(self: &Arc<Self>) -> SessionId {
        SessionId(Arc::as_ptr(self).addr())
    }

    /// Where tasks of ours run.
    pub(super) fn runtime(&self) -> Option<Handle> {
        self.settings
            .runtime
            .clone()
            .or_else(|| Handle::try_current().ok())
    }
}

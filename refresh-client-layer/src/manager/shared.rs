use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex as StdMutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::{Mutex, Notify};
use tokio::time::Instant;

use super::error::{RefreshUnavailable, UnavailableKind};
use super::flight;
use super::state::State;
use super::state_mut::StateMut;
use super::want::{FlightId, Step, Verdict, Want};
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
    pub(super) writing: Mutex<()>,
    is_store_failing: AtomicBool,
    pub(super) is_retrying_store: AtomicBool,
    /// The right to refresh, alone among all who share the store, until the store has what came of it.
    turn: StdMutex<Option<StoreLock>>,
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
    pub(super) refreshes_early: bool,
}

/// What a caller does next.
pub(super) enum Progress {
    Done(Verdict),
    /// Look again after the next change, and at this moment if there is one.
    Wait(Option<Instant>),
    /// Look again now.
    Again,
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
            writing: Mutex::new(()),
            is_store_failing: AtomicBool::new(false),
            is_retrying_store: AtomicBool::new(false),
            turn: StdMutex::new(None),
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

    /// Starts a refresh ahead of time, if none runs and one may start.
    pub(super) fn start(self: &Arc<Self>, want: &mut Want) {
        if self.settings.refreshes_early && self.may_run_unwatched() {
            drop(self.step(want));
        }
    }

    /// A refresh that no caller waits for needs a runtime that is driven until its end, or a server that
    /// takes a repeat for one: a current-thread runtime may never be driven again.
    fn may_run_unwatched(&self) -> bool {
        let is_driven = |runtime: Handle| runtime.runtime_flavor() != RuntimeFlavor::CurrentThread;
        self.settings.runtime.is_some()
            || self.state().tokens_are_idempotent()
            || Handle::try_current().is_ok_and(is_driven)
    }

    /// Moves towards what is wanted.
    pub(super) fn step(self: &Arc<Self>, want: &mut Want) -> Progress {
        let step = self.state_mut().step(want, Now::read());
        let (flight, runtime) = match step {
            Step::Done(verdict) => return Progress::Done(verdict),
            Step::Wait(until) => return Progress::Wait(until),
            Step::Start(flight) => (flight, self.runtime()),
            Step::TakeOver(flight) => {
                tracing::warn!("a refresh made no progress on its runtime; a waiter takes it over");
                (
                    flight,
                    Handle::try_current().ok().or_else(|| self.runtime()),
                )
            }
        };
        match runtime {
            Some(runtime) => {
                flight::launch(self, flight, &runtime);
                Progress::Again
            }
            None => {
                self.state_mut().abandon(flight);
                self.changed.notify_waiters();
                let error = RefreshUnavailable::new(UnavailableKind::NoRuntime);
                Progress::Done(Err(error.into()))
            }
        }
    }

    /// Notes that the task of `flight` goes on, and how long its next step may take; false if it is not to go
    /// on.
    pub(super) fn progress(&self, flight: FlightId, patience: Duration) -> bool {
        self.state_mut().progress(flight, Now::read(), patience)
    }

    /// Waits for the end of the refresh that is under way, if there is one.
    pub(super) async fn landed(&self) {
        let Some(flight) = self.state().current() else {
            return;
        };
        loop {
            let changed = self.changed.notified();
            if !self.state().is_current(flight) {
                return;
            }
            changed.await;
        }
    }

    pub(super) fn has_turn(&self) -> bool {
        self.turn().is_some()
    }

    pub(super) fn keep_turn(&self, turn: StoreLock) {
        let former = self.turn().replace(turn);
        drop(former);
    }

    /// Lets others refresh, once the store knows all that is known here.
    pub(super) fn end_turn(&self) {
        let is_done = {
            let state = self.state();
            state.is_saved() && state.current().is_none()
        };
        if is_done {
            let turn = self.turn().take();
            drop(turn);
        }
    }

    fn turn(&self) -> MutexGuard<'_, Option<StoreLock>> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
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

use std::time::Duration;

use tokio::time::Instant;

use super::{Session, State};
use crate::clock::Now;
use crate::manager::want::FlightId;
use crate::tokens::TokenSet;

/// A refresh that runs, or is to run.
#[derive(Debug)]
pub(super) struct Flight {
    pub(super) id: FlightId,
    /// When a waiter may carry it out itself, as its task has made no progress. None: never, since a plain
    /// server would take the second request for a stolen token.
    pub(super) overdue: Option<Instant>,
    /// The refresher has been called.
    has_asked: bool,
    /// A try failed, and another one is due in a moment.
    pub(super) is_repeating: bool,
}

impl Flight {
    pub(super) fn new(id: FlightId, now: Now) -> Self {
        Self {
            id,
            overdue: Some(now.monotonic + QUEUE_PATIENCE),
            has_asked: false,
            is_repeating: false,
        }
    }
}

/// How long a refresh may wait for the first poll of its task, and for an answer, before a waiter on another
/// runtime takes it over.
const QUEUE_PATIENCE: Duration = Duration::from_secs(1);
const ASKING_PATIENCE: Duration = Duration::from_secs(5);

/// The refresh that runs, as its task sees it.
impl State {
    pub(in crate::manager) fn is_current(&self, flight: FlightId) -> bool {
        self.flight
            .as_ref()
            .is_some_and(|running| running.id == flight)
    }

    /// The refresh that runs.
    pub(in crate::manager) fn current(&self) -> Option<FlightId> {
        self.flight.as_ref().map(|running| running.id)
    }

    /// Notes that the task of `flight` runs, and has this long for its next step; false if it is not to run
    /// any more.
    pub(in crate::manager) fn progress(
        &mut self,
        flight: FlightId,
        now: Now,
        patience: Duration,
    ) -> bool {
        self.note(flight, |running| {
            running.overdue = now.monotonic.checked_add(patience);
        })
    }

    /// Notes that the refresher is about to be called; false if it must not be called any more.
    pub(in crate::manager) fn ask(&mut self, flight: FlightId, now: Now) -> bool {
        let is_repeatable = self.is_repeatable();
        self.note(flight, |running| {
            if !running.has_asked {
                running.overdue = is_repeatable.then(|| now.monotonic + ASKING_PATIENCE);
                running.has_asked = true;
            }
        })
    }

    /// Notes that a try failed and another follows: requests whose token is still alive need not wait.
    pub(in crate::manager) fn repeat(&mut self, flight: FlightId) -> bool {
        self.note(flight, |running| running.is_repeating = true)
    }

    fn note(&mut self, flight: FlightId, note: impl FnOnce(&mut Flight)) -> bool {
        let running = self.flight.as_mut().filter(|running| running.id == flight);
        running.map(note).is_some()
    }

    /// What `flight` is to replace, if it still is.
    pub(in crate::manager) fn parent(&self, flight: FlightId) -> Option<TokenSet> {
        match &self.session {
            Session::Live(live) if self.is_current(flight) => Some(live.tokens.clone()),
            _ => None,
        }
    }

    /// Takes back a flight that nobody carries out.
    pub(in crate::manager) fn abandon(&mut self, flight: FlightId) {
        if self.is_current(flight) {
            self.flight = None;
        }
    }
}

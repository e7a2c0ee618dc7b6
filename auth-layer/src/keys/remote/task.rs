use std::future::{Future as _, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout, timeout_at};

use super::origin::{Fetched, Origin};
use super::schedule::{Cause, Schedule, TIMEOUT};
use super::{RemoteKeysError, RemoteKeysErrorKind};
use crate::keys::{KeySet, SkippedKey};
use crate::metrics;

/// What the task that fetches and those who wait for it share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) keys: KeySet,
    state: Mutex<State>,
    pub(super) progress: watch::Sender<Progress>,
    created_at: Instant,
    /// No look at the keys before this, in milliseconds since `created_at`, finds anything to do.
    look_at: AtomicU64,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) schedule: Schedule,
    pub(super) last_error: Option<RemoteKeysError>,
    pub(super) used: usize,
    pub(super) skipped: Arc<[SkippedKey]>,
    task: Option<Task>,
    /// How many tasks there were.
    tasks: u64,
}

/// The task whose word counts.
#[derive(Clone, Debug)]
pub(super) struct Task {
    number: u64,
    /// Wakes it: a miss wants a fetch, or a waiter asks whether it is driven. A task that was replaced does not take this from
    /// its successor.
    wake: Arc<Notify>,
}

/// What waiters watch.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Progress {
    /// How many fetches have ended.
    pub(super) finished: u64,
    /// How often the task has ended: what it was to do will not be done.
    pub(super) ends: u64,
    /// How often a task has shown that it is driven.
    pub(super) pulse: u64,
}

impl Task {
    pub(super) fn wake(&self) {
        self.wake.notify_one();
    }

    fn is(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl State {
    fn is_of(&self, task: &Task) -> bool {
        self.task.as_ref().is_some_and(|it| it.is(task))
    }

    fn look_at(&self) -> Instant {
        match self.task {
            Some(_) => self.schedule.late_at(),
            None => self.schedule.wake_at(),
        }
    }

    /// Keys that are confirmed may be too old by now, and gone: then they are fetched whole.
    fn succeed(&mut self, fetched: Fetched, keys: &KeySet, now: Instant) {
        match fetched.document {
            Some(document) => {
                keys.replace(document.keys);
                self.used = document.used;
                self.skipped = document.skipped.into();
            }
            None if self.schedule.age(now).is_none() => return self.schedule.abandon(),
            None => {}
        }
        self.schedule.succeed(fetched.lifetime, chance(), now);
        self.last_error = None;
    }
}

impl Shared {
    pub(super) fn new(schedule: Schedule) -> Self {
        let state = State {
            schedule,
            last_error: None,
            used: 0,
            skipped: [].into(),
            task: None,
            tasks: 0,
        };
        Self {
            keys: KeySet::new([]),
            state: Mutex::new(state),
            progress: watch::Sender::default(),
            created_at: now(),
            look_at: AtomicU64::new(0),
        }
    }

    pub(super) fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = look(&mut state);
        let look_at = self.millis(state.look_at());
        self.look_at.store(look_at, Ordering::Release);
        answer
    }

    /// Whether keys may be too old, or what is due was not done: one load, as it is asked at each look at the keys.
    pub(super) fn is_late(&self, now: Instant) -> bool {
        self.millis(now) >= self.look_at.load(Ordering::Acquire)
    }

    fn millis(&self, at: Instant) -> u64 {
        let since = at.saturating_duration_since(self.created_at);
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }

    pub(super) fn task(&self) -> Option<Task> {
        self.with(|state| state.task.clone())
    }

    /// The task that has not done what is due.
    pub(super) fn late_task(&self, now: Instant) -> Option<Task> {
        self.with(|state| state.task.clone().filter(|_| now >= state.look_at()))
    }

    /// The right to be the task, also instead of one that is not driven; none if there is another.
    pub(super) fn run(self: &Arc<Self>, instead_of: Option<&Task>) -> Option<Running> {
        self.with(|state| {
            if let Some(task) = &state.task {
                if !instead_of.is_some_and(|it| it.is(task)) {
                    return None;
                }
                tracing::warn!(
                    "the keys are fetched by another task: that of before is not driven"
                );
                state.schedule.abandon();
            }
            state.tasks += 1;
            let task = Task {
                number: state.tasks,
                wake: Arc::default(),
            };
            state.task = Some(task.clone());
            let shared = self.clone();
            Some(Running { shared, task })
        })
    }

    /// Drops keys that are too old.
    pub(super) fn expire(&self, now: Instant) {
        let is_over = self.with(|state| {
            let is_over = state.schedule.expire(now);
            if is_over {
                state.used = 0;
                state.skipped = [].into();
                self.keys.replace([]);
            }
            is_over
        });
        if is_over {
            tracing::error!("the keys could not be fetched for too long: they are no longer used");
        }
    }

    fn publish(&self, change: impl FnOnce(&mut Progress)) {
        let finished = self.with(|state| state.schedule.finished());
        self.progress.send_modify(|it| {
            // Of two that publish the later one may have looked first.
            it.finished = it.finished.max(finished);
            change(it);
        });
    }
}

/// Fetches keys whenever it is time, until it is aborted or another task has taken its place.
pub(super) async fn keep_fresh(running: Running, mut origin: Origin) {
    while let Some(next) = running.next(now()) {
        match next {
            Next::Fetch { cause, is_whole } => {
                if is_whole {
                    origin.forget();
                }
                let result = running.fetch(&mut origin, cause).await;
                log(&origin, &result);
                running.finish(result);
            }
            Next::Wait { wake_at } => {
                running.show_that_it_is_driven();
                // Either way there may be something to do.
                let _ = timeout_at(wake_at, running.task.wake.notified()).await;
            }
        }
    }
}

enum Next {
    Fetch {
        cause: Cause,
        /// No keys are held that could be confirmed.
        is_whole: bool,
    },
    Wait {
        wake_at: Instant,
    },
}

/// The holder is the task. However the task ends, no caller waits for it in vain.
#[derive(Debug)]
pub(super) struct Running {
    shared: Arc<Shared>,
    task: Task,
}

impl Running {
    /// What to do now; none if another task does it.
    fn next(&self, now: Instant) -> Option<Next> {
        self.shared.expire(now);
        self.shared.with(|state| {
            if !state.is_of(&self.task) {
                return None;
            }
            let is_whole = state.schedule.age(now).is_none();
            Some(match state.schedule.start(now) {
                Some(cause) => Next::Fetch { cause, is_whole },
                None => Next::Wait {
                    wake_at: state.schedule.wake_at(),
                },
            })
        })
    }

    async fn fetch(&self, origin: &mut Origin, cause: Cause) -> Result<Fetched, RemoteKeysError> {
        let mut fetch = pin!(timeout(TIMEOUT, origin.fetch(cause)));
        let mut woken = pin!(self.task.wake.notified());
        let result = poll_fn(|context| {
            while woken.as_mut().poll(context).is_ready() {
                self.show_that_it_is_driven();
                woken.set(self.task.wake.notified());
            }
            fetch.as_mut().poll(context)
        });
        result
            .await
            .unwrap_or_else(|_| Err(RemoteKeysErrorKind::TimedOut.into()))
    }

    fn show_that_it_is_driven(&self) {
        self.shared.publish(|it| it.pulse += 1);
    }

    fn finish(&self, result: Result<Fetched, RemoteKeysError>) {
        let now = now();
        let shared = &self.shared;
        shared.with(|state| match result {
            _ if !state.is_of(&self.task) => {}
            Ok(fetched) => state.succeed(fetched, &shared.keys, now),
            Err(error) => {
                state.schedule.fail(chance(), now);
                state.last_error = Some(error);
            }
        });
        shared.publish(|_| {});
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let now = now();
        let was_task = self.shared.with(|state| {
            let is_task = state.is_of(&self.task);
            if is_task && std::thread::panicking() {
                state.schedule.fail(1.0, now);
                state.last_error = Some(RemoteKeysErrorKind::Panicked.into());
            } else if is_task {
                state.schedule.abandon();
            }
            state.task.take_if(|_| is_task).is_some()
        });
        if was_task {
            self.shared.publish(|it| it.ends += 1);
        }
    }
}

/// The one place that reads this clock.
pub(super) fn now() -> Instant {
    Instant::now()
}

/// A number from 0 to 1, so that many servers do not fetch at the same moment.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place of the keys that draws chance"
)]
fn chance() -> f64 {
    let mut bytes = [0; 2];
    // Without randomness all fetch a little earlier; that is no reason to fail.
    let _ = aws_lc_rs::rand::fill(&mut bytes);
    f64::from(u16::from_ne_bytes(bytes)) / f64::from(u16::MAX)
}

fn log(origin: &Origin, result: &Result<Fetched, RemoteKeysError>) {
    let place = origin.place();
    match result {
        Err(error) => {
            metrics::keys_fetched("failed");
            tracing::warn!(%place, error = error.chain(), "keys were not fetched");
        }
        Ok(Fetched { document: None, .. }) => {
            metrics::keys_fetched("unchanged");
            tracing::debug!(%place, "the keys are unchanged");
        }
        Ok(Fetched {
            document: Some(it), ..
        }) => {
            metrics::keys_fetched("new");
            let (used, skipped) = (it.used, it.skipped.len());
            tracing::info!(%place, used, skipped, "the keys are new");
        }
    }
}

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout, timeout_at};

use super::origin::{Fetched, Origin};
use super::schedule::Schedule;
use super::{RemoteKeysError, RemoteKeysErrorKind};
use crate::keys::{KeySet, SkippedKey};
use crate::metrics;

/// What the task that fetches and those who wait for it share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) keys: KeySet,
    state: Mutex<State>,
    /// Tells the task that a miss wants a fetch.
    pub(super) wanted: Notify,
    pub(super) progress: watch::Sender<Progress>,
    is_running: AtomicBool,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) schedule: Schedule,
    pub(super) last_error: Option<RemoteKeysError>,
    pub(super) used: usize,
    pub(super) skipped: Arc<[SkippedKey]>,
}

/// What waiters watch.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Progress {
    /// How many fetches have ended.
    pub(super) finished: u64,
    /// How often the task has ended: what it was to do will not be done.
    pub(super) ends: u64,
}

impl Shared {
    pub(super) fn new(schedule: Schedule) -> Self {
        let state = State {
            schedule,
            last_error: None,
            used: 0,
            skipped: [].into(),
        };
        Self {
            keys: KeySet::new([]),
            state: Mutex::new(state),
            wanted: Notify::new(),
            progress: watch::Sender::default(),
            is_running: AtomicBool::new(false),
        }
    }

    pub(super) fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn is_running(&self) -> bool {
        self.is_running.load(Ordering::Acquire)
    }

    /// The right to be the task; none if there is one.
    pub(super) fn run(self: &Arc<Self>) -> Option<Running> {
        let was_running = self.is_running.swap(true, Ordering::AcqRel);
        (!was_running).then(|| Running(self.clone()))
    }

    /// Drops keys that are too old; whether they were.
    pub(super) fn expire(&self, now: Instant) -> bool {
        let is_over = self.with(|state| {
            let is_over = state.schedule.expire(now);
            if is_over {
                state.used = 0;
                state.skipped = [].into();
            }
            is_over
        });
        if is_over {
            tracing::error!("the keys could not be fetched for too long: they are no longer used");
            self.keys.replace([]);
        }
        is_over
    }

    fn finish(&self, result: Result<Fetched, RemoteKeysError>) {
        let (chance, now) = (chance(), now());
        match result {
            Ok(fetched) => {
                let counts = fetched.document.map(|it| {
                    self.keys.replace(it.keys);
                    (it.used, it.skipped)
                });
                self.with(|state| {
                    state.schedule.succeed(fetched.lifetime, chance, now);
                    state.last_error = None;
                    if let Some((used, skipped)) = counts {
                        state.used = used;
                        state.skipped = skipped.into();
                    }
                });
            }
            Err(error) => self.with(|state| {
                state.schedule.fail(chance, now);
                state.last_error = Some(error);
            }),
        }
        self.publish(0);
    }

    fn publish(&self, ends: u64) {
        let finished = self.with(|state| state.schedule.finished());
        self.progress.send_modify(|it| {
            it.finished = finished;
            it.ends += ends;
        });
    }
}

/// Fetches keys whenever it is time, until it is aborted.
pub(super) async fn keep_fresh(running: Running, mut origin: Origin) {
    let shared = &running.0;
    loop {
        let now = now();
        if shared.expire(now) {
            origin.forget();
        }
        let (cause, wake_at) =
            shared.with(|state| (state.schedule.start(now), state.schedule.wake_at()));
        if let Some(cause) = cause {
            let fetch = timeout(TIMEOUT, origin.fetch(cause)).await;
            let result = fetch.unwrap_or_else(|_| Err(RemoteKeysErrorKind::TimedOut.into()));
            log(&origin, &result);
            shared.finish(result);
        } else {
            // Either way there may be something to do.
            let _ = timeout_at(wake_at, shared.wanted.notified()).await;
        }
    }
}

/// Whoever holds it is the task. However the task ends, nobody waits for it in vain.
#[derive(Debug)]
pub(super) struct Running(Arc<Shared>);

impl Drop for Running {
    fn drop(&mut self) {
        let now = now();
        self.0.with(|state| {
            if std::thread::panicking() {
                state.schedule.fail(1.0, now);
                state.last_error = Some(RemoteKeysErrorKind::Panicked.into());
            } else {
                state.schedule.abandon();
            }
        });
        self.0.is_running.store(false, Ordering::Release);
        self.0.publish(1);
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

/// For all that a fetch takes, discovery included.
const TIMEOUT: Duration = Duration::from_secs(10);

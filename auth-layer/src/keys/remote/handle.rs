use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout};

use super::fetcher::ErasedFetcher;
use super::origin::Origin;
use super::place::Place;
use super::schedule::{ANSWERS_WITHIN, LONGEST_BACKOFF, TIMEOUT};
use super::task::{Progress, Shared, Task, keep_fresh, now};
use super::{KeySetStatus, RemoteKeysBuilder, RemoteKeysError, RemoteKeysErrorKind};
use crate::keys::KeySet;
use crate::keys::source::{KeySource, Refetch};

/// An issuer's keys, fetched over HTTP and kept fresh; clones share them.
///
/// Give it to [`VerifierBuilder::keys`](crate::verify::VerifierBuilder::keys), and keep a clone for
/// [`status`](Self::status). The [module](super) tells when it fetches.
#[derive(Clone, Debug)]
pub struct RemoteKeys(Arc<Handle>);

impl RemoteKeys {
    /// The JSON Web Key Set at `url`. The first fetch starts now, or when this is first used on a
    /// tokio runtime.
    ///
    /// A URL that keys may not come from is refused by [`ready`](Self::ready) and by
    /// [`VerifierBuilder::build`](crate::verify::VerifierBuilder::build).
    pub fn new(url: impl AsRef<str>) -> Self {
        Self::builder(url).build()
    }

    /// The keys of `issuer`, wherever its metadata say they are: OpenID Connect Discovery 1.0, else
    /// RFC 8414. The metadata must name exactly this issuer.
    pub fn discover(issuer: impl AsRef<str>) -> Self {
        Self::discover_builder(issuer).build()
    }

    /// The key set at `url`, to be configured.
    pub fn builder(url: impl AsRef<str>) -> RemoteKeysBuilder {
        RemoteKeysBuilder::new(Place::key_set(url.as_ref()))
    }

    /// The keys of `issuer`, to be configured.
    pub fn discover_builder(issuer: impl AsRef<str>) -> RemoteKeysBuilder {
        RemoteKeysBuilder::new(Place::issuer(issuer.as_ref()))
    }

    /// Waits until there are keys to verify with, or the fetch under way has failed. Fetching goes
    /// on after an error, so a program may start all the same, or ask again: that waits for the
    /// next fetch.
    ///
    /// # Errors
    /// What went wrong at that fetch; or keys may not come from this URL, there is no runtime, or
    /// the set holds no key that can be used.
    pub async fn ready(&self) -> Result<(), RemoteKeysError> {
        let handle = &*self.0;
        if let Err(error) = &handle.place {
            return Err(error.clone());
        }
        let mut wait = Wait::new(handle);
        if handle.is_held()? {
            return Ok(());
        }
        if !handle.run(None) {
            return Err(RemoteKeysErrorKind::NoRuntime.into());
        }
        wait.until(
            handle.shared.with(|it| it.schedule.next()),
            LONGEST_BACKOFF + LONGEST_WAIT,
        )
        .await;
        if handle.is_held()? {
            return Ok(());
        }
        let error = handle.shared.with(|it| it.last_error.clone());
        Err(error.unwrap_or_else(|| RemoteKeysErrorKind::NoRuntime.into()))
    }

    /// How it stands with the keys.
    pub fn status(&self) -> KeySetStatus {
        let now = now();
        self.0.shared.expire(now);
        let misplaced = self.0.place.as_ref().err();
        self.0.shared.with(|state| KeySetStatus {
            age: state.schedule.age(now),
            last_error: misplaced
                .or(state.last_error.as_ref())
                .map(RemoteKeysError::kind),
            keys: state.used,
            skipped: state.skipped.clone(),
        })
    }

    pub(super) fn start(
        place: Result<Place, RemoteKeysError>,
        fetcher: Arc<dyn ErasedFetcher>,
        shared: Shared,
    ) -> Self {
        let handle = Arc::new_cyclic(|this| Handle {
            this: this.clone(),
            place,
            fetcher,
            shared: Arc::new(shared),
            hasher: RandomState::new(),
            task: Mutex::new(None),
        });
        handle.run(None);
        Self(handle)
    }
}

impl From<RemoteKeys> for KeySet {
    fn from(keys: RemoteKeys) -> Self {
        let set = keys.0.shared.keys.clone();
        set.with_source(keys.0)
    }
}

/// What keeps the task alive.
struct Handle {
    /// For those who wait: they do not keep it alive.
    this: Weak<Handle>,
    place: Result<Place, RemoteKeysError>,
    fetcher: Arc<dyn ErasedFetcher>,
    shared: Arc<Shared>,
    /// Keyed by chance, so that nobody can make `kid`s collide.
    hasher: RandomState,
    task: Mutex<Option<AbortHandle>>,
}

impl Handle {
    /// Whether there is a task, now at the latest. A new one starts also instead of one that is not driven.
    fn run(&self, instead_of: Option<&Task>) -> bool {
        let Ok(place) = &self.place else { return false };
        let is_running = self.shared.task().is_some();
        if is_running && instead_of.is_none() {
            return true;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return is_running;
        };
        let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = self.shared.run(instead_of) {
            let origin = Origin::new(place.clone(), self.fetcher.clone());
            let new = runtime.spawn(keep_fresh(running, origin)).abort_handle();
            if let Some(old) = task.replace(new) {
                old.abort();
            }
        }
        true
    }

    /// Whether there are keys to verify with; an error if they were fetched and there are none.
    fn is_held(&self) -> Result<bool, RemoteKeysError> {
        let now = now();
        self.shared.expire(now);
        let (used, is_fetched) = self
            .shared
            .with(|it| (it.used, it.schedule.age(now).is_some()));
        match (used, is_fetched) {
            (0, true) => Err(RemoteKeysErrorKind::NoUsableKey.into()),
            (used, _) => Ok(used > 0),
        }
    }

    /// Keys that are too old go, and what is due is done by a task that is driven.
    #[cold]
    fn catch_up(&self, now: Instant) {
        self.shared.expire(now);
        let late = self.shared.late_task(now);
        if late.is_some() || self.shared.task().is_none() {
            self.run(late.as_ref());
        }
    }
}

impl KeySource for Handle {
    fn keep_alive(&self) {
        let now = now();
        if self.shared.is_late(now) {
            self.catch_up(now);
        }
    }

    fn refetch(&self, kid: Option<&str>) -> Option<Refetch> {
        let mut wait = Wait::new(self);
        if !self.run(None) {
            return None;
        }
        let (kid, now) = (self.hasher.hash_one(kid), now());
        let fetch = self.shared.with(|it| it.schedule.miss(kid, now))?;
        if let Some(task) = self.shared.task() {
            task.wake();
        }
        Some(Box::pin(
            async move { wait.until(fetch, LONGEST_WAIT).await },
        ))
    }

    fn is_current(&self) -> bool {
        self.run(None) && self.shared.with(|it| it.schedule.is_current())
    }

    fn is_misplaced(&self) -> bool {
        self.place.is_err()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let task = self.task.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(task) = task {
            task.abort();
        }
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("RemoteKeys");
        match &self.place {
            Ok(place) => shown.field("place", &format_args!("{place}")),
            Err(error) => shown.field("place", &error.kind()),
        };
        shown.finish_non_exhaustive()
    }
}

/// A wait for the task. Made before the task is asked, it also ends when the task does.
struct Wait {
    handle: Weak<Handle>,
    progress: watch::Receiver<Progress>,
    ends: u64,
}

impl Wait {
    fn new(handle: &Handle) -> Self {
        let progress = handle.shared.progress.subscribe();
        let ends = progress.borrow().ends;
        Self {
            handle: handle.this.clone(),
            progress,
            ends,
        }
    }

    /// Until the fetch of this number has ended. A task that does not answer sits on a runtime that is not driven: another one
    /// takes its place here.
    async fn until(&mut self, fetch: u64, limit: Duration) {
        if tokio::runtime::Handle::try_current().is_err() {
            // There is neither a timer nor a place for another task.
            return self.until_fetched(fetch).await;
        }
        let patience = async {
            loop {
                let pulse = self.progress.borrow().pulse;
                let Some(task) = self.ask_whether_it_is_driven() else {
                    return;
                };
                if !self.is_answered(fetch, pulse).await {
                    self.take_over(&task);
                } else if timeout(ANSWERS_WITHIN, self.until_fetched(fetch))
                    .await
                    .is_ok()
                {
                    return;
                }
            }
        };
        // A fetcher may block the thread of each task in turn.
        let _ = timeout(limit, patience).await;
    }

    /// None: all handles are gone, or the task has ended.
    fn ask_whether_it_is_driven(&self) -> Option<Task> {
        let task = self.handle.upgrade()?.shared.task()?;
        task.wake();
        Some(task)
    }

    /// Whether the task does anything in time, be it the fetch.
    async fn is_answered(&mut self, fetch: u64, before: u64) -> bool {
        let ends = self.ends;
        let answer = self
            .progress
            .wait_for(|it| it.pulse != before || is_over(it, fetch, ends));
        timeout(ANSWERS_WITHIN, answer).await.is_ok()
    }

    async fn until_fetched(&mut self, fetch: u64) {
        let ends = self.ends;
        // An error is the end of all handles, and so of this wait.
        let _ = self.progress.wait_for(|it| is_over(it, fetch, ends)).await;
    }

    fn take_over(&self, task: &Task) {
        if let Some(handle) = self.handle.upgrade() {
            handle.run(Some(task));
        }
    }
}

fn is_over(progress: &Progress, fetch: u64, ends: u64) -> bool {
    progress.finished >= fetch || progress.ends != ends
}

/// Longer than a fetch and the discovery that its task is not driven.
const LONGEST_WAIT: Duration = TIMEOUT
    .saturating_add(ANSWERS_WITHIN)
    .saturating_add(ANSWERS_WITHIN);

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::AbortHandle;

use super::cleanup::Cleanup;
use crate::store::{FeedListener, FeedStatus, follow};

/// What runs beside an issuer, as long as somebody holds that: it listens to the store's feed, and
/// cleans up.
pub(super) struct Background {
    listener: FeedListener,
    cleanup: Cleanup,
    cleanup_every: Option<Duration>,
    tasks: Mutex<Vec<AbortHandle>>,
}

impl Background {
    pub(super) fn new(
        listener: FeedListener,
        cleanup: Cleanup,
        cleanup_every: Option<Duration>,
    ) -> Self {
        Self {
            listener,
            cleanup,
            cleanup_every,
            tasks: Mutex::default(),
        }
    }

    /// Starts it, if it does not run and there is a runtime; again if its runtime has ended.
    pub(super) fn run(&self) {
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        if tasks.is_empty() || tasks.iter().any(AbortHandle::is_finished) {
            tasks.drain(..).for_each(|it| it.abort());
            let feed = follow(self.cleanup.store.clone(), self.listener.clone());
            tasks.push(runtime.spawn(feed).abort_handle());
            if let Some(every) = self.cleanup_every {
                let cleanup = self.cleanup.clone().repeat(every);
                tasks.push(runtime.spawn(cleanup).abort_handle());
            }
        }
    }

    pub(super) fn feed_status(&self) -> FeedStatus {
        *self.listener.status().borrow()
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        let tasks = self.tasks.get_mut().unwrap_or_else(PoisonError::into_inner);
        tasks.drain(..).for_each(|it| it.abort());
    }
}

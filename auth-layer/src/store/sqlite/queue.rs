use std::time::Duration;
use std::{fmt, io, thread};

use tokio::sync::{mpsc, oneshot};

use crate::store::ticket::Ticket;
use crate::store::{StoreError, StoreErrorKind};

/// What waits for a thread of its own: SQLite blocks.
pub(super) struct Queue<J>(mpsc::Sender<J>);

impl<J: Send + 'static> Queue<J> {
    /// The thread ends once the last clone of the queue is gone, and nothing waits any more.
    pub(super) fn spawn(
        name: &str,
        work: impl FnOnce(mpsc::Receiver<J>) + Send + 'static,
    ) -> io::Result<Self> {
        let (jobs, waiting) = mpsc::channel(LENGTH);
        let thread = thread::Builder::new().name(name.to_owned());
        thread.spawn(move || work(waiting))?;
        Ok(Self(jobs))
    }

    /// Waits for `timeout` until the job begins: see [`Ticket`].
    pub(super) async fn ask<T>(
        &self,
        timeout: Duration,
        job: impl FnOnce(Reply<T>, Ticket) -> J,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        let ticket = Ticket::default();
        let sent = self.0.try_send(job(reply, ticket.clone()));
        sent.map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => StoreErrorKind::Overloaded,
            mpsc::error::TrySendError::Closed(_) => StoreErrorKind::Unavailable,
        })?;
        ticket.answer(timeout, answer).await
    }
}

pub(super) type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

impl<J> Clone for Queue<J> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<J> fmt::Debug for Queue<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").finish_non_exhaustive()
    }
}

/// Above, callers are turned away rather than kept for seconds.
pub(super) const LENGTH: usize = 16 * 1024;

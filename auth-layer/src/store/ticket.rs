use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use tokio::sync::oneshot;

use super::{StoreError, StoreErrorKind};

/// The state of a piece of work that waits in a queue, shared by its caller and the task that does it.
///
/// Each change is a compare-and-set: the work either begins or is withdrawn, never both.
#[derive(Clone, Debug, Default)]
pub(super) struct Ticket(Arc<AtomicU8>);

const WAITS: u8 = 0;
const BEGUN: u8 = 1;
const WITHDRAWN: u8 = 2;

impl Ticket {
    /// Marks the work as begun, also again. False if its caller has withdrawn it.
    pub(super) fn begin(&self) -> bool {
        self.change(BEGUN) || self.0.load(Ordering::Acquire) == BEGUN
    }

    /// Withdraws the work. False if it has begun.
    fn withdraw(&self) -> bool {
        self.change(WITHDRAWN)
    }

    fn change(&self, to: u8) -> bool {
        let changed = self
            .0
            .compare_exchange(WAITS, to, Ordering::AcqRel, Ordering::Acquire);
        changed.is_ok()
    }

    /// Waits for the answer. Work that has not begun within `timeout` is withdrawn before its caller is refused; work that
    /// has begun is waited for, as its caller must learn what became of it.
    pub(super) async fn answer<T>(
        &self,
        timeout: Duration,
        mut reply: oneshot::Receiver<Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let answer = match tokio::time::timeout(timeout, &mut reply).await {
            Ok(answer) => answer,
            Err(_) if self.withdraw() => return Err(StoreErrorKind::Unavailable.into()),
            Err(_) => reply.await,
        };
        answer.unwrap_or_else(|_| Err(StoreErrorKind::Unavailable.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R13: a caller that was refused and work that begins exclude each other.
    #[test]
    fn work_begins_or_is_withdrawn_and_never_both() {
        let withdrawn = Ticket::default();
        assert!(withdrawn.withdraw() && !withdrawn.begin());
        let begun = Ticket::default();
        assert!(begun.begin() && !begun.withdraw());
        assert!(begun.begin(), "a second attempt at the same work");
    }

    #[tokio::test(start_paused = true)]
    async fn begun_work_is_waited_for_past_the_timeout() {
        let ticket = Ticket::default();
        assert!(ticket.begin());
        let (reply, answer) = oneshot::channel();
        let work = async {
            tokio::time::sleep(Duration::from_secs(11)).await;
            drop(reply.send(Ok(7)));
        };
        let (answer, ()) = tokio::join!(ticket.answer(Duration::from_secs(10), answer), work);
        assert_eq!(answer.unwrap(), 7);
    }
}

use std::sync::{Arc, Weak};

use tokio::runtime::Handle;
use tokio::sync::Mutex;
use tokio::task::JoinError;

/// Does work that blocks, one piece at a time: by Tokio's blocking threads, or right away outside a
/// runtime.
///
/// Work goes on if its caller gives up. The next one waits for its end, without a thread.
#[derive(Clone, Default)]
pub(super) struct Blocking {
    turn: Arc<Mutex<()>>,
}

/// Who waits for a piece of work.
pub(super) struct Caller(Weak<()>);

impl Blocking {
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Caller) -> T + Send + 'static,
    ) -> Result<T, JoinError> {
        let turn = self.turn.clone().lock_owned().await;
        // Dropped with this future.
        let waits = Arc::new(());
        let caller = Caller(Arc::downgrade(&waits));
        let work = move || {
            let done = work(&caller);
            drop(turn);
            done
        };
        match Handle::try_current() {
            Ok(runtime) => runtime.spawn_blocking(work).await,
            Err(_) => Ok(work()),
        }
    }
}

impl Caller {
    /// Nothing may be written any more: it could undo what has been written since.
    pub(super) fn is_gone(&self) -> bool {
        self.0.strong_count() == 0
    }
}

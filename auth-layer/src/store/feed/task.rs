use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use super::FeedListener;
use crate::store::ErasedStore;

/// Listens to the store's feed, again and again. Ends when it is dropped.
pub(crate) async fn follow(store: Arc<dyn ErasedStore>, listener: FeedListener) {
    let _end = Lags(&listener);
    let mut pause = SHORTEST_PAUSE;
    loop {
        let result = store.feed(&listener).await;
        if result.is_ok() && listener.has_heard_nothing() {
            listener.absent();
            return pending().await;
        }
        if listener.is_current() {
            pause = SHORTEST_PAUSE;
        }
        listener.lost(result.as_ref().err());
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

const SHORTEST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// A store that panics, or a runtime that ends, leaves no status that promises more.
struct Lags<'a>(&'a FeedListener);

impl Drop for Lags<'_> {
    fn drop(&mut self) {
        self.0.lags();
    }
}

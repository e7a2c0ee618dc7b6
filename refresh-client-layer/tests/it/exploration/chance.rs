use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;

/// Dice that fall alike for the same seed.
#[derive(Clone)]
pub(crate) struct Chance {
    seed: u64,
    draws: Arc<AtomicU64>,
}

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            seed,
            draws: Arc::default(),
        }
    }

    pub(crate) fn draws(&self) -> u64 {
        self.draws.load(Ordering::Relaxed)
    }

    /// Each number below `end` is as likely.
    pub(crate) fn below(&self, end: usize) -> usize {
        let draw = self.draws.fetch_add(1, Ordering::Relaxed);
        let number = mixed(mixed(self.seed) ^ draw);
        // What is cut off on 32 bits is chance as well.
        number as usize % end
    }

    pub(crate) fn one_in(&self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// Lets some of the others go first, or none.
    pub(crate) async fn stumble(&self) {
        self.wait(4).await;
    }

    /// Is overtaken less than `most` times.
    pub(crate) async fn wait(&self, most: usize) {
        for _ in 0..self.below(most) {
            step_back().await;
        }
    }
}

/// To the end of the queue.
pub(crate) async fn step_back() {
    let mut has_stepped_back = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut has_stepped_back, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// The finalizer of SplitMix64.
fn mixed(number: u64) -> u64 {
    let mut it = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    it = (it ^ (it >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    it = (it ^ (it >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    it ^ (it >> 31)
}

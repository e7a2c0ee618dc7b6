use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use pin_project_lite::pin_project;
use tokio::runtime::{Handle, Id};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::clock;

pin_project! {
    /// Runs on the runtime that polls it, also after a move to another one; never where there is none.
    ///
    /// A timer of Tokio's belongs to the runtime that it was made in, and panics once that is gone.
    pub(crate) struct Timer {
        at: Instant,
        runtime: Option<Id>,
        #[pin]
        sleep: Option<Sleep>,
    }
}

impl Timer {
    pub(crate) fn new(after: Duration) -> Self {
        Self::at(clock::end_of(after))
    }

    pub(crate) fn at(at: Instant) -> Self {
        Self {
            at,
            runtime: None,
            sleep: None,
        }
    }
}

impl Future for Timer {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        let here = Handle::try_current().ok().map(|runtime| runtime.id());
        if here != *this.runtime {
            *this.runtime = here;
            this.sleep.set(here.map(|_| sleep_until(*this.at)));
        }
        match this.sleep.as_pin_mut() {
            Some(sleep) => sleep.poll(cx),
            None => Poll::Pending,
        }
    }
}

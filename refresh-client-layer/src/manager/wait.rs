use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use tokio::sync::futures::OwnedNotified;
use tokio::time::Instant;

use super::error::{RefreshUnavailable, UnavailableKind};
use super::shared::{Progress, Shared};
use super::want::{Verdict, Want};
use crate::clock::Now;
use crate::metrics::Waiter;
use crate::timer::Timer;

/// A verdict, now or later.
pub(crate) enum Pending {
    Ready(Verdict),
    /// Boxed, as most requests need not wait.
    Later(Pin<Box<Wait>>),
}

impl Pending {
    pub(super) fn new(shared: &Arc<Shared>, mut want: Want) -> Self {
        // Before the look at the state, so that no change slips in between.
        let changed = shared.changed.clone().notified_owned();
        match settle(shared, &mut want) {
            Ok(verdict) => Self::Ready(verdict),
            Err(until) => Self::Later(Box::pin(Wait {
                shared: shared.clone(),
                want,
                changed,
                look_again: until.map(Timer::at),
                deadline: Timer::new(shared.settings.wait_timeout),
                waiter: Waiter::begin(),
            })),
        }
    }

    pub(super) async fn verdict(self) -> Verdict {
        match self {
            Self::Ready(verdict) => verdict,
            Self::Later(wait) => wait.await,
        }
    }
}

pin_project! {
    /// Resolves once a token is there or will not come.
    pub(crate) struct Wait {
        shared: Arc<Shared>,
        want: Want,
        #[pin]
        changed: OwnedNotified,
        // Both timers are on the waiter's own runtime: that of the refresh may go away.
        #[pin]
        look_again: Option<Timer>,
        #[pin]
        deadline: Timer,
        waiter: Waiter,
    }
}

/// The verdict, or else the moment to look again, if the next change may come later than that.
fn settle(shared: &Arc<Shared>, want: &mut Want) -> Result<Verdict, Option<Instant>> {
    loop {
        match shared.step(want) {
            Progress::Done(verdict) => return Ok(verdict),
            Progress::Wait(until) => return Err(until),
            Progress::Again => {}
        }
    }
}

impl Future for Wait {
    type Output = Verdict;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let has_changed = this.changed.as_mut().poll(cx).is_ready();
            let look_again = this.look_again.as_mut().as_pin_mut();
            if !has_changed && look_again.is_none_or(|timer| timer.poll(cx).is_pending()) {
                break;
            }
            if has_changed {
                this.changed
                    .set(this.shared.changed.clone().notified_owned());
            }
            match settle(this.shared, this.want) {
                Ok(verdict) => return Poll::Ready(verdict),
                Err(until) => this.look_again.set(until.map(Timer::at)),
            }
        }
        ready!(this.deadline.poll(cx));
        let error = RefreshUnavailable::new(UnavailableKind::TimedOut);
        let state = this.shared.state();
        Poll::Ready(state.settle(this.want, error, Now::read()))
    }
}

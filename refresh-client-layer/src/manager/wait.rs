use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use tokio::sync::futures::OwnedNotified;

use super::error::{RefreshUnavailable, UnavailableKind};
use super::shared::Shared;
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
        match shared.step(&mut want) {
            Some(verdict) => Self::Ready(verdict),
            None => Self::Later(Box::pin(Wait {
                shared: shared.clone(),
                want,
                changed,
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
        // On the waiter's own runtime: that of the refresh may go away.
        #[pin]
        deadline: Timer,
        waiter: Waiter,
    }
}

impl Future for Wait {
    type Output = Verdict;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        while this.changed.as_mut().poll(cx).is_ready() {
            this.changed
                .set(this.shared.changed.clone().notified_owned());
            if let Some(verdict) = this.shared.step(this.want) {
                return Poll::Ready(verdict);
            }
        }
        ready!(this.deadline.poll(cx));
        let error = RefreshUnavailable::new(UnavailableKind::TimedOut);
        let state = this.shared.state();
        Poll::Ready(state.settle(this.want, error, Now::read()))
    }
}

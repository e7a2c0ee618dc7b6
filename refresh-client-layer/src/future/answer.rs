use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::HeaderMap;
use tokio::runtime::Handle;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::replay::Response;

/// A response, and whatever of it has to be known before it is judged.
pub(super) struct Answer<T> {
    response: Option<T>,
    /// `None`: nothing is waited for.
    deadline: Option<Pin<Box<Sleep>>>,
}

impl<T: Response> Answer<T> {
    pub(super) fn new(response: T, is_retriable: bool) -> Self {
        let has_clock = || Handle::try_current().is_ok();
        let waits = is_retriable && response.is_open_grpc() && has_clock();
        Self {
            response: Some(response),
            deadline: waits.then(|| Box::pin(sleep_until(Instant::now() + PATIENCE))),
        }
    }

    /// The response and its lone trailers. A caller that has more to send may wait for the response
    /// to do so, and gets it at once.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        is_sent: bool,
    ) -> Poll<(T, Option<HeaderMap>)> {
        let response = self.response.as_mut().expect(POLLED_AGAIN);
        let trailers = match &mut self.deadline {
            None => None,
            Some(deadline) => match response.poll_lone_trailers(cx) {
                Poll::Ready(trailers) => trailers,
                Poll::Pending if is_sent && deadline.as_mut().poll(cx).is_pending() => {
                    return Poll::Pending;
                }
                Poll::Pending => None,
            },
        };
        Poll::Ready((self.response.take().expect(POLLED_AGAIN), trailers))
    }
}

const POLLED_AGAIN: &str = "a future is not polled after it has completed";

/// Long enough for a server that looks something up; not too long where the first message comes
/// much later.
const PATIENCE: Duration = Duration::from_millis(250);

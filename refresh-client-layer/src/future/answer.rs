use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::HeaderMap;
use tokio::runtime::Handle;

use crate::replay::Response;
use crate::timer::Timer;

/// What comes after the head of a response.
pub(super) enum Rest {
    /// Trailers, and no message before them.
    Trailers(HeaderMap),
    /// A message, or nothing.
    Other,
    /// It is not known yet.
    Unseen,
}

impl Rest {
    pub(super) fn trailers(&self) -> Option<&HeaderMap> {
        match self {
            Self::Trailers(trailers) => Some(trailers),
            Self::Other | Self::Unseen => None,
        }
    }
}

/// A gRPC response whose status is not known yet.
pub(super) struct Answer<T> {
    response: Option<T>,
    deadline: Pin<Box<Timer>>,
}

impl<T: Response> Answer<T> {
    /// Gives back a response that can be judged as it is.
    pub(super) fn new(response: T, is_retriable: bool) -> Result<Self, T> {
        let has_clock = || Handle::try_current().is_ok();
        if !(is_retriable && response.is_open_grpc() && has_clock()) {
            return Err(response);
        }
        Ok(Self {
            response: Some(response),
            deadline: Box::pin(Timer::new(PATIENCE)),
        })
    }

    /// The response and what comes after its head. A caller that has more to send may wait for the response
    /// to do so, and gets it at once.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, is_sent: bool) -> Poll<(T, Rest)> {
        let response = self.response.as_mut().expect(POLLED_AGAIN);
        let rest = match response.poll_lone_trailers(cx) {
            Poll::Ready(trailers) => trailers.map_or(Rest::Other, Rest::Trailers),
            Poll::Pending if is_sent && self.deadline.as_mut().poll(cx).is_pending() => {
                return Poll::Pending;
            }
            Poll::Pending => Rest::Unseen,
        };
        Poll::Ready((self.response.take().expect(POLLED_AGAIN), rest))
    }
}

const POLLED_AGAIN: &str = "a future is not polled after it has completed";

/// Long enough for a server that looks something up; not too long where the first message comes
/// much later.
const PATIENCE: Duration = Duration::from_millis(250);

use std::fmt;
use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::task::{Context, Poll};

use super::VerifyError;
use crate::claims::Claims;

/// The answer of a [`Verify`](super::Verify): mostly there at once, sometimes after a wait for keys.
#[must_use = "a verification that nobody looks at protects nothing"]
pub struct Verification<C>(Answer<C>);

/// An answer that takes time.
pub(crate) type Pending<C> = Pin<Box<dyn Future<Output = Result<Claims<C>, VerifyError>> + Send>>;

enum Answer<C> {
    Ready(Ready<Result<Claims<C>, VerifyError>>),
    Pending(Pending<C>),
}

impl<C> Verification<C> {
    /// An answer without a wait.
    pub fn ready(answer: Result<Claims<C>, VerifyError>) -> Self {
        Self(Answer::Ready(ready(answer)))
    }

    /// An answer after a wait.
    pub fn pending<F>(answer: F) -> Self
    where
        F: Future<Output = Result<Claims<C>, VerifyError>> + Send + 'static,
    {
        Self(Answer::Pending(Box::pin(answer)))
    }

    /// The answer if it is there, else what to wait for.
    pub(crate) fn now(self) -> Result<Result<Claims<C>, VerifyError>, Pending<C>> {
        match self.0 {
            Answer::Ready(answer) => Ok(answer.into_inner()),
            Answer::Pending(pending) => Err(pending),
        }
    }
}

impl<C> Future for Verification<C> {
    type Output = Result<Claims<C>, VerifyError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Answer::Ready(answer) => Pin::new(answer).poll(cx),
            Answer::Pending(pending) => pending.as_mut().poll(cx),
        }
    }
}

impl<C> fmt::Debug for Verification<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verification")
            .field("ready", &matches!(self.0, Answer::Ready(_)))
            .finish()
    }
}

use std::fmt;
use std::sync::Arc;

use super::held::Held;
use super::message::Request;
use super::tape::Mode;

/// The means to send something again that was recorded while it was sent.
pub struct Recording<T> {
    tape: Arc<dyn Held>,
    again: Box<dyn FnOnce() -> T + Send>,
    takes_back: bool,
}

/// Why there is no second body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Obstacle {
    /// More was sent than may be kept.
    PastCap,
    /// It can be read only once.
    Once,
}

impl<T: 'static> Recording<T> {
    pub(super) fn new(tape: Arc<dyn Held>, again: impl FnOnce() -> T + Send + 'static) -> Self {
        Self {
            tape,
            again: Box::new(again),
            takes_back: true,
        }
    }

    /// Sends nothing again before the first body has come to its end, for bodies whose error type
    /// cannot say that the rest was taken back.
    #[must_use]
    pub fn only_when_over(mut self) -> Self {
        self.takes_back = false;
        self
    }

    pub(crate) fn map<U>(self, change: impl FnOnce(T) -> U + Send + 'static) -> Recording<U> {
        let again = self.again;
        Recording {
            tape: self.tape,
            again: Box::new(move || change(again())),
            takes_back: self.takes_back,
        }
    }
}

impl<T> fmt::Debug for Recording<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recording").finish_non_exhaustive()
    }
}

/// What is kept of a request until it is known that it need not be sent again.
#[doc(hidden)]
pub struct Spare<R: Request>(Kept<R>);

impl<R: Request> fmt::Debug for Spare<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spare").finish_non_exhaustive()
    }
}

enum Kept<R: Request> {
    Copy(R::Copy),
    Recording(Tracked<R>),
}

impl<R: Request> Spare<R> {
    /// What to send in the place of a request whose body has a cheap copy, if it is refused.
    pub(crate) fn copy(request: &R) -> Option<Self> {
        Some(Self(Kept::Copy(request.try_copy()?)))
    }

    /// The request to send, and the same for one whose body has none.
    pub(crate) fn record(request: R, cap: usize) -> (R, Option<Self>) {
        let (request, recording) = request.record(cap);
        let spare = recording.map(|it| Self(Kept::Recording(Tracked(Some(it)))));
        (request, spare)
    }

    /// Halts the first upload, unless there is something in the way of a second one.
    pub(crate) fn pause(&self) -> Result<(), Obstacle> {
        let Kept::Recording(Tracked(Some(recording))) = &self.0 else {
            return Ok(());
        };
        if !recording.takes_back && !recording.tape.is_over() {
            return Err(Obstacle::Once);
        }
        match recording.tape.turn(Mode::Paused) {
            Mode::PastCap => Err(Obstacle::PastCap),
            Mode::Broken => Err(Obstacle::Once),
            _ => Ok(()),
        }
    }

    /// True unless the first upload is still under way.
    pub(crate) fn is_sent(&self) -> bool {
        match &self.0 {
            Kept::Recording(Tracked(Some(recording))) => recording.tape.is_over(),
            _ => true,
        }
    }

    /// The second request, if the first can go on beside it.
    pub(crate) fn try_into_copy(self) -> Result<R, Self> {
        match self.0 {
            Kept::Copy(copy) => Ok(R::from_copy(copy)),
            Kept::Recording(_) => Err(self),
        }
    }

    /// Ends the first upload and begins the second.
    pub(crate) fn into_again(self) -> Option<R> {
        match self.0 {
            Kept::Copy(copy) => Some(R::from_copy(copy)),
            Kept::Recording(mut tracked) => {
                let recording = tracked.0.take()?;
                recording.tape.turn(Mode::Taken);
                Some((recording.again)())
            }
        }
    }
}

/// Lets the first upload go on, and keeps no more of it, once nobody can want a second one.
struct Tracked<T>(Option<Recording<T>>);

impl<T> Drop for Tracked<T> {
    fn drop(&mut self) {
        if let Some(recording) = &self.0 {
            recording.tape.turn(Mode::Released);
        }
    }
}

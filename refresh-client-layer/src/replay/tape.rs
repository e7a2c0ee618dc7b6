use std::collections::VecDeque;
use std::mem;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Buf;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};

use super::error::ReplayError;

/// One stream for two bodies, one after the other: what the first is given is recorded, and the
/// second begins with the record and goes on with the rest of the stream.
///
/// The stream is polled outside of the lock. Whoever polls it has taken it out of the tape.
pub(super) struct Tape<B: Body> {
    reel: Mutex<Reel<B>>,
    /// What the stream said of its length at the beginning.
    hint: SizeHint,
}

struct Reel<B: Body> {
    /// `None` while it is polled.
    source: Option<B>,
    record: VecDeque<Frame<B::Data>>,
    recorded: usize,
    cap: usize,
    mode: Mode,
    /// The stream has no more frames.
    is_over: bool,
    /// Nor was any of them kept from the first body.
    is_first_over: bool,
    /// For the body that goes on.
    failure: Option<B::Error>,
    /// That of whoever writes the first body, so that its connection hears of the end.
    first: Option<Waker>,
    /// That of the second body, while the first still polls the stream.
    second: Option<Waker>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Recording,
    /// There may be a second body soon: the first is given no more until that is decided.
    Paused,
    /// The second body has the stream, and the first fails.
    Taken,
    /// There will be no second body.
    Released,
    /// Nor can there be, since the record would be longer than the cap.
    PastCap,
    /// Nor if the stream itself has failed.
    Broken,
}

impl<B> Tape<B>
where
    B: Body + Unpin,
    B::Data: Clone,
{
    pub(super) fn new(source: B, cap: usize) -> Self {
        let hint = source.size_hint();
        let is_over = source.is_end_stream();
        Self {
            hint,
            reel: Mutex::new(Reel {
                is_over,
                is_first_over: is_over,
                failure: None,
                source: Some(source),
                record: VecDeque::new(),
                recorded: 0,
                cap,
                mode: Mode::Recording,
                first: None,
                second: None,
            }),
        }
    }

    pub(super) fn hint(&self) -> &SizeHint {
        &self.hint
    }

    /// Changes from `Recording` or `Paused` to `mode` and wakes the first body; the mode from now on.
    pub(super) fn turn(&self, mode: Mode) -> Mode {
        let (mode, waker, dropped) = {
            let mut reel = self.reel();
            let mut dropped = VecDeque::new();
            if matches!(reel.mode, Mode::Recording | Mode::Paused) {
                reel.mode = mode;
                if mode == Mode::Released {
                    dropped = mem::take(&mut reel.record);
                }
            }
            (reel.mode, reel.first.take(), dropped)
        };
        drop(dropped);
        if let Some(waker) = waker {
            waker.wake();
        }
        mode
    }

    pub(super) fn is_over(&self) -> bool {
        self.reel().is_over
    }

    pub(super) fn is_first_over(&self) -> bool {
        self.reel().is_first_over
    }

    pub(super) fn poll_first(&self, cx: &mut Context<'_>) -> Poll<Option<Play<B>>> {
        let mut turn = {
            let mut reel = self.reel();
            // Also when it is not pending: a connection that waits for its peer to read is woken.
            keep(&mut reel.first, cx);
            match reel.mode {
                _ if reel.is_first_over => return Poll::Ready(None),
                Mode::Paused => return Poll::Pending,
                Mode::Taken => return Poll::Ready(Some(Err(ReplayError::TakenBack))),
                Mode::Broken => return Poll::Ready(None),
                _ => {}
            }
            if let Some(failure) = reel.failure.take() {
                reel.mode = Mode::Broken;
                return Poll::Ready(Some(Err(ReplayError::Source(failure))));
            }
            Turn {
                tape: self,
                source: reel.source.take(),
            }
        };
        let Some(source) = turn.source.as_mut() else {
            return Poll::Pending;
        };
        let polled = Pin::new(&mut *source).poll_frame(cx);
        let is_over = match &polled {
            Poll::Ready(None) => true,
            Poll::Ready(Some(_)) => source.is_end_stream(),
            Poll::Pending => false,
        };
        let copy = match &polled {
            Poll::Ready(Some(Ok(frame))) if self.records() => copy(frame),
            _ => None,
        };
        match polled {
            Poll::Ready(Some(Err(failure))) => self.fail(failure),
            polled => match self.note(copy, is_over) {
                Mode::Taken => Poll::Ready(Some(Err(ReplayError::TakenBack))),
                _ => polled.map_err(ReplayError::Source),
            },
        }
    }

    pub(super) fn poll_second(&self, cx: &mut Context<'_>) -> Poll<Option<Play<B>>> {
        let mut turn = {
            let mut reel = self.reel();
            if let Some(frame) = reel.record.pop_front() {
                return Poll::Ready(Some(Ok(frame)));
            }
            if let Some(failure) = reel.failure.take() {
                reel.is_over = true;
                return Poll::Ready(Some(Err(ReplayError::Source(failure))));
            }
            if reel.is_over {
                return Poll::Ready(None);
            }
            let Some(source) = reel.source.take() else {
                keep(&mut reel.second, cx);
                return Poll::Pending;
            };
            Turn {
                tape: self,
                source: Some(source),
            }
        };
        let Some(source) = turn.source.as_mut() else {
            return Poll::Pending;
        };
        let polled = Pin::new(&mut *source).poll_frame(cx);
        let is_over = match &polled {
            Poll::Ready(None) => true,
            Poll::Ready(Some(_)) => source.is_end_stream(),
            Poll::Pending => false,
        };
        self.reel().is_over = is_over;
        polled.map_err(ReplayError::Source)
    }

    pub(super) fn is_second_over(&self) -> bool {
        let reel = self.reel();
        reel.is_over && reel.record.is_empty() && reel.failure.is_none()
    }

    fn records(&self) -> bool {
        matches!(
            self.reel().mode,
            Mode::Recording | Mode::Paused | Mode::Taken
        )
    }

    /// Records what the first body was given; the mode that then holds.
    fn note(&self, copy: Option<Frame<B::Data>>, is_over: bool) -> Mode {
        let mut dropped = VecDeque::new();
        let mut reel = self.reel();
        reel.is_over |= is_over;
        reel.is_first_over |= is_over && reel.mode != Mode::Taken;
        let copy = copy.filter(|_| reel.mode != Mode::Released);
        if let Some(frame) = copy {
            reel.recorded += frame.data_ref().map_or(0, Buf::remaining);
            let is_full = reel.recorded > reel.cap || reel.record.len() >= MOST_FRAMES;
            if is_full && reel.mode == Mode::Recording {
                reel.mode = Mode::PastCap;
                dropped = mem::take(&mut reel.record);
            } else {
                reel.record.push_back(frame);
            }
        }
        let mode = reel.mode;
        drop(reel);
        drop(dropped);
        mode
    }

    /// Tells the first body of a failure, unless the second may go on in its place: what was sent by
    /// then is not all.
    fn fail(&self, failure: B::Error) -> Poll<Option<Play<B>>> {
        let mut reel = self.reel();
        match reel.mode {
            Mode::Paused => {
                reel.failure = Some(failure);
                Poll::Pending
            }
            Mode::Taken => {
                reel.failure = Some(failure);
                Poll::Ready(Some(Err(ReplayError::TakenBack)))
            }
            _ => {
                reel.mode = Mode::Broken;
                Poll::Ready(Some(Err(ReplayError::Source(failure))))
            }
        }
    }
}

impl<B: Body> Tape<B> {
    fn reel(&self) -> MutexGuard<'_, Reel<B>> {
        self.reel.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) type Play<B> = Result<Frame<<B as Body>::Data>, ReplayError<<B as Body>::Error>>;

/// The right to poll the stream; puts it back also if it panics.
struct Turn<'a, B: Body> {
    tape: &'a Tape<B>,
    source: Option<B>,
}

impl<B: Body> Drop for Turn<'_, B> {
    fn drop(&mut self) {
        let Some(source) = self.source.take() else {
            return;
        };
        let waker = {
            let mut reel = self.tape.reel();
            reel.source = Some(source);
            reel.second.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

fn keep(waker: &mut Option<Waker>, cx: &Context<'_>) {
    match waker {
        Some(waker) => waker.clone_from(cx.waker()),
        None => *waker = Some(cx.waker().clone()),
    }
}

fn copy<D: Clone>(frame: &Frame<D>) -> Option<Frame<D>> {
    match (frame.data_ref(), frame.trailers_ref()) {
        (Some(data), _) => Some(Frame::data(data.clone())),
        (None, Some(trailers)) => Some(Frame::trailers(HeaderMap::clone(trailers))),
        (None, None) => None,
    }
}

/// Frames cost memory of their own.
const MOST_FRAMES: usize = 4096;

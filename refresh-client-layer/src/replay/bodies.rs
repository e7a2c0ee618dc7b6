use std::any::Any;
use std::convert::Infallible;
use std::error::Error;
use std::io;

use bytes::Buf;
use http_body_util::combinators::{BoxBody, UnsyncBoxBody};
use http_body_util::{BodyExt as _, Either, Empty, Full, StreamBody};

use super::{Recording, Replay, ReplayError, record};

impl<D: Buf + Clone> Replay for Full<D> {
    fn try_clone(&self) -> Option<Self> {
        Some(self.clone())
    }
}

impl<D: Buf> Replay for Empty<D> {
    fn try_clone(&self) -> Option<Self> {
        Some(Self::new())
    }
}

impl<L: Replay + 'static, R: Replay + 'static> Replay for Either<L, R> {
    fn try_clone(&self) -> Option<Self> {
        match self {
            Self::Left(body) => body.try_clone().map(Self::Left),
            Self::Right(body) => body.try_clone().map(Self::Right),
        }
    }

    fn record(self, cap: usize) -> (Self, Option<Recording<Self>>) {
        match self {
            Self::Left(body) => {
                let (body, again) = body.record(cap);
                (Self::Left(body), again.map(|it| it.map(Self::Left)))
            }
            Self::Right(body) => {
                let (body, again) = body.record(cap);
                (Self::Right(body), again.map(|it| it.map(Self::Right)))
            }
        }
    }
}

impl<D, E> Replay for BoxBody<D, E>
where
    D: Buf + Clone + Send + Sync + 'static,
    E: Send + 'static,
{
    fn try_clone(&self) -> Option<Self> {
        None
    }

    fn record(self, cap: usize) -> (Self, Option<Recording<Self>>) {
        let (body, again) = record(self, cap, |body| body.map_err(told::<E>).boxed());
        (body, Some(bounded::<E, _>(again)))
    }
}

impl<D, E> Replay for UnsyncBoxBody<D, E>
where
    D: Buf + Clone + Send + 'static,
    E: Send + 'static,
{
    fn try_clone(&self) -> Option<Self> {
        None
    }

    fn record(self, cap: usize) -> (Self, Option<Recording<Self>>) {
        let (body, again) = record(self, cap, |body| body.map_err(told::<E>).boxed_unsync());
        (body, Some(bounded::<E, _>(again)))
    }
}

impl<S> Replay for StreamBody<S> {
    fn try_clone(&self) -> Option<Self> {
        None
    }
}

fn bounded<E: 'static, T: 'static>(recording: Recording<T>) -> Recording<T> {
    match taken_back::<E>() {
        Some(_) => recording,
        None => recording.only_when_over(),
    }
}

fn told<E: 'static>(error: ReplayError<E>) -> E {
    match error {
        ReplayError::Source(error) => error,
        ReplayError::TakenBack => taken_back().expect("nothing is taken back from other types"),
    }
}

/// That error as an `E`, if it is one of the types that can say anything.
fn taken_back<E: 'static>() -> Option<E> {
    let mut told: Option<E> = None;
    let slot: &mut dyn Any = &mut told;
    let error = ReplayError::<Infallible>::TakenBack;
    if let Some(slot) = slot.downcast_mut::<Option<Box<dyn Error + Send + Sync>>>() {
        *slot = Some(error.into());
    } else if let Some(slot) = slot.downcast_mut::<Option<io::Error>>() {
        *slot = Some(io::Error::new(io::ErrorKind::ConnectionAborted, error));
    }
    told
}

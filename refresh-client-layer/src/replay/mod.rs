//! Requests that can be sent twice.
//!
//! The layer sends a request again, once, if its token turns out to be dead. For that it keeps a
//! copy of the head, and of the body if that costs no more than a reference count.

mod message;

use bytes::Buf;
use http_body_util::combinators::{BoxBody, UnsyncBoxBody};
use http_body_util::{Either, Empty, Full, StreamBody};

pub use self::message::{Request, Response};

#[doc(hidden)]
pub use self::message::Source;
#[doc(hidden)]
pub use crate::origin::Target;

/// A request body that knows whether it can be sent twice.
///
/// A body that cannot is sent once: if the token turns out to be dead, the caller gets the 401 and
/// the next request has a new token. To use a body of your own with the layer, implement this, or
/// box the body.
///
/// ```
/// use refresh_client_layer::replay::Replay;
/// # use std::{convert::Infallible, pin::Pin, task::{Context, Poll}};
/// # use bytes::Bytes;
/// # use http_body::Frame;
///
/// #[derive(Clone)]
/// struct Ping;
/// # impl http_body::Body for Ping {
/// #     type Data = Bytes;
/// #     type Error = Infallible;
/// #     fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>)
/// #         -> Poll<Option<Result<Frame<Bytes>, Infallible>>> { Poll::Ready(None) }
/// # }
///
/// impl Replay for Ping {
///     fn try_clone(&self) -> Option<Self> {
///         Some(self.clone())
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "the layer does not know whether `{Self}` can be sent twice",
    note = "box it as `http_body_util::combinators::BoxBody`, or implement `Replay` for it"
)]
pub trait Replay: Sized {
    /// A second body that yields the same bytes, cheaply; `None` if there is no such thing.
    ///
    /// It is called before the body is polled for the first time.
    fn try_clone(&self) -> Option<Self>;
}

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

impl<L: Replay, R: Replay> Replay for Either<L, R> {
    fn try_clone(&self) -> Option<Self> {
        match self {
            Self::Left(body) => body.try_clone().map(Self::Left),
            Self::Right(body) => body.try_clone().map(Self::Right),
        }
    }
}

impl<D, E> Replay for BoxBody<D, E> {
    fn try_clone(&self) -> Option<Self> {
        None
    }
}

impl<D, E> Replay for UnsyncBoxBody<D, E> {
    fn try_clone(&self) -> Option<Self> {
        None
    }
}

impl<S> Replay for StreamBody<S> {
    fn try_clone(&self) -> Option<Self> {
        None
    }
}

//! Requests that can be sent twice.
//!
//! The layer sends a request again, once, if its token turns out to be dead. For that it keeps a
//! copy of the head, and of the body if that costs no more than a reference count.
//!
//! Boxed bodies are streams: they are recorded while they are sent, trailers too, up to 64 KiB, or
//! [another cap](ReplayCap) for one request or the [whole layer](crate::RefreshLayer::replay_cap).
//! Nothing is read ahead. If a server refuses the token before the upload has ended, the second
//! attempt sends the record and then takes over the rest of the stream; the first body fails, which
//! closes its connection. If more than the cap was sent by then, the caller gets the refusal, and the
//! [`Outcome`](crate::Outcome) says why.
//!
//! A body that was copied is not taken back: if the server refuses it early and reads on, the first upload
//! goes on to its end beside the second, as it does where nobody sends it again. To spare that, box large
//! bodies with an error type that can tell: see [`Replay`].

mod bodies;
mod error;
#[cfg(feature = "tonic")]
mod first_frame;
mod head;
mod headers;
mod held;
mod message;
mod recorded;
mod spare;
mod tape;
#[cfg(feature = "tonic")]
mod watched;

pub use self::error::ReplayError;
#[cfg(feature = "reqwest")]
pub(crate) use self::message::Sealed;
pub use self::message::{Request, Response};
pub use self::recorded::{Recorded, record};
pub(crate) use self::spare::Obstacle;
pub use self::spare::Recording;
#[doc(hidden)]
pub use self::spare::Spare;

#[doc(hidden)]
pub use self::head::Head;
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
/// A boxed body should have `Box<dyn Error + Send + Sync>` or [`std::io::Error`] as its error. With
/// another one it cannot be told that its rest was taken back, and a refusal that comes before the
/// end of the upload is handed to the caller.
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

    /// Splits a body that has no cheap copy into one to send and the [means](record) to send it
    /// again, which keep up to `cap` bytes. By default there are none.
    fn record(self, cap: usize) -> (Self, Option<Recording<Self>>) {
        let _ = cap;
        (self, None)
    }
}

/// In the extensions of a request: how many bytes of a streamed body may be kept until the server has
/// answered, in place of the layer's [cap](crate::RefreshLayer::replay_cap). A bare `reqwest::Request`
/// [hides it](crate::reqwest#over-a-bare-client).
///
/// No more than 4,096 frames of it are kept whatever the cap, since each costs memory of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "a number, to be written by users"
)]
pub struct ReplayCap(pub usize);

/// In the extensions of a request: never send it twice, whatever its body.
/// A bare `reqwest::Request` [hides it](crate::reqwest#over-a-bare-client).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a mark, to be written by users")]
pub struct NoReplay;

/// True of the headers of a gRPC request or response.
#[cfg(feature = "tonic")]
fn is_grpc(headers: &http::HeaderMap) -> bool {
    let kind = headers.get(http::header::CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}

/// The cap where nobody has given another: 64 KiB.
pub(crate) const DEFAULT_CAP: usize = 64 * 1024;

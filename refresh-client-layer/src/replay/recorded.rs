use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http_body::{Body, Frame, SizeHint};

use super::error::ReplayError;
use super::spare::Recording;
use super::tape::Tape;

/// A body that is recorded while it is sent, or the second body that is made of the record and the
/// rest of the stream.
///
/// [`record`] makes it.
pub struct Recorded<B: Body> {
    tape: Arc<Tape<B>>,
    is_second: bool,
    given: u64,
}

/// Splits `stream` into the body to send and the means to send it again, for implementations of
/// [`Replay::record`](super::Replay::record).
///
/// Up to `cap` bytes are kept. `wrap` makes your type of the recorded body; it must pass on its errors,
/// or the first connection would wait for the rest of a body that has been taken back.
///
/// ```
/// use bytes::Bytes;
/// use http_body_util::{BodyExt as _, combinators::UnsyncBoxBody};
/// use refresh_client_layer::replay::{Recording, ReplayError, record};
///
/// type Body = UnsyncBoxBody<Bytes, Box<dyn std::error::Error + Send + Sync>>;
///
/// fn split(body: Body, cap: usize) -> (Body, Recording<Body>) {
///     record(body, cap, |body| {
///         body.map_err(|error| match error {
///             ReplayError::Source(error) => error,
///             taken_back => taken_back.to_string().into(),
///         })
///         .boxed_unsync()
///     })
/// }
/// ```
pub fn record<B, T>(
    stream: B,
    cap: usize,
    wrap: impl Fn(Recorded<B>) -> T + Send + 'static,
) -> (T, Recording<T>)
where
    B: Body + Send + Unpin + 'static,
    B::Data: Clone + Send,
    B::Error: Send,
    T: 'static,
{
    let tape = Arc::new(Tape::new(stream, cap));
    let first = wrap(Recorded::new(&tape, false));
    let held = tape.clone();
    let again = move || wrap(Recorded::new(&tape, true));
    (first, Recording::new(held, again))
}

impl<B: Body> Recorded<B> {
    fn new(tape: &Arc<Tape<B>>, is_second: bool) -> Self {
        Self {
            tape: tape.clone(),
            is_second,
            given: 0,
        }
    }
}

impl<B> Body for Recorded<B>
where
    B: Body + Unpin,
    B::Data: Clone,
{
    type Data = B::Data;
    type Error = ReplayError<B::Error>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, Self::Error>>> {
        use bytes::Buf as _;

        let polled = match self.is_second {
            true => self.tape.poll_second(cx),
            false => self.tape.poll_first(cx),
        };
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            self.given += frame.data_ref().map_or(0, |data| data.remaining() as u64);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        match self.is_second {
            true => self.tape.is_second_over(),
            false => self.tape.is_first_over(),
        }
    }

    /// The same for both bodies, so that a `Content-Length` is.
    fn size_hint(&self) -> SizeHint {
        let whole = self.tape.hint();
        let mut left = SizeHint::new();
        left.set_lower(whole.lower().saturating_sub(self.given));
        if let Some(upper) = whole.upper() {
            left.set_upper(upper.saturating_sub(self.given));
        }
        left
    }
}

impl<B: Body> fmt::Debug for Recorded<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorded").finish_non_exhaustive()
    }
}

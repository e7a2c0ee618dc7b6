use std::any::Any;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body as _, Frame, SizeHint};
use tonic::Status;
use tonic::body::Body;

/// The trailers of a body that has nothing else; what was polled is put back in front of the rest.
pub(super) fn poll_lone_trailers(
    body: &mut dyn Any,
    cx: &mut Context<'_>,
) -> Poll<Option<HeaderMap>> {
    let Some(body) = body.downcast_mut::<Body>() else {
        return Poll::Ready(None);
    };
    let Some(first) = ready!(Pin::new(&mut *body).poll_frame(cx)) else {
        // What has come to its end need not bear to be asked again.
        *body = Body::empty();
        return Poll::Ready(None);
    };
    let trailers = match &first {
        Ok(frame) => frame.trailers_ref().cloned(),
        Err(_) => None,
    };
    *body = Body::new(Begun {
        first: Some(first),
        rest: mem::take(body),
    });
    Poll::Ready(trailers)
}

/// A body whose first frame has been looked at.
struct Begun {
    first: Option<Result<Frame<Bytes>, Status>>,
    rest: Body,
}

impl http_body::Body for Begun {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        match self.first.take() {
            Some(first) => Poll::Ready(Some(first)),
            None => Pin::new(&mut self.rest).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.rest.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.first {
            Some(Ok(frame)) if frame.is_trailers() => SizeHint::with_exact(0),
            Some(_) => SizeHint::default(),
            None => self.rest.size_hint(),
        }
    }
}

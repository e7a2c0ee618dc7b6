use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Frame, SizeHint};
use tonic::Status;
use tonic::body::Body;

/// Lets `heard` see the trailers of `body`, once they come.
pub(super) fn watch(body: &mut Body, heard: impl FnOnce(&HeaderMap) + Send + Unpin + 'static) {
    *body = Body::new(Watched {
        body: mem::take(body),
        heard: Some(heard),
    });
}

struct Watched<F> {
    body: Body,
    heard: Option<F>,
}

impl<F: FnOnce(&HeaderMap) + Unpin> http_body::Body for Watched<F> {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        let trailers = match &frame {
            Some(Ok(frame)) => frame.trailers_ref(),
            _ => None,
        };
        if let Some(trailers) = trailers {
            if let Some(heard) = self.heard.take() {
                heard(trailers);
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

use std::task::{Context, Poll};

use http::{Extensions, HeaderMap, Method, StatusCode};
use http_body::Body;

use super::{Head, Recording, Replay};
use crate::origin::Target;

pub(crate) use self::sealed::Sealed;

/// A request that the layer understands.
///
/// That is `http::Request<B>` where `B: Replay`, and `reqwest::Request` with the `reqwest` feature.
/// Only this crate implements it.
pub trait Request: Sealed + Sized {
    /// What is kept of a request whose body has a cheap copy.
    #[doc(hidden)]
    type Copy;
    /// Where the request goes.
    #[doc(hidden)]
    fn target(&self) -> Option<Target<'_>>;
    /// True if the service alone knows where the request goes, as a `tonic` channel does.
    #[doc(hidden)]
    fn goes_where_the_channel_goes(&self) -> bool {
        false
    }
    /// True if its sender understands errors of gRPC.
    #[doc(hidden)]
    fn is_grpc(&self) -> bool {
        false
    }
    #[doc(hidden)]
    fn method(&self) -> &Method;
    /// The URL, if it is absolute.
    #[doc(hidden)]
    fn url(&self) -> Option<String>;
    /// The URL, if its response will say where it came from.
    #[doc(hidden)]
    fn place(&self) -> Option<String> {
        None
    }
    #[doc(hidden)]
    fn headers(&self) -> &HeaderMap;
    #[doc(hidden)]
    fn headers_mut(&mut self) -> &mut HeaderMap;
    /// What the caller attached for layers like this one to see.
    #[doc(hidden)]
    fn extensions(&self) -> Option<&Extensions>;
    /// What to keep, if the body has a cheap copy.
    #[doc(hidden)]
    fn try_copy(&self) -> Option<Self::Copy>;
    #[doc(hidden)]
    fn from_copy(copy: Self::Copy) -> Self;
    /// The request to send, and the means to send it again, where there is no copy.
    #[doc(hidden)]
    fn record(self, cap: usize) -> (Self, Option<Recording<Self>>);
}

/// A response that the layer understands.
///
/// That is `http::Response<B>` where `B: http_body::Body`, and `reqwest::Response` with the `reqwest`
/// feature. Only this crate implements it.
pub trait Response: Sealed {
    #[doc(hidden)]
    fn status(&self) -> StatusCode;
    #[doc(hidden)]
    fn headers(&self) -> &HeaderMap;
    #[doc(hidden)]
    fn extensions_mut(&mut self) -> &mut Extensions;
    /// Where the response came from, if it knows: after redirects that is not where the request
    /// went.
    #[doc(hidden)]
    fn source(&self) -> Option<Source<'_>>;
    /// The URL that the response came from, if it knows.
    #[doc(hidden)]
    fn place(&self) -> Option<&str> {
        None
    }
    /// How many bytes of the body are yet to come, at most; `None` if nobody knows.
    #[doc(hidden)]
    fn unread(&self) -> Option<u64>;
    /// True for a gRPC response whose status is yet to come.
    #[doc(hidden)]
    fn is_open_grpc(&self) -> bool {
        false
    }
    /// The trailers, if they come before any message. The response stays whole.
    #[doc(hidden)]
    fn poll_lone_trailers(&mut self, cx: &mut Context<'_>) -> Poll<Option<HeaderMap>> {
        let _ = cx;
        Poll::Ready(None)
    }
    /// Lets `heard` see the trailers of a gRPC response that is handed out before they are known.
    #[doc(hidden)]
    fn watch_trailers(&mut self, heard: impl FnOnce(&HeaderMap) + Send + Unpin + 'static) {
        drop(heard);
    }
}

/// Where a response came from.
#[doc(hidden)]
#[derive(Debug)]
#[non_exhaustive]
pub enum Source<'a> {
    Known(Target<'a>),
    /// No origin, such as a URL with a user name in it.
    Opaque,
}

impl<B> Sealed for http::Request<B> {}

impl<B: Replay + 'static> Request for http::Request<B> {
    type Copy = (Head, B);

    fn target(&self) -> Option<Target<'_>> {
        Target::of(self.uri())
    }

    #[cfg(feature = "tonic")]
    fn goes_where_the_channel_goes(&self) -> bool {
        let uri = self.uri();
        uri.scheme().is_none() && uri.authority().is_none() && self.is_grpc()
    }

    #[cfg(feature = "tonic")]
    fn is_grpc(&self) -> bool {
        super::is_grpc(self.headers())
    }

    fn method(&self) -> &Method {
        self.method()
    }

    fn url(&self) -> Option<String> {
        let uri = self.uri();
        (uri.scheme().is_some() && uri.authority().is_some()).then(|| uri.to_string())
    }

    fn headers(&self) -> &HeaderMap {
        self.headers()
    }

    fn headers_mut(&mut self) -> &mut HeaderMap {
        self.headers_mut()
    }

    fn extensions(&self) -> Option<&Extensions> {
        Some(self.extensions())
    }

    fn try_copy(&self) -> Option<Self::Copy> {
        let body = self.body().try_clone()?;
        Some((Head::of(self), body))
    }

    fn from_copy((head, body): (Head, B)) -> Self {
        head.into_request(body)
    }

    fn record(self, cap: usize) -> (Self, Option<Recording<Self>>) {
        let head = Head::of(&self);
        let (parts, body) = self.into_parts();
        let (body, again) = body.record(cap);
        let again = again.map(|again| again.map(|body| head.into_request(body)));
        (Self::from_parts(parts, body), again)
    }
}

impl<B> Sealed for http::Response<B> {}

impl<B: Body + 'static> Response for http::Response<B> {
    fn status(&self) -> StatusCode {
        self.status()
    }

    fn headers(&self) -> &HeaderMap {
        self.headers()
    }

    fn extensions_mut(&mut self) -> &mut Extensions {
        self.extensions_mut()
    }

    fn source(&self) -> Option<Source<'_>> {
        None
    }

    fn unread(&self) -> Option<u64> {
        match self.body().is_end_stream() {
            true => Some(0),
            false => self.body().size_hint().upper(),
        }
    }

    #[cfg(feature = "tonic")]
    fn is_open_grpc(&self) -> bool {
        super::is_grpc(self.headers()) && !self.headers().contains_key("grpc-status")
    }

    #[cfg(feature = "tonic")]
    fn poll_lone_trailers(&mut self, cx: &mut Context<'_>) -> Poll<Option<HeaderMap>> {
        super::first_frame::poll_lone_trailers(self.body_mut(), cx)
    }

    #[cfg(feature = "tonic")]
    fn watch_trailers(&mut self, heard: impl FnOnce(&HeaderMap) + Send + Unpin + 'static) {
        let body: &mut dyn std::any::Any = self.body_mut();
        if let Some(body) = body.downcast_mut() {
            super::watched::watch(body, heard);
        }
    }
}

mod sealed {
    #[expect(
        unnameable_types,
        reason = "nobody else can implement what cannot be named"
    )]
    pub trait Sealed {}
}

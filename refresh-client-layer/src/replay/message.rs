use http::{Extensions, HeaderMap, StatusCode};

use super::Replay;
use crate::origin::Target;

/// A request that the layer understands.
///
/// That is `http::Request<B>` where `B: Replay`, and `reqwest::Request` with the `reqwest` feature.
/// Only this crate implements it.
pub trait Request: Sized {
    /// Where the request goes.
    #[doc(hidden)]
    fn target(&self) -> Option<Target<'_>>;
    #[doc(hidden)]
    fn headers(&self) -> &HeaderMap;
    #[doc(hidden)]
    fn headers_mut(&mut self) -> &mut HeaderMap;
    /// What the caller attached for layers like this one to see.
    #[doc(hidden)]
    fn extensions(&self) -> Option<&Extensions>;
    #[doc(hidden)]
    fn try_clone(&self) -> Option<Self>;
}

/// A response that the layer understands.
///
/// That is `http::Response<B>`, and `reqwest::Response` with the `reqwest` feature. Only this crate
/// implements it.
pub trait Response {
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

impl<B: Replay> Request for http::Request<B> {
    fn target(&self) -> Option<Target<'_>> {
        Target::of(self.uri())
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

    fn try_clone(&self) -> Option<Self> {
        let body = self.body().try_clone()?;
        let mut copy = http::Request::new(body);
        *copy.method_mut() = self.method().clone();
        *copy.uri_mut() = self.uri().clone();
        *copy.version_mut() = self.version();
        *copy.headers_mut() = self.headers().clone();
        *copy.extensions_mut() = self.extensions().clone();
        Some(copy)
    }
}

impl<B> Response for http::Response<B> {
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
}

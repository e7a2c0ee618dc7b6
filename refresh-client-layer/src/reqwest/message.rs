use ::reqwest::{Request, Response, Url};
use http::{Extensions, HeaderMap, StatusCode};

use crate::origin::Target;
use crate::replay::{self, Source};

impl replay::Request for Request {
    fn target(&self) -> Option<Target<'_>> {
        target(self.url())
    }

    fn headers(&self) -> &HeaderMap {
        self.headers()
    }

    fn headers_mut(&mut self) -> &mut HeaderMap {
        self.headers_mut()
    }

    /// It keeps them to itself.
    fn extensions(&self) -> Option<&Extensions> {
        None
    }

    fn try_clone(&self) -> Option<Self> {
        self.try_clone()
    }
}

impl replay::Response for Response {
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
        Some(target(self.url()).map_or(Source::Opaque, Source::Known))
    }
}

fn target(url: &Url) -> Option<Target<'_>> {
    if !url.username().is_empty() || url.password().is_some() {
        return None;
    }
    Target::new(url.scheme(), url.host_str()?, url.port())
}

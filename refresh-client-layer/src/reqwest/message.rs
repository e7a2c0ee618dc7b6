use ::reqwest::{Body, Request, Response, Url};
use http::{Extensions, HeaderMap, Method, StatusCode};

use crate::origin::Target;
use crate::replay::{self, Recording, Sealed, Source, record};

/// A request, and what its sender attached for the layer to see: a [`Request`] keeps its extensions
/// to itself.
pub(crate) struct Outgoing {
    pub(crate) request: Request,
    pub(crate) extensions: Extensions,
}

impl Sealed for Outgoing {}

impl replay::Request for Outgoing {
    type Copy = Self;

    fn target(&self) -> Option<Target<'_>> {
        self.request.target()
    }

    fn method(&self) -> &Method {
        self.request.method()
    }

    fn url(&self) -> Option<String> {
        replay::Request::url(&self.request)
    }

    fn place(&self) -> Option<String> {
        replay::Request::place(&self.request)
    }

    fn headers(&self) -> &HeaderMap {
        self.request.headers()
    }

    fn headers_mut(&mut self) -> &mut HeaderMap {
        self.request.headers_mut()
    }

    fn extensions(&self) -> Option<&Extensions> {
        Some(&self.extensions)
    }

    fn try_copy(&self) -> Option<Self> {
        let request = self.request.try_clone()?;
        let extensions = self.extensions.clone();
        Some(Self {
            request,
            extensions,
        })
    }

    fn from_copy(copy: Self) -> Self {
        copy
    }

    fn record(self, cap: usize) -> (Self, Option<Recording<Self>>) {
        let Self {
            request,
            extensions,
        } = self;
        let (request, again) = request.record(cap);
        let given = extensions.clone();
        let again = again.map(|again| {
            again.map(|request| Self {
                request,
                extensions: given,
            })
        });
        let first = Self {
            request,
            extensions,
        };
        (first, again)
    }
}

impl Sealed for Request {}

impl replay::Request for Request {
    type Copy = Self;

    fn target(&self) -> Option<Target<'_>> {
        target(self.url())
    }

    fn method(&self) -> &Method {
        self.method()
    }

    fn url(&self) -> Option<String> {
        Some(self.url().to_string())
    }

    fn place(&self) -> Option<String> {
        Some(place(self.url()).to_owned())
    }

    fn headers(&self) -> &HeaderMap {
        self.headers()
    }

    fn headers_mut(&mut self) -> &mut HeaderMap {
        self.headers_mut()
    }

    fn extensions(&self) -> Option<&Extensions> {
        None
    }

    fn try_copy(&self) -> Option<Self> {
        self.try_clone()
    }

    fn from_copy(copy: Self) -> Self {
        copy
    }

    fn record(mut self, cap: usize) -> (Self, Option<Recording<Self>>) {
        let stream = self.body_mut().take();
        let (Some(stream), Some(mut head)) = (stream, self.try_clone()) else {
            return (self, None);
        };
        let (body, again) = record(stream, cap, Body::wrap);
        *self.body_mut() = Some(body);
        let again = again.map(move |body| {
            *head.body_mut() = Some(body);
            head
        });
        (self, Some(again))
    }
}

impl Sealed for Response {}

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

    fn place(&self) -> Option<&str> {
        Some(place(self.url()))
    }

    fn unread(&self) -> Option<u64> {
        self.content_length()
    }
}

/// The fragment is the client's alone.
fn place(url: &Url) -> &str {
    let url = url.as_str();
    url.split_once('#').map_or(url, |(place, _)| place)
}

fn target(url: &Url) -> Option<Target<'_>> {
    if !url.username().is_empty() || url.password().is_some() {
        return None;
    }
    Target::new(url.scheme(), url.host_str()?, url.port())
}

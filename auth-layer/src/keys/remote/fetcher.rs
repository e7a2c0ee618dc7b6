use std::error::Error;
use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use http::{Request, Response};

/// The HTTP client that fetches keys; for proxies, private certificates or a client that you have.
/// A closure will do.
///
/// It sends the GET `request` with the headers it has, **follows no redirect, decodes no content
/// coding** and should stop reading after 256 KiB. What came back is checked once more, as is the
/// time it took: after 10 s the future is dropped.
///
/// ```
/// use auth_layer::keys::remote::{BoxError, RemoteKeys};
/// use bytes::Bytes;
/// use http::{Request, Response};
///
/// async fn fetch(request: Request<()>) -> Result<Response<Bytes>, BoxError> {
///     // Ask your HTTP client.
///     # let _ = request;
///     Err("no network".into())
/// }
///
/// let keys = RemoteKeys::builder("https://auth.example/.well-known/jwks.json")
///     .fetcher(fetch)
///     .build();
/// ```
pub trait Fetcher: Send + Sync + 'static {
    /// Sends `request` and reads the whole answer.
    ///
    /// # Errors
    /// When there is no whole answer. An answer with an error status is an answer.
    fn fetch(
        &self,
        request: Request<()>,
    ) -> impl Future<Output = Result<Response<Bytes>, BoxError>> + Send;
}

/// Any error.
pub type BoxError = Box<dyn Error + Send + Sync>;

impl<F, Answer> Fetcher for F
where
    F: Fn(Request<()>) -> Answer + Send + Sync + 'static,
    Answer: Future<Output = Result<Response<Bytes>, BoxError>> + Send,
{
    fn fetch(
        &self,
        request: Request<()>,
    ) -> impl Future<Output = Result<Response<Bytes>, BoxError>> + Send {
        self(request)
    }
}

/// A [`Fetcher`] whose type does not matter.
pub(super) trait ErasedFetcher: Send + Sync {
    fn fetch(&self, request: Request<()>) -> Fetching<'_>;
}

pub(super) type Fetching<'a> =
    Pin<Box<dyn Future<Output = Result<Response<Bytes>, BoxError>> + Send + 'a>>;

impl<F: Fetcher> ErasedFetcher for F {
    fn fetch(&self, request: Request<()>) -> Fetching<'_> {
        Box::pin(Fetcher::fetch(self, request))
    }
}

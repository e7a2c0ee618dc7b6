use std::sync::OnceLock;

use bytes::Bytes;
use http::uri::Scheme;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::{Connect, HttpConnector};
use hyper_util::client::legacy::{Client, ResponseFuture};
use hyper_util::rt::TokioExecutor;
use rustls::crypto::aws_lc_rs;

use super::answer::MAX_BYTES;
use super::{BoxError, Fetcher};

/// HTTP/1.1 over rustls, trusting what the operating system trusts.
#[derive(Debug, Default)]
pub(super) struct HttpsFetcher {
    /// Made when it is first needed: reading the certificates takes milliseconds, and plain http
    /// does not need them.
    connector: OnceLock<HttpsConnector<HttpConnector>>,
}

impl Fetcher for HttpsFetcher {
    async fn fetch(&self, request: Request<()>) -> Result<Response<Bytes>, BoxError> {
        let response = if request.uri().scheme() == Some(&Scheme::HTTP) {
            send(HttpConnector::new(), request)
        } else {
            send(self.connector()?, request)
        };
        let (head, body) = response.await?.into_parts();
        let body = Limited::new(body, MAX_BYTES).collect().await?.to_bytes();
        Ok(Response::from_parts(head, body))
    }
}

impl HttpsFetcher {
    fn connector(&self) -> Result<HttpsConnector<HttpConnector>, BoxError> {
        if let Some(connector) = self.connector.get() {
            return Ok(connector.clone());
        }
        // Given, not the process's default: which that is depends on who else uses rustls.
        let connector = HttpsConnectorBuilder::new()
            .with_provider_and_native_roots(aws_lc_rs::default_provider())?
            .https_only()
            .enable_http1()
            .build();
        Ok(self.connector.get_or_init(|| connector).clone())
    }
}

/// Over a connection of its own: the next request is minutes away, maybe on another runtime.
fn send<C>(connector: C, request: Request<()>) -> ResponseFuture
where
    C: Connect + Clone + Send + Sync + 'static,
{
    Client::builder(TokioExecutor::new())
        .pool_max_idle_per_host(0)
        .build(connector)
        .request(request.map(|()| Empty::<Bytes>::new()))
}

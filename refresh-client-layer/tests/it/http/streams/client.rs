//! The clients that stream, and what they stream.

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, StreamBody};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use crate::support::{BoxError, World};
use refresh_client_layer::AuthClient;
use refresh_client_layer::{Outcome, RefreshLayer};
use tokio::sync::mpsc;
use tower::{Layer as _, ServiceExt as _};

use super::server::Server;

pub(crate) type Upload = BoxBody<Bytes, BoxError>;

/// A client, and the version of HTTP that it speaks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way {
    pub(crate) is_h2: bool,
    client: Kind,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    HyperUtil,
    Reqwest,
}

impl Way {
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        let clients = [Kind::HyperUtil, Kind::Reqwest];
        let versions = move |client| [false, true].map(|is_h2| Self { is_h2, client });
        clients.into_iter().flat_map(versions)
    }

    /// Sends it with access-1, which `world` will refresh; up to `cap` bytes are kept.
    pub(crate) fn send(
        self,
        world: &World,
        server: &Server,
        request: Request<Upload>,
        cap: usize,
    ) -> BoxFuture<'static, (StatusCode, Outcome)> {
        let session = world.builder().origin(format!("http://{}", server.addr));
        let layer = RefreshLayer::new(session.build().unwrap()).replay_cap(cap);
        match self.client {
            Kind::HyperUtil => {
                let mut connector = HttpConnector::new();
                connector.set_nodelay(true);
                let http = Client::builder(TokioExecutor::new())
                    .http2_only(self.is_h2)
                    .build(connector);
                let sent = layer.layer(http).oneshot(request);
                sent.map(|it| told(it.unwrap())).boxed()
            }
            Kind::Reqwest => {
                let mut http = reqwest::Client::builder();
                if self.is_h2 {
                    http = http.http2_prior_knowledge();
                }
                let api = AuthClient::with_layer(http.build().unwrap(), &layer);
                let extensions = request.extensions().clone();
                let request = request.map(reqwest::Body::wrap).try_into().unwrap();
                let sent = async move { api.execute_with_extensions(request, extensions).await };
                sent.map(|it| told(it.unwrap().into())).boxed()
            }
        }
    }
}

fn told<B>(response: Response<B>) -> (StatusCode, Outcome) {
    let outcome = response.extensions().get::<Outcome>();
    (response.status(), *outcome.unwrap())
}

pub(crate) fn chunk(number: u8) -> Bytes {
    Bytes::from(vec![number; 1000])
}

pub(crate) fn sum() -> HeaderMap {
    let sum = HeaderValue::from_static("42");
    HeaderMap::from_iter([(HeaderName::from_static("x-sum"), sum)])
}

/// A body whose frames the test sends one by one.
pub(crate) fn stream() -> (mpsc::UnboundedSender<Frame<Bytes>>, Upload) {
    let (sender, mut frames) = mpsc::unbounded_channel();
    let frames = futures_util::stream::poll_fn(move |cx| frames.poll_recv(cx).map(|it| it.map(Ok)));
    (sender, StreamBody::new(frames).boxed())
}

/// Ten chunks and trailers.
pub(crate) fn whole() -> (Upload, Vec<u8>) {
    let (sender, body) = stream();
    let mut bytes = Vec::new();
    for number in 0..10 {
        bytes.extend_from_slice(&chunk(number));
        sender.send(Frame::data(chunk(number))).unwrap();
    }
    sender.send(Frame::trailers(sum())).unwrap();
    (body, bytes)
}

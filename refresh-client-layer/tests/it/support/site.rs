//! A site of its own on loopback.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderMap, Method, Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

/// What a site was sent.
#[derive(Clone, Debug)]
pub(crate) struct Hit {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Hit {
    pub(crate) fn token(&self) -> Option<&str> {
        self.headers.get("authorization")?.to_str().ok()
    }
}

pub(crate) type SiteBody = BoxBody<Bytes, Infallible>;

type Handler = Arc<dyn Fn(Hit) -> BoxFuture<'static, Response<SiteBody>> + Send + Sync>;

pub(crate) struct Site {
    pub(crate) addr: SocketAddr,
    hits: Arc<Mutex<Vec<Hit>>>,
}

impl Site {
    pub(crate) async fn start(
        handler: impl Fn(&Hit) -> Response<Full<Bytes>> + Send + Sync + 'static,
    ) -> Self {
        Self::start_slow(move |hit| {
            let answer = handler(&hit).map(BodyExt::boxed);
            Box::pin(std::future::ready(answer))
        })
        .await
    }

    /// With answers that take their time.
    pub(crate) async fn start_slow(
        handler: impl Fn(Hit) -> BoxFuture<'static, Response<SiteBody>> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let hits = Arc::default();
        tokio::spawn(serve(listener, Arc::new(handler), Arc::clone(&hits)));
        Self { addr, hits }
    }

    /// Lets token 2 in.
    pub(crate) async fn api() -> Self {
        Self::start(|hit| match hit.token() {
            Some("Bearer access-2") => ok(),
            _ => status(401),
        })
        .await
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }

    pub(crate) fn hits(&self) -> Vec<Hit> {
        self.hits.lock().unwrap().clone()
    }

    pub(crate) fn tokens(&self) -> Vec<Option<String>> {
        let hits = self.hits();
        hits.iter()
            .map(|hit| hit.token().map(str::to_owned))
            .collect()
    }
}

async fn serve(listener: TcpListener, handler: Handler, hits: Arc<Mutex<Vec<Hit>>>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (handler, hits) = (handler.clone(), hits.clone());
        let answer = service_fn(move |request: Request<Incoming>| {
            let (handler, hits) = (handler.clone(), hits.clone());
            async move {
                let (parts, body) = request.into_parts();
                let hit = Hit {
                    method: parts.method,
                    path: parts.uri.path().to_owned(),
                    headers: parts.headers,
                    body: body.collect().await.unwrap().to_bytes(),
                };
                hits.lock().unwrap().push(hit.clone());
                Ok::<_, Infallible>(handler(hit).await)
            }
        });
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), answer);
        tokio::spawn(connection);
    }
}

pub(crate) fn status(code: u16) -> Response<Full<Bytes>> {
    Response::builder()
        .status(code)
        .body(Full::from("as it came"))
        .unwrap()
}

pub(crate) fn ok() -> Response<Full<Bytes>> {
    status(200)
}

pub(crate) fn redirect(to: &str) -> Response<Full<Bytes>> {
    let mut response = status(307);
    response
        .headers_mut()
        .insert("location", to.parse().unwrap());
    response
}

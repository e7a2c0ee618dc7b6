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
pub struct Hit {
    pub method: Method,
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Hit {
    pub fn token(&self) -> Option<&str> {
        self.headers.get("authorization")?.to_str().ok()
    }
}

pub type SiteBody = BoxBody<Bytes, Infallible>;

type Handler = Arc<dyn Fn(Hit) -> BoxFuture<'static, Response<SiteBody>> + Send + Sync>;

pub struct Site {
    pub addr: SocketAddr,
    hits: Arc<Mutex<Vec<Hit>>>,
}

impl Site {
    pub async fn start(
        handler: impl Fn(&Hit) -> Response<Full<Bytes>> + Send + Sync + 'static,
    ) -> Self {
        Self::start_slow(move |hit| {
            let answer = handler(&hit).map(BodyExt::boxed);
            Box::pin(std::future::ready(answer))
        })
        .await
    }

    /// With answers that take their time.
    pub async fn start_slow(
        handler: impl Fn(Hit) -> BoxFuture<'static, Response<SiteBody>> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let hits = Arc::default();
        tokio::spawn(serve(listener, Arc::new(handler), Arc::clone(&hits)));
        Self { addr, hits }
    }

    /// Lets token 2 in.
    pub async fn api() -> Self {
        Self::start(|hit| match hit.token() {
            Some("Bearer access-2") => ok(),
            _ => status(401),
        })
        .await
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }

    pub fn hits(&self) -> Vec<Hit> {
        self.hits.lock().unwrap().clone()
    }

    pub fn tokens(&self) -> Vec<Option<String>> {
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

pub fn status(code: u16) -> Response<Full<Bytes>> {
    Response::builder()
        .status(code)
        .body(Full::from("as it came"))
        .unwrap()
}

pub fn ok() -> Response<Full<Bytes>> {
    status(200)
}

pub fn redirect(to: &str) -> Response<Full<Bytes>> {
    let mut response = status(307);
    response
        .headers_mut()
        .insert("location", to.parse().unwrap());
    response
}

//! A server that refuses uploads in the middle.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::client::Upload;

/// How far the server reads before it says 401 to access-1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Reads {
    Nothing,
    OneFrame,
    Everything,
    /// Nothing, and it does not say that it will not.
    Never,
}

/// An upload that was read to its end.
#[derive(Clone, Debug)]
pub(crate) struct Hit {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) trailers: Option<HeaderMap>,
}

pub(crate) struct Server {
    pub(crate) addr: SocketAddr,
    reads: Reads,
    hits: Mutex<Vec<Hit>>,
    unread: Mutex<Vec<Incoming>>,
    refused: Mutex<u32>,
    /// How many connections have ended.
    closed: watch::Sender<u32>,
}

impl Server {
    pub(crate) async fn start(is_h2: bool, reads: Reads) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Arc::new(Self {
            addr: listener.local_addr().unwrap(),
            reads,
            hits: Mutex::default(),
            unread: Mutex::default(),
            refused: Mutex::default(),
            closed: watch::Sender::default(),
        });
        let shared = server.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                tokio::spawn(shared.clone().serve(stream, is_h2));
            }
        });
        server
    }

    async fn serve(self: Arc<Self>, stream: TcpStream, is_h2: bool) {
        let io = TokioIo::new(stream);
        let server = self.clone();
        let answer = service_fn(move |request| server.clone().answer(request));
        // A client that goes away is what some tests are about.
        let _ = match is_h2 {
            true => {
                let mut builder = http2::Builder::new(TokioExecutor::new());
                // So that one stream alone cannot take all that the connection has.
                builder.initial_stream_window_size(1 << 16);
                builder.serve_connection(io, answer).await
            }
            false => http1::Builder::new().serve_connection(io, answer).await,
        };
        self.closed.send_modify(|closed| *closed += 1);
    }

    async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> Result<Response<Full<Bytes>>, Infallible> {
        let (head, mut body) = request.into_parts();
        let mut response = Response::new(Full::default());
        if head.headers["authorization"] != "Bearer access-2" {
            *response.status_mut() = StatusCode::UNAUTHORIZED;
            *self.refused.lock().unwrap() += 1;
            match self.reads {
                Reads::Nothing => return Ok(response),
                Reads::Never => {
                    self.unread.lock().unwrap().push(body);
                    return Ok(response);
                }
                Reads::OneFrame => {
                    body.frame().await.unwrap().unwrap();
                    return Ok(response);
                }
                Reads::Everything => {}
            }
        }
        if let Ok(body) = body.collect().await {
            self.hits.lock().unwrap().push(Hit {
                headers: head.headers,
                trailers: body.trailers().cloned(),
                body: body.to_bytes(),
            });
        }
        Ok(response)
    }

    pub(crate) fn hits(&self) -> Vec<Hit> {
        self.hits.lock().unwrap().clone()
    }

    pub(crate) fn refused(&self) -> u32 {
        *self.refused.lock().unwrap()
    }

    /// The bodies that it has never read.
    pub(crate) fn unread(&self) -> Vec<Incoming> {
        std::mem::take(&mut self.unread.lock().unwrap())
    }

    /// Waits until a connection has ended.
    pub(crate) async fn closed(&self) {
        let mut closed = self.closed.subscribe();
        closed.wait_for(|closed| *closed > 0).await.unwrap();
    }

    pub(crate) fn post(&self, body: Upload) -> Request<Upload> {
        Request::post(format!("http://{}/", self.addr))
            .header("te", "trailers")
            .header("trailer", "x-sum")
            .body(body)
            .unwrap()
    }
}

//! What the layer hands out as it came: connections that become something else, and answers that
//! have no end yet.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};
use refresh_client_layer::{Outcome, RefreshLayer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tower::{Layer as _, ServiceExt as _};

use crate::support::World;

const REFUSED: &[u8] =
    b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// Accepts connections until one brings access-2, and says where it listens.
async fn server() -> (String, tokio::task::JoinHandle<TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let accepted = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            if String::from_utf8(head).unwrap().contains("Bearer access-2") {
                return stream;
            }
            stream.write_all(REFUSED).await.unwrap();
        }
    });
    (url, accepted)
}

/// Sends it through the layer, which needs a new token for it.
async fn send(url: &str, request: http::request::Builder) -> Response<Incoming> {
    let session = World::new().builder().origin(url).build().unwrap();
    let http = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let request: Request<_> = request.uri(url).body(Empty::new()).unwrap();
    let sent = RefreshLayer::new(session).layer(http).oneshot(request);
    let response = soon(sent).await.unwrap();
    let outcome: &Outcome = response.extensions().get().unwrap();
    assert_eq!(outcome.attempts(), 2);
    response
}

async fn soon<T>(work: impl Future<Output = T>) -> T {
    let soon = tokio::time::timeout(Duration::from_secs(10), work).await;
    soon.expect("it does not hang")
}

/// Law H3.
#[tokio::test]
async fn an_upgraded_connection_carries_bytes_both_ways() {
    let (url, accepted) = server().await;
    let serving = tokio::spawn(async move {
        let mut stream = accepted.await.unwrap();
        let switch =
            "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n";
        stream.write_all(switch.as_bytes()).await.unwrap();
        stream.write_all(b"welcome").await.unwrap();
        let mut words = [0; 11];
        stream.read_exact(&mut words).await.unwrap();
        stream.write_all(&words).await.unwrap();
    });
    let request = Request::get("/").header("connection", "upgrade");
    let response = send(&url, request.header("upgrade", "echo")).await;
    assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
    let mut upgraded = TokioIo::new(soon(hyper::upgrade::on(response)).await.unwrap());
    upgraded.write_all(b"other words").await.unwrap();
    let mut heard = [0; 18];
    soon(upgraded.read_exact(&mut heard)).await.unwrap();
    assert_eq!(&heard, b"welcomeother words");
    soon(serving).await.unwrap();
}

/// Law H3: the second event is sent once the first has been read.
#[tokio::test]
async fn events_arrive_while_the_response_goes_on() {
    let (url, accepted) = server().await;
    let response = tokio::spawn(async move { send(&url, Request::get("/")).await });
    let mut stream = accepted.await.unwrap();
    let head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
    stream.write_all(head).await.unwrap();
    let mut body = soon(response).await.unwrap().into_body();
    for event in ["data: one\n\n", "data: two\n\n"] {
        stream.write_all(event.as_bytes()).await.unwrap();
        let frame = soon(body.frame()).await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), event);
    }
    drop(stream);
    assert!(soon(body.frame()).await.is_none());
}

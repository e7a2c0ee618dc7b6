use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::upstream::Upstream;
use super::{Gateway, User};

const TTL: Duration = Duration::from_secs(600);

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_gigabyte_each_way_at_once_takes_little_memory() {
    const GIGABYTE: usize = 1 << 30;
    let upstream = Upstream::start(TTL).await;
    let gateway = Gateway::start(&upstream.url(), &[]);
    let user = gateway.sign_in("alice").await;
    let begin = Instant::now();
    let (received, counted) = tokio::join!(
        download(&gateway, &user, GIGABYTE),
        upload(&gateway, &user, GIGABYTE),
    );
    assert_eq!(received, GIGABYTE);
    assert_eq!(counted, GIGABYTE.to_string());
    let most = gateway.0.peak_memory();
    println!(
        "2 GiB through in {:?}, {} KiB at most",
        begin.elapsed(),
        most / 1024
    );
    assert!(most < 100 << 20, "{most} bytes");
}

async fn download(gateway: &Gateway, user: &User, count: usize) -> usize {
    let mut response = gateway.get(&format!("/bytes/{count}"), user).await;
    assert_eq!(response.status(), 200);
    let mut received = 0;
    while let Some(chunk) = response.chunk().await.unwrap() {
        received += chunk.len();
    }
    received
}

async fn upload(gateway: &Gateway, user: &User, count: usize) -> String {
    let chunk = Bytes::from(vec![b'x'; 64 * 1024]);
    let chunks = std::iter::repeat_n(chunk.clone(), count / chunk.len());
    let chunks = chunks.map(|it| Ok::<_, std::io::Error>(Frame::data(it)));
    let request = http::Request::post(gateway.0.url("/count"))
        .header("authorization", format!("Bearer {}", user.access))
        .body(StreamBody::new(tokio_stream::iter(chunks)))
        .unwrap();
    let response = Client::builder(TokioExecutor::new())
        .build_http()
        .request(request);
    let body = response.await.unwrap().into_body().collect().await.unwrap();
    String::from_utf8(body.to_bytes().to_vec()).unwrap()
}

/// As a page opens it, which cannot set headers.
#[tokio::test]
async fn a_websocket_goes_through_and_ends_with_the_session() {
    let upstream = Upstream::start(TTL).await;
    let gateway = Gateway::start(&upstream.url(), &[]);
    let user = gateway.sign_in("alice").await;
    let mut socket = open(&gateway, &format!("chat, bearer.{}", user.access)).await;
    let head = head(&mut socket).await;
    assert!(head.starts_with("http/1.1 101 "), "{head}");
    for line in [
        "\r\nconnection: upgrade\r\n",
        "\r\nupgrade: websocket\r\n",
        "\r\nsec-websocket-protocol: chat\r\n",
    ] {
        assert!(head.contains(line), "{head}");
    }
    assert_eq!(upstream.header("sec-websocket-protocol"), ["chat"]);
    assert_eq!(
        upstream.header("sec-websocket-key"),
        ["AAAAAAAAAAAAAAAAAAAAAA=="]
    );

    let mut answer = [0; 12];
    for _ in 0..3 {
        socket.write_all(b"bytes ").await.unwrap();
        socket.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"bytes bytes ");
    }
    gateway.log_out(&user).await;
    let end = timeout(Duration::from_secs(10), socket.read(&mut answer)).await;
    assert_eq!(end.expect("it was closed").unwrap_or(0), 0);
}

#[tokio::test]
async fn a_websocket_without_a_token_is_refused() {
    let upstream = Upstream::start(TTL).await;
    let gateway = Gateway::start(&upstream.url(), &[]);
    for protocols in ["chat", "chat, bearer.nonsense"] {
        let head = head(&mut open(&gateway, protocols).await).await;
        assert!(head.starts_with("http/1.1 401 "), "{head}");
    }
    assert!(upstream.header("upgrade").is_empty());
}

async fn open(gateway: &Gateway, protocols: &str) -> TcpStream {
    let mut socket = TcpStream::connect(gateway.0.address()).await.unwrap();
    let head = format!(
        "GET /socket HTTP/1.1\r\nhost: gateway\r\nconnection: keep-alive, Upgrade\r\n\
         upgrade: websocket\r\nsec-websocket-version: 13\r\n\
         sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\nsec-websocket-protocol: {protocols}\r\n\r\n"
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    socket
}

/// In small letters.
async fn head(socket: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(socket.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap().to_lowercase()
}

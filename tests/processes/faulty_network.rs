//! A client process behind a proxy that fails, and one that ends while it refreshes.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use crate::clients::{Client, Counts};

/// What happens to one connection.
#[derive(Clone, Copy)]
enum Fault {
    /// The request is read and answered so, and never reaches the server.
    Answer(&'static str),
    /// The request is read, and the connection is reset.
    Reset,
    /// The server answers, and the answer takes a second to arrive.
    Late,
}

const UNAVAILABLE: Fault = Fault::Answer(
    "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
);
const PAGE: Fault = Fault::Answer(
    "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 14\r\nconnection: close\r\n\r\n<p>Starting<p>",
);

/// A proxy whose first connections fail one after the other. The later ones reach the server.
struct Proxy(SocketAddr);

impl Proxy {
    async fn start(server: SocketAddr, faults: &[Fault]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let faults = Arc::new(Mutex::new(VecDeque::from(faults.to_vec())));
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let fault = faults.lock().unwrap().pop_front();
                tokio::spawn(serve(connection, server, fault));
            }
        });
        Self(address)
    }

    fn refresh(&self) -> String {
        format!("http://{}/refresh", self.0)
    }
}

async fn serve(mut client: TcpStream, server: SocketAddr, fault: Option<Fault>) {
    let Some(fault) = fault else {
        let mut server = TcpStream::connect(server).await.unwrap();
        let _ = copy_bidirectional(&mut client, &mut server).await;
        return;
    };
    let request = read_request(&mut client).await;
    match fault {
        Fault::Answer(answer) => client.write_all(answer.as_bytes()).await.unwrap(),
        Fault::Reset => client.set_zero_linger().unwrap(),
        Fault::Late => {
            let mut server = TcpStream::connect(server).await.unwrap();
            server.write_all(&request).await.unwrap();
            let mut answer = vec![0; 64 * 1024];
            let read = server.read(&mut answer).await.unwrap();
            // The process that waits has a clock of its own.
            tokio::time::sleep(Duration::from_secs(1)).await;
            let _ = client.write_all(&answer[..read]).await;
        }
    }
}

/// A request whose body is one JSON object.
async fn read_request(client: &mut TcpStream) -> Vec<u8> {
    let mut request = Vec::new();
    while !request.ends_with(b"}") {
        assert_ne!(client.read_buf(&mut request).await.unwrap(), 0);
    }
    request
}

/// Law C23.
#[tokio::test]
async fn fifty_callers_see_nothing_of_a_503_a_reset_and_a_page_at_the_moment_of_expiry() {
    let client = Client::new().await;
    let faults = [UNAVAILABLE, Fault::Reset, PAGE];
    let proxy = Proxy::start(client.server(), &faults).await;
    client.let_expire();
    let requests = client.start_at(&proxy.refresh(), &["-n", "50", "-c", "50"]);
    let counts = Counts::of(requests).await;
    assert_eq!(counts.all(), [50, 0, 0], "{}", counts.0);
    assert_eq!(counts.get("refreshes"), 1);
}

/// Law C22: the server has rotated, and the answer is on its way when the first process has nothing left to do.
#[tokio::test]
async fn process_that_ends_during_an_early_refresh_leaves_a_living_session() {
    let client = Client::new().await;
    let proxy = Proxy::start(client.server(), &[Fault::Late]).await;
    let requests = ["--plain", "-n", "3", "-c", "1", "--every", "100ms"];
    let process = || Counts::of(client.start_at(&proxy.refresh(), &requests));
    client.let_age();
    let counts = process().await;
    assert_eq!(counts.all(), [3, 0, 0], "{}", counts.0);
    assert_eq!(client.generation(), 1, "of the file");
    client.let_expire();
    let counts = process().await;
    assert_eq!(counts.all(), [3, 0, 0], "{}", counts.0);
    assert_eq!(client.generation(), 2);
}

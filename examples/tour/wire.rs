use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// A wire between a client and the server that loses an answer on demand.
pub(crate) struct Wire {
    address: SocketAddr,
    loses_next: Arc<AtomicBool>,
}

impl Wire {
    pub(crate) async fn to(server: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let loses_next = Arc::new(AtomicBool::new(false));
        let loses = loses_next.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, server, loses.clone()));
            }
        });
        Ok(Self {
            address,
            loses_next,
        })
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Lets the next request through, and cuts the connection when its answer comes.
    pub(crate) fn lose_next_answer(&self) {
        self.loses_next.store(true, Ordering::SeqCst);
    }
}

async fn carry(client: TcpStream, server: SocketAddr, loses: Arc<AtomicBool>) -> io::Result<()> {
    let server = TcpStream::connect(server).await?;
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let forth =
        tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_server).await });
    let mut buffer = [0; 4096];
    loop {
        let len = from_server.read(&mut buffer).await?;
        if len == 0 || loses.swap(false, Ordering::SeqCst) {
            forth.abort();
            return Ok(());
        }
        to_client.write_all(&buffer[..len]).await?;
    }
}

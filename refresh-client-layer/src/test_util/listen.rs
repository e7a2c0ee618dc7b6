use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use tower_service::Service as _;

use super::TokenServer;

/// A [`TokenServer`] on a port of this machine, until it is dropped; its connections end with it.
#[derive(Debug)]
pub struct Listening {
    addr: SocketAddr,
    task: JoinHandle<()>,
}

impl TokenServer {
    /// Serves HTTP/1.1 on a free port of 127.0.0.1, in a task.
    ///
    /// # Errors
    ///
    /// If there is no port to be had.
    ///
    /// # Panics
    ///
    /// Outside of a Tokio runtime with I/O enabled.
    pub async fn listen(&self) -> io::Result<Listening> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        Ok(Listening {
            addr: listener.local_addr()?,
            task: tokio::spawn(accept(listener, self.clone())),
        })
    }
}

impl Listening {
    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The address of `path`.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, server: TokenServer) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let server = server.clone();
        let answer =
            service_fn(move |request: http::Request<Incoming>| server.clone().call(request));
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), answer);
        // A lost answer ends its connection with an error.
        connections.spawn(async move { drop(connection.await) });
        while connections.try_join_next().is_some() {}
    }
}

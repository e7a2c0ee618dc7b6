use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Forwards to a server as long as it is up.
pub(crate) struct Line {
    pub(crate) address: SocketAddr,
    up: watch::Sender<bool>,
}

impl Line {
    pub(crate) async fn to(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let up = watch::Sender::new(true);
        let (server, is_up) = (server.to_owned(), up.subscribe());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if *is_up.borrow() {
                    let server = TcpStream::connect(&server).await.unwrap();
                    tokio::spawn(forward(client, server, is_up.clone()));
                }
            }
        });
        Self { address, up }
    }

    pub(crate) fn cut(&self) {
        self.up.send_replace(false);
    }

    pub(crate) fn mend(&self) {
        self.up.send_replace(true);
    }
}

async fn forward(mut client: TcpStream, mut server: TcpStream, mut is_up: watch::Receiver<bool>) {
    tokio::select! {
        _ = tokio::io::copy_bidirectional(&mut client, &mut server) => {}
        _ = is_up.wait_for(|it| !it) => {}
    }
}

use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// An address that leads to a server, then to another one.
pub(crate) struct Detour {
    address: SocketAddr,
    port: watch::Sender<u16>,
    outages: watch::Sender<()>,
}

impl Detour {
    pub(crate) async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (port, outages) = (watch::Sender::new(port), watch::Sender::new(()));
        let (leads_to, outage) = (port.subscribe(), outages.clone());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(forward(client, *leads_to.borrow(), outage.subscribe()));
            }
        });
        Self {
            address,
            port,
            outages,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// For connections that are made from now on.
    pub(crate) fn lead_to(&self, port: u16) {
        self.port.send_replace(port);
    }

    /// Connections that are open now stay so and lead nowhere, as if a host were gone.
    pub(crate) fn swallow(&self) {
        self.outages.send_replace(());
    }
}

async fn forward(mut client: TcpStream, port: u16, mut outage: watch::Receiver<()>) {
    let mut server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    tokio::select! {
        _ = tokio::io::copy_bidirectional(&mut client, &mut server) => {}
        _ = outage.changed() => {
            let _ = tokio::io::copy(&mut client, &mut tokio::io::sink()).await;
        }
    }
}

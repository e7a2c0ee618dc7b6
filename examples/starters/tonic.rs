//! A tonic server whose service only who has an access token may call.
//! auth-layer with the feature `jwks`. The arguments are the issuer of the tokens and where to listen.

use auth_layer::{AuthLayer, Verifier};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic_health::server::health_reporter;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let issuer = arguments.next().unwrap_or("http://127.0.0.1:8080".into());
    let address = arguments.next().unwrap_or("127.0.0.1:50051".into());

    // Fetches the issuer's public keys, and keeps them fresh.
    let verifier = Verifier::builder()
        .discover(issuer)
        .audience("https://api.example") // tokens for somebody else are refused
        .build()?;

    // The standard health check stands for your service, which finds the caller in
    // `request.extensions().get::<auth_layer::Claims>()`.
    let (_, health) = health_reporter();

    let listener = TcpListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    Server::builder()
        .layer(AuthLayer::new(verifier))
        .add_service(health)
        .serve_with_incoming(TcpListenerStream::new(listener))
        .await?;
    Ok(())
}

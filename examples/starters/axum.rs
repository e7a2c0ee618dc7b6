//! An axum app with sign-in, refresh, sign-out and a protected route (features `axum`, `issue`).

use auth_layer::endpoint::{TokenEndpoints, token_response};
use auth_layer::issue::{Random as _, SystemRandom, TokenIssuer};
use auth_layer::store::MemoryStore;
use auth_layer::{Algorithm, AuthLayer, Claims, RefreshSecrets, SigningKey, SigningKeys};
use axum::{Json, Router, extract::State, http::StatusCode, response::IntoResponse, routing};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:8080".into());
    let listener = tokio::net::TcpListener::bind(address).await?;
    let mut secret = [0; 32]; // keys and sessions end with the program: the README has others
    SystemRandom::default().fill(&mut secret)?;
    let keys = SigningKeys::new(SigningKey::generate(Algorithm::EdDSA)?);
    let issuer = TokenIssuer::builder(keys, RefreshSecrets::new(&secret)?, MemoryStore::new())
        .issuer(format!("http://{}", listener.local_addr()?))
        .audience("https://api.example") // whom the access tokens are for
        .build()?;
    let me = async |claims: Claims| claims.subject().unwrap_or_default().to_owned();
    let app = Router::new()
        .route("/api/me", routing::get(me))
        .layer(AuthLayer::new(issuer.verifier())) // protects the routes above it
        .route("/login", routing::post(login))
        .with_state(issuer.clone())
        .fallback_service(TokenEndpoints::new(issuer)); // /refresh, /logout and so on
    println!("listening on {}", listener.local_addr()?);
    Ok(axum::serve(listener, app).await?)
}

async fn login(issuer: State<TokenIssuer>, user: Json<serde_json::Value>) -> impl IntoResponse {
    let name = user["username"].as_str().ok_or(StatusCode::UNAUTHORIZED)?;
    let sign_in = issuer.begin_sign_in(name).await; // before the check: the password may change
    if user["password"] != "wonderland" {
        return Err(StatusCode::UNAUTHORIZED); // ask your users here
    }
    let down = StatusCode::SERVICE_UNAVAILABLE;
    let pair = issuer.start(sign_in.or(Err(down))?).await;
    pair.map(|it| token_response(&it)).or(Err(down))
}

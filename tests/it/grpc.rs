//! The layer in front of a real tonic server, and what a real tonic client sees of it.

use auth_layer::clock::ManualClock;
use auth_layer::{Algorithm, AuthLayer, Claims, SigningKey, Timestamp, Verifier};
use axum::Router;
use axum::routing::get;
use serde_json::json;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Channel, Server};
use tonic::{Code, Request, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

const NOW: i64 = 1_800_000_000;

struct Setting {
    key: SigningKey,
    layer: AuthLayer<Verifier>,
}

impl Setting {
    fn new() -> Self {
        let key = SigningKey::generate(Algorithm::EdDSA).unwrap();
        let verifier = Verifier::builder()
            .key(key.verifying())
            .issuer("https://auth.example")
            .audience("https://api.example")
            .clock(ManualClock::at(Timestamp::from_secs(NOW)))
            .build()
            .unwrap();
        Self {
            key,
            layer: AuthLayer::new(verifier),
        }
    }

    fn token(&self, exp: i64) -> String {
        let claims = json!({
            "iss": "https://auth.example", "aud": "https://api.example", "sub": "alice", "exp": exp,
        });
        self.key.sign(&claims).unwrap()
    }

    /// The address of a health service behind the layer.
    async fn serve_grpc(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (reporter, service) = tonic_health::server::health_reporter();
        reporter
            .set_service_status("shop", tonic_health::ServingStatus::Serving)
            .await;
        let server = Server::builder()
            .layer(self.layer.clone())
            .add_service(service);
        tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        format!("http://{address}")
    }

    async fn serve_http(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let me = async |claims: Claims| claims.subject().unwrap_or_default().to_owned();
        let app = Router::new()
            .route("/me", get(me))
            .layer(self.layer.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        format!("http://{address}/me")
    }
}

async fn check(channel: &Channel, token: Option<String>) -> Result<i32, Status> {
    let mut request = Request::new(HealthCheckRequest {
        service: "shop".to_owned(),
    });
    if let Some(token) = token {
        let bearer = format!("Bearer {token}").parse().unwrap();
        request.metadata_mut().insert("authorization", bearer);
    }
    let answer = HealthClient::new(channel.clone()).check(request).await;
    answer.map(|it| it.into_inner().status)
}

/// P1, P2.
#[tokio::test]
async fn a_tonic_client_sees_a_status_with_a_message_and_no_transport_error() {
    let setting = Setting::new();
    let url = setting.serve_grpc().await;
    let channel = Channel::from_shared(url).unwrap().connect().await.unwrap();
    for (token, message) in [
        (None, "No access token was sent"),
        (Some(setting.token(NOW)), "The access token expired"),
        (Some("x".to_owned()), "The access token is malformed"),
    ] {
        let status = check(&channel, token).await.unwrap_err();
        assert_eq!(
            (status.code(), status.message()),
            (Code::Unauthenticated, message)
        );
    }
    assert_eq!(
        check(&channel, Some(setting.token(NOW + 1))).await.unwrap(),
        1,
        "SERVING"
    );
}

/// P2.
#[tokio::test]
async fn a_stream_that_is_let_in_streams() {
    let setting = Setting::new();
    let url = setting.serve_grpc().await;
    let channel = Channel::from_shared(url).unwrap().connect().await.unwrap();
    let mut request = Request::new(HealthCheckRequest {
        service: "shop".to_owned(),
    });
    let bearer = format!("Bearer {}", setting.token(NOW + 1))
        .parse()
        .unwrap();
    request.metadata_mut().insert("authorization", bearer);
    let mut updates = HealthClient::new(channel)
        .watch(request)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        updates.message().await.unwrap().unwrap().status,
        1,
        "SERVING"
    );
}

/// P1.
#[tokio::test]
async fn the_same_layer_in_front_of_axum_answers_in_json() {
    let setting = Setting::new();
    let url = setting.serve_http().await;
    let refused = reqwest::get(&url).await.unwrap();
    assert_eq!(refused.status(), 401);
    let body: serde_json::Value = refused.json().await.unwrap();
    assert_eq!(body["error_description"], "No access token was sent");
    let request = reqwest::Client::new()
        .get(&url)
        .bearer_auth(setting.token(NOW + 1));
    assert_eq!(request.send().await.unwrap().text().await.unwrap(), "alice");
}

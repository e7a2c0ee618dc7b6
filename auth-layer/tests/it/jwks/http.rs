//! The built-in client, against servers on this machine.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use auth_layer::keys::RemoteKeys;
use auth_layer::keys::remote::RemoteKeysErrorKind as Kind;
use axum::Router;
use axum::body::Body;
use axum::response::Redirect;
use axum::routing::get;
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, Response, StatusCode};
use serde_json::json;
use tokio::net::TcpListener;

use crate::support::jwks::{Key, ask, builder, verifier};

async fn serve(app: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

fn document() -> String {
    json!({ "keys": [Key::new(1).jwk("k")] }).to_string()
}

async fn kind(keys: &RemoteKeys) -> Kind {
    keys.ready().await.unwrap_err().kind()
}

#[tokio::test]
async fn keys_come_over_http() {
    let app = Router::new().route("/jwks", get(async || document()));
    let address = serve(app).await;
    for host in [address.to_string(), format!("localhost:{}", address.port())] {
        let keys = RemoteKeys::new(format!("http://{host}/jwks"));
        let verifier = verifier(&keys);
        assert_eq!(ask(&verifier, &Key::new(1).token("k")).await, Ok(()));
        assert_eq!(keys.status().keys(), 1);
    }
}

#[tokio::test]
async fn an_issuer_is_discovered_over_http() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let issuer = format!("http://{}", listener.local_addr().unwrap());
    let metadata = json!({ "issuer": issuer, "jwks_uri": format!("{issuer}/jwks") }).to_string();
    let app = Router::new()
        .route(
            "/.well-known/oauth-authorization-server",
            get(async || metadata),
        )
        .route("/jwks", get(async || document()));
    tokio::spawn(async move { axum::serve(listener, app).await });
    let verifier = auth_layer::Verifier::builder()
        .discover(&issuer)
        .audience("https://api.example")
        .clock(auth_layer::clock::ManualClock::at(
            auth_layer::Timestamp::from_secs(crate::support::jwks::NOW),
        ))
        .build()
        .unwrap();
    let token = Key::new(1).sign(
        json!({ "alg": "EdDSA", "kid": "k" }),
        json!({ "iss": issuer }),
    );
    assert_eq!(ask(&verifier, &token).await, Ok(()));
    let other = builder()
        .keys(RemoteKeys::discover(format!("{issuer}/")))
        .build();
    assert!(ask(&other.unwrap(), &Key::new(1).token("k")).await.is_err());
}

/// V3.
#[tokio::test]
async fn a_body_of_ten_megabytes_is_not_read_to_its_end() {
    let sized = async || " ".repeat(10_000_000);
    let sent = Arc::new(AtomicUsize::new(0));
    let counter = sent.clone();
    let endless = async || {
        let chunk = Bytes::from_static(&[b' '; 8_192]);
        Body::from_stream(stream::repeat_with(move || {
            counter.fetch_add(chunk.len(), Ordering::Relaxed);
            Ok::<_, Infallible>(chunk.clone())
        }))
    };
    let app = Router::new()
        .route("/sized", get(sized))
        .route("/endless", get(endless));
    let address = serve(app).await;
    for path in ["sized", "endless"] {
        let keys = RemoteKeys::new(format!("http://{address}/{path}"));
        assert_eq!(kind(&keys).await, Kind::TooLarge, "{path}");
    }
    // What the sockets hold may have been sent.
    assert!(sent.load(Ordering::Relaxed) < 50_000_000);
}

/// V3.
#[tokio::test]
async fn a_redirect_is_not_followed_and_no_coding_is_asked_for() {
    let coded = async |headers: HeaderMap| {
        assert_eq!(headers["accept-encoding"], "identity");
        Response::builder()
            .header("content-encoding", "gzip")
            .body(Body::from(document()))
            .unwrap()
    };
    let app = Router::new()
        .route("/jwks", get(async || document()))
        .route("/moved", get(async || Redirect::permanent("/jwks")))
        .route("/coded", get(coded))
        .route("/broken", get(async || StatusCode::BAD_GATEWAY));
    let address = serve(app).await;
    for (path, expected) in [
        ("moved", Kind::Redirected),
        ("coded", Kind::Encoded),
        ("broken", Kind::Status(StatusCode::BAD_GATEWAY)),
        ("absent", Kind::Status(StatusCode::NOT_FOUND)),
    ] {
        let keys = RemoteKeys::new(format!("http://{address}/{path}"));
        assert_eq!(kind(&keys).await, expected, "{path}");
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_or_speaks_no_tls_is_unreachable() {
    let address = serve(Router::new()).await;
    let nobody = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    for url in [
        format!("https://{address}/jwks"),
        format!("http://{nobody}/jwks"),
    ] {
        let error = RemoteKeys::new(&url).ready().await.unwrap_err();
        assert_eq!(error.kind(), Kind::Unreachable, "{url}");
        assert!(std::error::Error::source(&error).is_some());
    }
}

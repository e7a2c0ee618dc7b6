use std::time::Duration;

use auth_layer::SessionId;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::interval;

use super::Gateway;
use super::upstream::Upstream;

const TTL: Duration = Duration::from_secs(600);

#[tokio::test]
async fn sigterm_lets_a_download_end() {
    let upstream = Upstream::start(TTL).await;
    let gateway = Gateway::start(&upstream.url(), &[]);
    let user = gateway.sign_in("alice").await;
    let mut download = gateway.get("/halves", &user).await;
    let begun = download.chunk().await.unwrap().unwrap();
    assert_eq!(begun, "one half, ");
    gateway.0.terminate();
    let mut pace = interval(Duration::from_millis(10));
    while TcpStream::connect(gateway.0.address()).await.is_ok() {
        pace.tick().await;
    }
    upstream.go_on();
    assert_eq!(download.text().await.unwrap(), "and the other");
    assert!(gateway.ended().success());
}

#[tokio::test]
async fn a_download_that_never_ends_is_cut_off_in_the_end() {
    let upstream = Upstream::start(TTL).await;
    let gateway = Gateway::start(&upstream.url(), &["--drain", "100ms"]);
    let user = gateway.sign_in("alice").await;
    let mut download = gateway.get("/halves", &user).await;
    download.chunk().await.unwrap().unwrap();
    gateway.0.terminate();
    assert!(gateway.ended().success());
    assert!(download.chunk().await.is_err());
}

/// A session that the upstream has ended is over here, too.
#[tokio::test]
async fn what_the_upstream_ends_is_over_at_the_gateway() {
    let upstream = Upstream::start(TTL).await;
    let gateway = Gateway::start(&upstream.url(), &["--metrics"]);
    let user = gateway.sign_in("alice").await;
    assert_eq!(gateway.status("/me", &user).await, 200);
    assert_eq!(upstream.issuer.revoke_all("alice").await.unwrap(), 1);
    assert_eq!(gateway.status("/me", &user).await, 401);
    let mut pace = interval(Duration::from_millis(10));
    while gateway.refresh(&user).await != 401 {
        pace.tick().await;
    }
    let metrics = gateway.get("/metrics", &user).await.text().await.unwrap();
    for line in [
        r#"refresh_client_refreshes_total{outcome="refused"} 1"#,
        r#"auth_layer_sessions_total{event="revoked"} 1"#,
    ] {
        assert!(metrics.contains(line), "{metrics}");
    }
    assert_eq!(
        gateway.get("/healthz", &user).await.text().await.unwrap(),
        "ok"
    );
}

#[tokio::test]
async fn a_device_that_is_revoked_is_signed_out_at_the_upstream() {
    let upstream = Upstream::start(TTL).await;
    let gateway = Gateway::start(&upstream.url(), &[]);
    let (here, there) = (
        gateway.sign_in("alice").await,
        gateway.sign_in("alice").await,
    );
    let devices: Vec<Value> = gateway.get("/sessions", &here).await.json().await.unwrap();
    let other = devices.iter().find(|it| it["current"] == false).unwrap();
    let sid: SessionId = other["sid"].as_str().unwrap().parse().unwrap();
    let revoke = reqwest::Client::new().delete(gateway.0.url(&format!("/sessions/{sid}")));
    let revoke = revoke.bearer_auth(&here.access).send().await.unwrap();
    assert_eq!(revoke.status(), 204);
    assert_eq!(upstream.issuer.list("alice").await.unwrap().len(), 1);
    assert_eq!(gateway.status("/me", &there).await, 401);
    assert_eq!(gateway.status("/me", &here).await, 200);
}

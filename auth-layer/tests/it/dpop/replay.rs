//! Used proofs: stores that say no, stores that take their time, and the service contract meanwhile.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use auth_layer::protect::proof::{Freshness, MemoryReplays, ProofUse, ReplayCheck, ReplayStore};
use auth_layer::{Claims, Timestamp};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use serde_json::json;
use tower::{Layer as _, Service, ServiceBuilder, ServiceExt as _, service_fn};

use crate::support::dpop::{Client, NOW, Setting, call, label, proved};

/// Asks another store, but only when polled a second time, as one behind a network would.
#[derive(Clone, Debug, Default)]
struct Slow(MemoryReplays);

impl ReplayStore for Slow {
    fn remember(&self, proof: ProofUse) -> ReplayCheck {
        let store = self.0.clone();
        ReplayCheck::pending(async move {
            tokio::task::yield_now().await;
            store.remember(proof).await
        })
    }
}

/// Always says the same.
#[derive(Debug)]
struct Saying(Freshness);

impl ReplayStore for Saying {
    fn remember(&self, _: ProofUse) -> ReplayCheck {
        ReplayCheck::ready(self.0)
    }
}

#[tokio::test]
async fn a_proof_is_good_for_one_request_only() {
    let setting = Setting::new();
    let slow = setting.dpop().replays(Slow::default());
    for layer in [setting.dpop_layer(), setting.layer().dpop(slow)] {
        let token = setting.bound_token();
        let proof = setting.client.proof(&token).sign();
        assert_eq!(label(&layer, proved(&token, &proof)).await, "passed");
        assert_eq!(
            label(&layer, proved(&token, &proof)).await,
            "proof_replayed"
        );
        let same_jti = setting.client.proof(&token).claim("jti", "a");
        assert_eq!(
            label(&layer, proved(&token, &same_jti.sign())).await,
            "passed"
        );
        let same_jti = same_jti.claim("iat", NOW - 1).sign();
        assert_eq!(
            label(&layer, proved(&token, &same_jti)).await,
            "proof_replayed"
        );
        assert_eq!(label(&layer, setting.request()).await, "passed");
    }
}

#[tokio::test]
async fn a_proof_that_was_refused_is_not_used_up() {
    let setting = Setting::new();
    let layer = setting.dpop_layer();
    let token = setting.bound_token();
    let proof = setting.client.proof(&token).sign();
    let elsewhere = proved(&token, &proof).uri("https://api.example/things/2");
    assert_eq!(label(&layer, elsewhere).await, "proof_wrong_uri");
    assert_eq!(label(&layer, proved(&token, &proof)).await, "passed");
}

#[tokio::test]
async fn a_replay_is_refused_up_to_the_end_of_the_proof_and_beyond() {
    let setting = Setting::new();
    let layer = setting.dpop_layer();
    let token = setting.bound_token();
    let proof = setting.client.proof(&token).claim("iat", NOW + 5).sign();
    assert_eq!(label(&layer, proved(&token, &proof)).await, "passed");
    for (secs, expected) in [
        (65, "proof_replayed"),
        (66, "proof_too_old"),
        (64, "proof_replayed"),
    ] {
        setting.clock.set(Timestamp::from_secs(NOW + secs));
        // Others make the store tidy up.
        let fresh = setting.client.proof(&token).claim("iat", NOW + secs).sign();
        assert_eq!(label(&layer, proved(&token, &fresh)).await, "passed");
        assert_eq!(
            label(&layer, proved(&token, &proof)).await,
            expected,
            "{secs}"
        );
    }
}

/// P1.
#[tokio::test]
async fn a_store_that_cannot_remember_lets_nothing_through() {
    let setting = Setting::new();
    for (freshness, status, grpc, expected) in [
        (Freshness::Replayed, 401, "16", "proof_replayed"),
        (Freshness::OverQuota, 429, "8", "too_many_proofs"),
        (Freshness::Unknown, 503, "14", "replays_unavailable"),
    ] {
        let layer = setting
            .layer()
            .dpop(setting.dpop().replays(Saying(freshness)));
        assert_eq!(label(&layer, setting.request()).await, expected);
        let response = call(&layer, setting.request()).await;
        assert_eq!(response.status().as_u16(), status);
        let says_when = response.headers().contains_key("retry-after");
        let asks_for_another = response.headers().contains_key("www-authenticate");
        assert_eq!(
            (says_when, asks_for_another),
            (status != 401, status == 401)
        );
        let over_grpc = setting.request().header("content-type", "application/grpc");
        assert_eq!(call(&layer, over_grpc).await.headers()["grpc-status"], grpc);
    }
}

#[tokio::test]
async fn one_client_cannot_keep_the_others_out() {
    let setting = Setting::new();
    let dpop = setting.dpop().replays(MemoryReplays::bounded(10, 3));
    let layer = setting.layer().dpop(dpop);
    for _ in 0..3 {
        assert_eq!(label(&layer, setting.request()).await, "passed");
    }
    assert_eq!(label(&layer, setting.request()).await, "too_many_proofs");
    let other = Client::new();
    let token = setting.token(json!({ "jkt": other.jkt() }));
    let of_other = proved(&token, &other.proof(&token).sign());
    assert_eq!(label(&layer, of_other).await, "passed");
    setting.clock.advance(Duration::from_secs(66));
    let later = setting
        .client
        .proof(&setting.bound_token())
        .claim("iat", NOW + 66);
    let later = proved(&setting.bound_token(), &later.sign());
    assert_eq!(label(&layer, later).await, "passed");
}

/// Panics when it is called without having been made ready, as tonic's channel does.
#[derive(Debug, Default)]
struct Strict {
    ready: bool,
}

impl Clone for Strict {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl Service<Request<()>> for Strict {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        assert!(std::mem::take(&mut self.ready), "called unready");
        let claims = request.extensions().get::<Claims>();
        assert!(claims.is_some(), "called without claims");
        ready(Ok(Response::new(Full::from("inner"))))
    }
}

/// P2.
#[tokio::test]
async fn the_service_that_is_called_after_the_wait_is_the_one_that_was_made_ready() {
    let setting = Setting::new();
    let dpop = setting.dpop().replays(Slow::default());
    let mut service = setting.layer().dpop(dpop).layer(Strict::default());
    for _ in 0..3 {
        let good = setting.request().body(()).unwrap();
        let again = setting.request().body(()).unwrap();
        let proof = good.headers()["dpop"].clone();
        let good = service.ready().await.unwrap().call(good).await.unwrap();
        assert_eq!(good.status(), 200);
        let (mut head, ()) = again.into_parts();
        head.headers.insert("dpop", proof);
        let again = Request::from_parts(head, ());
        let again = service.ready().await.unwrap().call(again).await.unwrap();
        assert_eq!(again.status(), 401);
    }
}

/// P2.
#[tokio::test]
async fn of_many_requests_with_one_proof_behind_a_limit_of_one_a_single_one_arrives() {
    static ARRIVED: AtomicUsize = AtomicUsize::new(0);
    let setting = Setting::new();
    let inner = service_fn(async |_: Request<()>| {
        ARRIVED.fetch_add(1, Ordering::SeqCst);
        tokio::task::yield_now().await;
        Ok::<_, Infallible>(Response::new(Full::new(Bytes::new())))
    });
    let service = ServiceBuilder::new()
        .layer(
            setting
                .layer()
                .dpop(setting.dpop().replays(Slow::default())),
        )
        .concurrency_limit(1)
        .service(inner);
    let token = setting.bound_token();
    let proof = setting.client.proof(&token).sign();
    let calls = (0..20).map(|_| {
        let request = proved(&token, &proof).body(()).unwrap();
        tokio::spawn(service.clone().oneshot(request))
    });
    let mut statuses = Vec::new();
    for call in calls.collect::<Vec<_>>() {
        statuses.push(call.await.unwrap().unwrap().status().as_u16());
    }
    statuses.sort_unstable();
    assert_eq!(statuses[..2], [200, 401]);
    assert_eq!(ARRIVED.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_store_hears_the_key_the_times_and_a_name_of_32_bytes() {
    #[derive(Clone, Debug, Default)]
    struct Listening(std::sync::Arc<std::sync::Mutex<Vec<ProofUse>>>);

    impl ReplayStore for Listening {
        fn remember(&self, proof: ProofUse) -> ReplayCheck {
            self.0.lock().unwrap().push(proof);
            ReplayCheck::ready(Freshness::Fresh)
        }
    }

    let setting = Setting::new();
    let heard = Listening::default();
    let layer = setting.layer().dpop(setting.dpop().replays(heard.clone()));
    let token = setting.bound_token();
    for jti in ["a", "a", "b"] {
        let proof = setting
            .client
            .proof(&token)
            .claim("jti", jti)
            .claim("iat", NOW - 10);
        assert_eq!(label(&layer, proved(&token, &proof.sign())).await, "passed");
    }
    let heard = heard.0.lock().unwrap();
    assert_eq!(heard[0], heard[1]);
    assert_ne!(heard[0].id(), heard[2].id());
    assert_eq!(heard[0].key().to_string(), setting.client.jkt());
    assert_eq!(heard[0].now(), Timestamp::from_secs(NOW));
    assert_eq!(heard[0].until(), Timestamp::from_secs(NOW - 10 + 60 + 5));
}

//! What requests see of keys over HTTP, in paused time.

use std::convert::Infallible;
use std::time::Duration;

use auth_layer::keys::KeyErrorKind;
use auth_layer::verify::VerifyErrorKind::{BadSignature, KeysUnavailable, UnknownKey};
use auth_layer::{AuthLayer, Verifier};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Empty;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tower::{Layer as _, ServiceExt as _, service_fn};

use crate::support::jwks::{Key, KeyServer, Mood, ask, at_once, pass, verifier};

async fn response(verifier: &Verifier, token: &str, content_type: &str) -> Response<()> {
    let inner = service_fn(async |_: Request<Empty<Bytes>>| {
        Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
    });
    let request = Request::get("/")
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", content_type)
        .body(Empty::new())
        .unwrap();
    let service = AuthLayer::new(verifier.clone()).layer(inner);
    service.oneshot(request).await.unwrap().map(drop)
}

/// V3.
#[tokio::test(start_paused = true)]
async fn odd_keys_neither_spoil_a_set_nor_are_used_for_what_they_are_not() {
    let [silent, nameless, twin, other_twin, secret_keeper] = [1, 2, 3, 4, 5].map(Key::new);
    let without = |mut jwk: Value, member: &str| {
        jwk.as_object_mut().unwrap().remove(member);
        jwk
    };
    let with = |mut jwk: Value, member: &str, value: &str| {
        jwk[member] = value.into();
        jwk
    };
    let server = KeyServer::with(&[
        json!({ "kty": "ML-DSA", "kid": "unknown kty", "pub": "AA" }),
        without(silent.jwk("no alg"), "alg"),
        without(nameless.jwk(""), "kid"),
        twin.jwk("twin"),
        other_twin.jwk("twin"),
        with(secret_keeper.jwk("enc"), "use", "enc"),
        json!("no object"),
    ]);
    let keys = server.keys();
    keys.ready().await.unwrap();
    let verifier = verifier(&keys);
    for token in [
        silent.token("no alg"),
        nameless.token("a name that no key has"),
        nameless.sign(json!({ "alg": "EdDSA" }), json!({})),
        silent.sign(json!({ "alg": "EdDSA" }), json!({})),
        twin.token("twin"),
        other_twin.token("twin"),
    ] {
        assert_eq!(at_once(&verifier, &token), Some(Ok(())));
    }
    for token in [secret_keeper.token("enc"), nameless.token("twin")] {
        assert_eq!(ask(&verifier, &token).await, Err(BadSignature));
    }
    let status = keys.status();
    assert_eq!(status.keys(), 4);
    let skipped: Vec<_> = status
        .skipped()
        .iter()
        .map(|it| (it.kid(), it.error().kind()))
        .collect();
    assert_eq!(
        skipped,
        [
            (Some("unknown kty"), KeyErrorKind::Unsupported),
            (Some("enc"), KeyErrorKind::NotForVerifying),
            (None, KeyErrorKind::Malformed),
        ]
    );
}

/// V3.
#[tokio::test(start_paused = true)]
async fn a_slow_key_server_holds_up_nobody_whose_key_is_held() {
    let [held, new] = [1, 2].map(Key::new);
    let server = KeyServer::with(&[held.jwk("held")]);
    let keys = server.keys();
    keys.ready().await.unwrap();
    let verifier = verifier(&keys);
    server.takes(Duration::from_secs(3));
    server.publish(&[held.jwk("held"), new.jwk("new")]);

    let waiting = tokio::spawn({
        let (verifier, token) = (verifier.clone(), new.token("new"));
        async move { ask(&verifier, &token).await }
    });
    pass(1).await;
    assert_eq!(server.fetches(), 2, "the fetch is under way");
    for _ in 0..2 {
        assert_eq!(at_once(&verifier, &held.token("held")), Some(Ok(())));
    }
    let start = Instant::now();
    assert_eq!(waiting.await.unwrap(), Ok(()));
    assert_eq!(
        start.elapsed().as_secs(),
        2,
        "and its own waiter gets what it waited for"
    );
}

/// V3.
#[tokio::test(start_paused = true)]
async fn a_server_that_is_down_is_noticed_only_when_its_keys_are_a_day_old() {
    let key = Key::new(1);
    let server = KeyServer::with(&[key.jwk("k")]);
    let keys = server.keys();
    keys.ready().await.unwrap();
    let verifier = verifier(&keys);
    server.is(Mood::Down);
    let token = key.token("k");

    pass(86_300).await;
    assert!(server.fetches() > 2_000, "it was tried again and again");
    assert!(keys.status().last_error().is_some());
    assert_eq!(response(&verifier, &token, "").await.status(), 200);

    pass(101).await;
    let refusal = response(&verifier, &token, "").await;
    assert_eq!(refusal.status(), 503);
    assert!(refusal.headers().contains_key("retry-after"));
    assert!(!refusal.headers().contains_key("www-authenticate"));
    let grpc = response(&verifier, &token, "application/grpc").await;
    assert_eq!(grpc.headers()["grpc-status"], "14");
    assert_eq!(
        at_once(&verifier, &token),
        Some(Err(KeysUnavailable)),
        "at once"
    );
    assert!(!keys.status().is_ready());
    assert_eq!(keys.status().age(), None);

    server.is(Mood::Up);
    pass(30).await;
    assert_eq!(
        response(&verifier, &token, "").await.status(),
        200,
        "it comes back by itself"
    );
}

/// V3.
#[tokio::test(start_paused = true)]
async fn a_key_rotated_a_moment_after_a_refresh_is_accepted_on_the_very_next_request() {
    let [old, new] = [1, 2].map(Key::new);
    let server = KeyServer::with(&[old.jwk("old")]);
    let keys = server.keys();
    keys.ready().await.unwrap();
    let verifier = verifier(&keys);
    let before = server.fetches();
    while server.fetches() == before {
        pass(1).await;
    }
    server.publish(&[old.jwk("old"), new.jwk("new")]);
    pass(1).await;
    assert_eq!(ask(&verifier, &new.token("new")).await, Ok(()));
    assert_eq!(server.fetches(), before + 2);
}

/// V3.
#[tokio::test(start_paused = true)]
async fn a_remembered_token_dies_with_its_key() {
    let [leaked, other] = [1, 2].map(Key::new);
    let server = KeyServer::with(&[leaked.jwk("leaked"), other.jwk("other")]);
    let keys = server.keys();
    keys.ready().await.unwrap();
    let verifier = verifier(&keys);
    let token = leaked.token("leaked");
    for _ in 0..2 {
        assert_eq!(at_once(&verifier, &token), Some(Ok(())));
    }
    server.publish(&[other.jwk("other")]);
    pass(3_600).await;
    assert_eq!(ask(&verifier, &token).await, Err(UnknownKey));
    assert_eq!(at_once(&verifier, &other.token("other")), Some(Ok(())));
}

/// V3.
#[tokio::test(start_paused = true)]
async fn a_kid_with_new_material_is_looked_up() {
    let [old, new] = [1, 2].map(Key::new);
    let server = KeyServer::with(&[old.jwk("k")]);
    let keys = server.keys();
    keys.ready().await.unwrap();
    let verifier = verifier(&keys);
    assert_eq!(ask(&verifier, &old.token("k")).await, Ok(()));
    server.publish(&[new.jwk("k")]);
    assert_eq!(ask(&verifier, &new.token("k")).await, Ok(()));
    assert_eq!(ask(&verifier, &old.token("k")).await, Err(BadSignature));
    assert_eq!(server.fetches(), 2);
}

#[tokio::test(start_paused = true)]
async fn requests_before_the_first_fetch_wait_for_it_together() {
    let key = Key::new(1);
    let server = KeyServer::with(&[key.jwk("k")]);
    server.takes(Duration::from_secs(3));
    let verifier = verifier(&server.keys());
    let mut requests = JoinSet::new();
    for _ in 0..100 {
        let (verifier, token) = (verifier.clone(), key.token("k"));
        requests.spawn(async move { ask(&verifier, &token).await });
    }
    let start = Instant::now();
    assert_eq!(requests.join_all().await, [Ok(()); 100]);
    assert_eq!((start.elapsed().as_secs(), server.fetches()), (3, 1));
}

#[tokio::test(start_paused = true)]
async fn while_nobody_can_tell_an_unknown_key_is_503_and_not_401() {
    let [held, new] = [1, 2].map(Key::new);
    let server = KeyServer::with(&[held.jwk("held")]);
    let keys = server.keys();
    keys.ready().await.unwrap();
    let verifier = verifier(&keys);
    server.is(Mood::Down);
    for _ in 0..2 {
        assert_eq!(
            response(&verifier, &new.token("new"), "").await.status(),
            503
        );
        assert_eq!(
            response(&verifier, &held.token("held"), "").await.status(),
            200
        );
    }
    server.is(Mood::Up);
    pass(2).await;
    assert_eq!(
        response(&verifier, &new.token("stranger"), "")
            .await
            .status(),
        401
    );
    server.publish(&[new.jwk("new")]);
    pass(8).await;
    assert_eq!(
        response(&verifier, &new.token("new"), "").await.status(),
        200
    );
}

//! Tokens whose key is not held, in paused time: what they may cause, and for whom.

use std::time::Duration;

use auth_layer::verify::VerifyErrorKind::{BadSignature, KeysUnavailable, UnknownKey};
use serde_json::json;
use tokio::task::JoinSet;

use crate::support::jwks::{Key, KeyServer, Mood, ask, at_once, pass, verifier};

/// V3.
#[tokio::test(start_paused = true)]
async fn ten_thousand_random_kids_are_at_most_five_fetches() {
    let [ours, theirs] = [1, 2].map(Key::new);
    let server = KeyServer::with(&[ours.jwk("k")]);
    server.takes(Duration::from_millis(100));
    let keys = server.keys();
    keys.ready().await.unwrap();
    let verifier = verifier(&keys);
    let mut requests = JoinSet::new();
    for number in 0..10_000_u32 {
        let (verifier, token) = (verifier.clone(), theirs.token(&format!("random {number}")));
        requests.spawn(async move {
            tokio::time::sleep(Duration::from_millis(number.into())).await;
            ask(&verifier, &token).await
        });
    }
    for answer in requests.join_all().await {
        assert_eq!(answer, Err(UnknownKey));
    }
    assert!(server.fetches() <= 5, "{} fetches", server.fetches());
    assert!(server.fetches() > 1);
}

/// V3.
#[tokio::test(start_paused = true)]
async fn ten_thousand_random_kids_at_once_are_at_most_five_fetches() {
    let [ours, theirs] = [1, 2].map(Key::new);
    let server = KeyServer::with(&[ours.jwk("k")]);
    server.takes(Duration::from_secs(9));
    let verifier = verifier(&server.keys());
    let mut requests = JoinSet::new();
    for number in 0..10_000 {
        let (verifier, token) = (verifier.clone(), theirs.token(&format!("random {number}")));
        requests.spawn(async move { ask(&verifier, &token).await });
    }
    for answer in requests.join_all().await {
        assert_eq!(answer, Err(UnknownKey));
    }
    assert!(server.fetches() <= 5, "{} fetches", server.fetches());
}

/// V3.
#[tokio::test(start_paused = true)]
async fn forged_signatures_under_a_known_kid_are_few_fetches_too() {
    let [ours, theirs] = [1, 2].map(Key::new);
    let server = KeyServer::with(&[ours.jwk("k")]);
    let keys = server.keys();
    keys.ready().await.unwrap();
    let verifier = verifier(&keys);
    for number in 0..1_000 {
        let header = json!({ "alg": "EdDSA", "kid": "k" });
        let forged = theirs.sign(header, json!({ "jti": number.to_string() }));
        assert_eq!(ask(&verifier, &forged).await, Err(BadSignature));
        assert_eq!(at_once(&verifier, &ours.token("k")), Some(Ok(())));
    }
    assert_eq!(server.fetches(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_given_up_takes_the_fetch_from_nobody() {
    let [held, new] = [1, 2].map(Key::new);
    let server = KeyServer::with(&[held.jwk("held")]);
    let keys = server.keys();
    keys.ready().await.unwrap();
    let verifier = verifier(&keys);
    server.takes(Duration::from_secs(3));
    server.publish(&[new.jwk("new")]);
    let token = new.token("new");
    let given_up = tokio::time::timeout(Duration::from_secs(1), ask(&verifier, &token));
    let (given_up, served) = tokio::join!(given_up, ask(&verifier, &token));
    assert!(given_up.is_err());
    assert_eq!(served, Ok(()));
    assert_eq!(server.fetches(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_comes_during_a_fetch_that_misses_its_key_gets_one_of_its_own() {
    let [held, new] = [1, 2].map(Key::new);
    let server = KeyServer::with(&[held.jwk("held")]);
    let keys = server.keys();
    keys.ready().await.unwrap();
    let verifier = verifier(&keys);
    server.takes(Duration::from_secs(6));
    let stranger = tokio::spawn({
        let (verifier, token) = (verifier.clone(), new.token("stranger"));
        async move { ask(&verifier, &token).await }
    });
    pass(1).await;
    server.publish(&[held.jwk("held"), new.jwk("new")]);
    assert_eq!(ask(&verifier, &new.token("new")).await, Ok(()));
    assert_eq!(stranger.await.unwrap(), Err(UnknownKey));
    assert_eq!(server.fetches(), 3);
}

#[tokio::test(start_paused = true)]
async fn what_no_key_could_help_is_refused_without_a_fetch() {
    let key = Key::new(1);
    let server = KeyServer::with(&[key.jwk("k")]);
    let keys = server.keys();
    keys.ready().await.unwrap();
    let verifier = verifier(&keys);
    for token in [
        "x".to_owned(),
        key.sign(json!({ "alg": "none", "kid": "new" }), json!({})),
        key.sign(
            json!({ "alg": "EdDSA", "kid": "new", "crit": ["x"] }),
            json!({}),
        ),
        key.sign(json!({ "alg": "EdDSA", "kid": "k" }), json!({ "exp": 1 })),
        key.sign(json!({ "alg": "EdDSA", "kid": "k" }), json!({ "aud": "x" })),
    ] {
        assert!(at_once(&verifier, &token).unwrap().is_err());
    }
    assert_eq!(server.fetches(), 1);
}

/// V3: newer keys may have other material under the same name, or none at all.
#[tokio::test(start_paused = true)]
async fn bad_signature_while_the_newest_fetch_failed_is_unavailable() {
    let [held, new] = [1, 2].map(Key::new);
    let mut nameless = held.jwk("");
    nameless.as_object_mut().unwrap().remove("kid");
    let server = KeyServer::with(&[nameless, held.jwk("k")]);
    let keys = server.keys();
    keys.ready().await.unwrap();
    let verifier = verifier(&keys);
    server.is(Mood::Down);
    let nameless = new.sign(json!({ "alg": "EdDSA" }), json!({}));
    for token in [&nameless, &new.token("k"), &new.token("other")] {
        for _ in 0..2 {
            assert_eq!(ask(&verifier, token).await, Err(KeysUnavailable));
        }
    }
    assert_eq!(at_once(&verifier, &held.token("k")), Some(Ok(())));
    server.is(Mood::Up);
    pass(60).await;
    assert_eq!(ask(&verifier, &nameless).await, Err(BadSignature));
}

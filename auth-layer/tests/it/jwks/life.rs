//! When keys are fetched, and on what.

use std::time::Duration;

use auth_layer::keys::RemoteKeys;
use auth_layer::keys::remote::RemoteKeysErrorKind as Kind;
use auth_layer::verify::VerifierConfigError;
use auth_layer::verify::VerifyErrorKind::{KeysUnavailable, UnknownKey};
use http::StatusCode;
use serde_json::Value;

use crate::support::jwks::{Key, KeyServer, Mood, URL, ask, at_once, builder, now, pass, verifier};

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn keys_are_fetched_again_before_they_are_over() {
    let server = KeyServer::with(&[Key::new(1).jwk("k")]);
    let keys = server.keys();
    pass(2_699).await;
    assert_eq!(server.fetches(), 1);
    assert!(keys.status().age().unwrap().as_secs() >= 2_699);
    pass(542).await;
    assert_eq!(server.fetches(), 2, "after 45 to 54 min of an hour");
    assert!(keys.status().age().unwrap().as_secs() <= 542);

    server.header("cache-control", "max-age=300");
    pass(3_600).await;
    let before = server.fetches();
    pass(3_000).await;
    let fetches = server.fetches() - before;
    assert!(
        (11..=14).contains(&fetches),
        "{fetches} fetches in ten lifetimes"
    );
}

#[tokio::test(start_paused = true)]
async fn an_unchanged_document_is_not_sent_again_and_confirms_the_keys() {
    let key = Key::new(1);
    let server = KeyServer::with(&[key.jwk("k")]);
    server.header("etag", "\"1\"");
    server.header("last-modified", "Sat, 21 Nov 2026 09:00:00 GMT");
    let keys = server.keys();
    keys.ready().await.unwrap();
    assert!(!server.last_headers().contains_key("if-none-match"));
    pass(3_600).await;
    assert_eq!(server.last_headers()["if-none-match"], "\"1\"");
    let modified = "Sat, 21 Nov 2026 09:00:00 GMT";
    assert_eq!(server.last_headers()["if-modified-since"], modified);
    assert_eq!(server.last_headers()["accept-encoding"], "identity");
    assert!(keys.status().age().unwrap().as_secs() < 1_000);
    assert_eq!(
        (keys.status().keys(), keys.status().last_error()),
        (1, None)
    );
    assert_eq!(at_once(&verifier(&keys), &key.token("k")), Some(Ok(())));
}

#[tokio::test(start_paused = true)]
async fn keys_that_were_too_old_are_fetched_whole() {
    let key = Key::new(1);
    let server = KeyServer::with(&[key.jwk("k")]);
    server.header("etag", "\"1\"");
    let keys = server.builder().max_stale(Duration::from_secs(600)).build();
    keys.ready().await.unwrap();
    server.is(Mood::Down);
    pass(601).await;
    assert!(!keys.status().is_ready());
    server.is(Mood::Up);
    keys.ready().await.unwrap();
    assert!(!server.last_headers().contains_key("if-none-match"));
    assert_eq!(ask(&verifier(&keys), &key.token("k")).await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn ready_tells_what_went_wrong_and_waits_for_the_next_fetch_when_asked_again() {
    let server = KeyServer::with(&[Key::new(1).jwk("k")]);
    server.is(Mood::Down);
    let keys = server.keys();
    let error = keys.ready().await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unreachable);
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(cause, "connection refused");
    assert_eq!(keys.status().last_error(), Some(Kind::Unreachable));
    server.is(Mood::Up);
    keys.ready().await.unwrap();
    assert_eq!((keys.status().last_error(), server.fetches()), (None, 2));
}

#[tokio::test(start_paused = true)]
async fn each_way_to_answer_wrongly_has_a_name_and_keeps_the_keys() {
    let key = Key::new(1);
    let server = KeyServer::with(&[key.jwk("k")]);
    let keys = server.keys();
    keys.ready().await.unwrap();
    let many: Vec<Value> = (0..65).map(|it| key.jwk(&it.to_string())).collect();
    let many = serde_json::json!({ "keys": many }).to_string();
    for (status, body, kind) in [
        (
            500,
            String::new(),
            Kind::Status(StatusCode::INTERNAL_SERVER_ERROR),
        ),
        (302, String::new(), Kind::Redirected),
        (304, String::new(), Kind::Status(StatusCode::NOT_MODIFIED)),
        (200, "<html>".to_owned(), Kind::Malformed),
        (200, " ".repeat(10_000_000), Kind::TooLarge),
        (200, many, Kind::TooManyKeys),
    ] {
        server.say(status, body);
        pass(3_600).await;
        assert_eq!(keys.status().last_error(), Some(kind));
        assert_eq!(at_once(&verifier(&keys), &key.token("k")), Some(Ok(())));
    }
    server.publish(&[key.jwk("k")]);
    server.takes(Duration::from_secs(11));
    pass(60).await;
    assert_eq!(keys.status().last_error(), Some(Kind::TimedOut));
    server.takes(Duration::ZERO);
    server.header("content-encoding", "gzip");
    pass(60).await;
    assert_eq!(keys.status().last_error(), Some(Kind::Encoded));
}

#[tokio::test(start_paused = true)]
async fn a_set_without_a_usable_key_is_the_issuers_word_and_503() {
    let key = Key::new(1);
    let server = KeyServer::with(&[]);
    let keys = server.keys();
    let start = tokio::time::Instant::now();
    assert_eq!(keys.ready().await.unwrap_err().kind(), Kind::NoUsableKey);
    assert_eq!(keys.ready().await.unwrap_err().kind(), Kind::NoUsableKey);
    assert_eq!(
        start.elapsed().as_secs(),
        0,
        "it does not wait for the next hour"
    );
    let verifier = verifier(&keys);
    assert_eq!(ask(&verifier, &key.token("k")).await, Err(KeysUnavailable));
    pass(30).await;
    server.publish(&[key.jwk("k")]);
    assert_eq!(ask(&verifier, &key.token("k")).await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn the_last_handle_takes_the_task_and_its_fetch_with_it() {
    let server = KeyServer::with(&[Key::new(1).jwk("k")]);
    let keys = server.keys();
    keys.ready().await.unwrap();
    let verifier = verifier(&keys);
    drop(keys);
    pass(3_600).await;
    assert_eq!(server.fetches(), 2, "a verifier is a handle");
    server.takes(Duration::from_secs(5));
    while server.fetches() == 2 {
        pass(1).await;
    }
    drop(verifier);
    pass(1).await;
    assert_eq!(server.abandoned(), 1);
    pass(100_000).await;
    assert_eq!(server.fetches(), 3);
    let idle = tokio::runtime::Handle::current()
        .metrics()
        .num_alive_tasks();
    assert_eq!(idle, 0);
}

#[test]
fn without_a_runtime_there_are_no_keys_and_no_panic() {
    let key = Key::new(1);
    let server = KeyServer::with(&[key.jwk("k")]);
    let keys = server.keys();
    let verifier = verifier(&keys);
    assert_eq!(
        at_once(&verifier, &key.token("k")),
        Some(Err(KeysUnavailable))
    );
    let error = now(keys.ready()).unwrap().unwrap_err();
    assert_eq!(error.kind(), Kind::NoRuntime);
    runtime().block_on(async {
        assert_eq!(
            ask(&verifier, &key.token("k")).await,
            Ok(()),
            "the first request starts it"
        );
    });
    assert_eq!(
        at_once(&verifier, &key.token("k")),
        Some(Ok(())),
        "held keys need no runtime"
    );
    let other = at_once(&verifier, &key.token("other"));
    assert_eq!(
        other,
        Some(Err(KeysUnavailable)),
        "others cannot be looked up"
    );
}

#[test]
fn a_runtime_that_ends_hands_over_to_the_next() {
    let [old, new] = [1, 2].map(Key::new);
    let server = KeyServer::with(&[old.jwk("old")]);
    let keys = server.keys();
    let verifier = verifier(&keys);
    runtime().block_on(async { keys.ready().await.unwrap() });
    server.publish(&[new.jwk("new")]);
    runtime().block_on(async {
        assert_eq!(at_once(&verifier, &old.token("old")), Some(Ok(())));
        assert_eq!(ask(&verifier, &new.token("new")).await, Ok(()));
        assert_eq!(server.fetches(), 2);
    });
}

#[test]
fn keys_whose_runtime_ended_are_kept_fresh_on_the_next() {
    let key = Key::new(1);
    let server = KeyServer::with(&[key.jwk("k")]);
    let keys = server.keys();
    let verifier = verifier(&keys);
    runtime().block_on(async { keys.ready().await.unwrap() });
    runtime().block_on(async {
        for (after, fetches) in [(1, 1), (3_600, 2)] {
            pass(after).await;
            assert_eq!(at_once(&verifier, &key.token("k")), Some(Ok(())));
            pass(1).await;
            assert_eq!(server.fetches(), fetches);
        }
    });
}

#[test]
fn a_runtime_that_ends_during_a_fetch_leaves_nobody_waiting() {
    let key = Key::new(1);
    let server = KeyServer::with(&[key.jwk("k")]);
    server.takes(Duration::from_secs(3));
    let keys = server.keys();
    let verifier = verifier(&keys);
    let first = runtime();
    first.block_on(async {
        assert_eq!(at_once(&verifier, &key.token("k")), None);
        pass(1).await;
        assert_eq!(server.fetches(), 1);
    });
    runtime().block_on(async {
        let token = key.token("k");
        let waiting = ask(&verifier, &token);
        let ended = async {
            tokio::task::yield_now().await;
            first.shutdown_background();
        };
        assert_eq!(tokio::join!(waiting, ended).0, Ok(()));
    });
    assert_eq!((server.fetches(), server.abandoned()), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_fetcher_that_panics_is_a_failure_like_another() {
    let key = Key::new(1);
    let server = KeyServer::with(&[key.jwk("k")]);
    server.is(Mood::Panics);
    let keys = server.keys();
    let verifier = verifier(&keys);
    assert_eq!(keys.ready().await.unwrap_err().kind(), Kind::Panicked);
    for _ in 0..100 {
        assert_eq!(ask(&verifier, &key.token("k")).await, Err(KeysUnavailable));
    }
    assert_eq!(server.fetches(), 1, "it is not tried for each request");
    server.is(Mood::Up);
    pass(2).await;
    assert_eq!(ask(&verifier, &key.token("k")).await, Ok(()));
    assert_eq!(ask(&verifier, &key.token("other")).await, Err(UnknownKey));
}

#[tokio::test(start_paused = true)]
async fn a_url_that_keys_may_not_come_from_is_found_before_the_first_request() {
    for url in [
        "http://auth.example/jwks",
        "https://a:b@auth.example/jwks",
        "jwks.json",
    ] {
        let keys = RemoteKeys::new(url);
        assert_eq!(keys.ready().await.unwrap_err().kind(), Kind::InvalidUrl);
        assert_eq!(keys.status().last_error(), Some(Kind::InvalidUrl));
        let built = builder().keys(keys).build();
        assert_eq!(built.unwrap_err(), VerifierConfigError::UnsafeKeyUrl);
    }
    let two = builder()
        .keys(RemoteKeys::new(URL))
        .keys(RemoteKeys::new(URL));
    assert_eq!(two.build().unwrap_err(), VerifierConfigError::TwoKeySources);
}

#[tokio::test(start_paused = true)]
async fn the_settings_have_bounds() {
    let [ours, theirs] = [1, 2].map(Key::new);
    let server = KeyServer::with(&[ours.jwk("k")]);
    let longest = server
        .builder()
        .max_stale(Duration::MAX)
        .refetch_interval(Duration::ZERO)
        .build();
    longest.ready().await.unwrap();
    let verifier = verifier(&longest);
    for kid in 0..1_000 {
        let answer = ask(&verifier, &theirs.token(&kid.to_string())).await;
        assert_eq!(answer, Err(UnknownKey));
    }
    assert_eq!(server.fetches(), 2, "one in a second at most");
    server.is(Mood::Down);
    pass(7 * 86_400 - 60).await;
    assert!(longest.status().is_ready());
    pass(61).await;
    assert!(!longest.status().is_ready(), "seven days at most");
}

/// Keys that were first fetched on a runtime that nothing drives any more.
fn keys_of_an_idle_runtime(server: &KeyServer) -> (RemoteKeys, tokio::runtime::Runtime) {
    let idle = runtime();
    let keys = server.keys();
    idle.block_on(async { keys.ready().await.unwrap() });
    (keys, idle)
}

/// P4.
#[test]
fn waiter_takes_over_from_a_runtime_that_is_not_driven() {
    let [held, new] = [1, 2].map(Key::new);
    let server = KeyServer::with(&[held.jwk("held")]);
    let idle = runtime();
    let keys = idle.block_on(async {
        let keys = server.keys();
        keys.ready().await.unwrap();
        keys
    });
    let verifier = verifier(&keys);
    server.publish(&[held.jwk("held"), new.jwk("new")]);
    runtime().block_on(async {
        let start = tokio::time::Instant::now();
        assert_eq!(ask(&verifier, &new.token("new")).await, Ok(()));
        assert!(start.elapsed().as_secs() <= 3, "{:?}", start.elapsed());
        assert_eq!(at_once(&verifier, &held.token("held")), Some(Ok(())));
        assert_eq!(server.fetches(), 2);
        pass(3_600).await;
        assert_eq!(server.fetches(), 3, "kept fresh from here on");
    });
    idle.block_on(pass(7_200));
    assert_eq!(server.fetches(), 3, "the first task has ended");
}

/// P4.
#[test]
fn waiter_takes_over_a_fetch_that_began_on_a_runtime_that_is_not_driven() {
    let key = Key::new(1);
    let server = KeyServer::with(&[key.jwk("k")]);
    server.takes(Duration::from_secs(3));
    let (idle, keys) = (runtime(), server.keys());
    let verifier = verifier(&keys);
    idle.block_on(async {
        assert_eq!(at_once(&verifier, &key.token("k")), None);
        pass(1).await;
        assert_eq!(server.fetches(), 1);
    });
    runtime().block_on(async {
        let start = tokio::time::Instant::now();
        let token = key.token("k");
        let answers = tokio::join!(ask(&verifier, &token), ask(&verifier, &token), keys.ready());
        assert!(matches!(answers, (Ok(()), Ok(()), Ok(()))), "{answers:?}");
        assert!(start.elapsed().as_secs() <= 6, "{:?}", start.elapsed());
        assert_eq!(server.fetches(), 2, "one fetch for all");
    });
    drop(idle);
    assert!(keys.status().is_ready());
}

/// A slow server is not a runtime that is not driven: its fetch is not started twice.
#[tokio::test(start_paused = true)]
async fn slow_fetch_is_not_taken_over() {
    let key = Key::new(1);
    let server = KeyServer::with(&[key.jwk("k")]);
    server.takes(Duration::from_secs(9));
    let verifier = verifier(&server.keys());
    assert_eq!(ask(&verifier, &key.token("k")).await, Ok(()));
    assert_eq!((server.fetches(), server.abandoned()), (1, 0));
}

#[test]
fn keys_are_kept_fresh_by_those_who_use_them_when_their_runtime_is_not_driven() {
    let key = Key::new(1);
    let server = KeyServer::with(&[key.jwk("k")]);
    let (keys, _idle) = keys_of_an_idle_runtime(&server);
    let verifier = verifier(&keys);
    runtime().block_on(async {
        pass(3_600).await;
        assert_eq!(at_once(&verifier, &key.token("k")), Some(Ok(())));
        pass(1).await;
        assert_eq!(server.fetches(), 2);
    });
}

/// V3.
#[test]
fn max_stale_holds_without_a_task() {
    let key = Key::new(1);
    let server = KeyServer::with(&[key.jwk("k")]);
    server.header("etag", "\"1\"");
    let (keys, _idle) = keys_of_an_idle_runtime(&server);
    let verifier = verifier(&keys);
    server.is(Mood::Down);
    runtime().block_on(async {
        assert_eq!(at_once(&verifier, &key.token("k")), Some(Ok(())));
        pass(86_400).await;
        let status = keys.status();
        assert!(!status.is_ready() && status.age().is_none(), "{status:?}");
        assert_ne!(at_once(&verifier, &key.token("k")), Some(Ok(())));
        assert_eq!(ask(&verifier, &key.token("k")).await, Err(KeysUnavailable));
        server.is(Mood::Up);
        pass(60).await;
        assert_eq!(
            ask(&verifier, &key.token("k")).await,
            Ok(()),
            "fetched whole"
        );
    });
}

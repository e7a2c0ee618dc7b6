//! What happens when refreshes fail, or bring nothing good.

use std::time::Duration;

use futures_util::future::join_all;
use http::StatusCode;
use refresh_client_layer::{
    Event, MemoryStore, NotRetried, Outcome, RefreshError, RefreshErrorKind, RefreshUnavailable,
    TokenSet, UnavailableKind,
};

use crate::support::{Answer, BoxError, World, drain, send, settle};

const SECOND: Duration = Duration::from_secs(1);

fn kind_of(error: &BoxError) -> UnavailableKind {
    error.downcast_ref::<RefreshUnavailable>().unwrap().kind()
}

fn pause_of(error: &BoxError) -> Option<Duration> {
    let error: &RefreshUnavailable = error.downcast_ref().unwrap();
    error.retry_after()
}

fn tokens(number: u32, lifetime: Duration) -> Answer {
    let tokens = TokenSet::new(format!("access-{number}"), format!("refresh-{number}"));
    Answer::Tokens(tokens.expires_in(lifetime))
}

/// Law C9.
#[tokio::test(start_paused = true)]
async fn a_fresh_token_that_is_refused_too_brings_the_401_back_after_one_retry() {
    let world = World::new();
    let session = world.session();
    let api = tower::service_fn(|_: http::Request<crate::support::Body>| async {
        let mut response = http::Response::new(crate::support::Body::default());
        *response.status_mut() = StatusCode::UNAUTHORIZED;
        Ok::<_, std::convert::Infallible>(response)
    });
    let api = tower::Layer::layer(&refresh_client_layer::RefreshLayer::new(session), api);
    let response = send(&api).await.unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    let outcome = response.extensions().get::<Outcome>().unwrap();
    assert_eq!(outcome.attempts(), 2);
    assert_eq!(outcome.not_retried(), Some(NotRetried::AlreadyRetried));
    assert_eq!(world.calls(), 1);

    // However many come, and however they are spread, the budget holds.
    for _ in 0..20 {
        for response in join_all((0..5).map(|_| send(&api))).await {
            assert_eq!(response.unwrap().status(), StatusCode::UNAUTHORIZED);
        }
    }
    assert_eq!(world.calls(), 5);
    let response = send(&api).await.unwrap();
    let outcome = response.extensions().get::<Outcome>().unwrap();
    assert_eq!(outcome.not_retried(), Some(NotRetried::TooManyRefreshes));

    tokio::time::advance(30 * SECOND).await;
    send(&api).await.unwrap();
    assert_eq!(world.calls(), 6);
}

/// Law C11.
#[tokio::test(start_paused = true)]
async fn after_a_transient_failure_the_server_is_left_alone_for_a_while() {
    let world = World::new();
    world.accept(None);
    let session = world.session();
    let api = world.layered(&session);
    world.fail_next(RefreshErrorKind::Transient);
    assert_eq!(
        kind_of(&send(&api).await.unwrap_err()),
        UnavailableKind::Failed
    );
    assert_eq!(world.calls(), 1);
    // A try that is due within a second is waited for.
    world.fail_next(RefreshErrorKind::Transient);
    assert_eq!(
        kind_of(&send(&api).await.unwrap_err()),
        UnavailableKind::Failed
    );
    assert_eq!(
        kind_of(&send(&api).await.unwrap_err()),
        UnavailableKind::BackingOff
    );
    assert_eq!(world.calls(), 2);
    tokio::time::advance(SECOND).await;
    assert_eq!(send(&api).await.unwrap().status(), StatusCode::OK);
    assert_eq!(world.calls(), 3);
    // The whole row was about one and the same refresh.
    assert_eq!(world.refresh_tokens(), ["refresh-1"; 3]);
    let keys = world.keys();
    assert!(keys[0].is_some() && keys.iter().all(|key| *key == keys[0]));
}

/// Law C11.
#[tokio::test(start_paused = true)]
async fn retry_after_is_honoured_up_to_five_minutes() {
    for (asked, waited) in [(90, 90), (86_400, 300)] {
        let world = World::new();
        world.accept(None);
        let session = world.session();
        let api = world.layered(&session);
        let error = RefreshError::new(RefreshErrorKind::Transient, "slow down")
            .with_retry_after(Some(asked * SECOND));
        world.answer_next(Answer::Error(error));
        let failed = send(&api).await.unwrap_err();
        assert_eq!(pause_of(&failed), Some(waited * SECOND));
        tokio::time::advance((waited - 2) * SECOND).await;
        let error = send(&api).await.unwrap_err();
        assert_eq!(kind_of(&error), UnavailableKind::BackingOff);
        assert_eq!(pause_of(&error), Some(2 * SECOND));
        tokio::time::advance(2 * SECOND).await;
        assert_eq!(send(&api).await.unwrap().status(), StatusCode::OK);
    }
}

/// Law C11.
#[tokio::test(start_paused = true)]
async fn a_configuration_error_keeps_the_tokens_and_is_told() {
    let world = World::new();
    world.accept(None);
    let session = world.session();
    world.fail_next(RefreshErrorKind::Configuration);
    let error = send(&world.layered(&session)).await.unwrap_err();
    assert_eq!(kind_of(&error), UnavailableKind::Configuration);
    tokio::time::advance(SECOND).await;
    assert_eq!(session.force_refresh().await.unwrap().secret(), "access-3");
}

/// Law C11: a token in its last seconds is better than none.
#[tokio::test(start_paused = true)]
async fn a_token_that_is_still_valid_is_used_while_refreshes_fail() {
    let world = World::new();
    let lifetime = 900 * SECOND;
    let session = world
        .builder()
        .tokens(TokenSet::new("access-1", "refresh-1").expires_in(lifetime))
        .build()
        .unwrap();
    let api = world.layered(&session);
    // The mandatory window: a request waits for the refresh, which fails.
    tokio::time::advance(895 * SECOND).await;
    world.fail_next(RefreshErrorKind::Transient);
    assert_eq!(send(&api).await.unwrap().status(), StatusCode::OK);
    assert_eq!(send(&api).await.unwrap().status(), StatusCode::OK);
    assert_eq!(world.calls(), 1);
    world.fail_next(RefreshErrorKind::Transient);
    tokio::time::advance(5 * SECOND).await;
    assert_eq!(
        kind_of(&send(&api).await.unwrap_err()),
        UnavailableKind::Failed
    );
}

/// Law C12.
/// Law C11: a token about to expire is good enough for those who cannot wait for a better one.
#[tokio::test(start_paused = true)]
async fn whoever_waits_no_longer_goes_with_the_token_there_is() {
    let world = World::new();
    let session = world
        .builder()
        .tokens(TokenSet::new("access-1", "refresh-1").expires_in(60 * SECOND))
        .wait_timeout(SECOND)
        .build()
        .unwrap();
    let api = world.layered(&session);
    world.hold();
    // Within the mandatory window.
    tokio::time::advance(56 * SECOND).await;
    assert_eq!(send(&api).await.unwrap().status(), StatusCode::OK);
    assert_eq!(world.api_calls()[0].authorization, ["Bearer access-1"]);
    tokio::time::advance(4 * SECOND).await;
    let error = send(&api).await.unwrap_err();
    assert_eq!(kind_of(&error), UnavailableKind::TimedOut);
}

#[tokio::test(start_paused = true)]
async fn requests_go_on_while_a_refresh_ahead_of_time_fails() {
    let world = World::new();
    let session = world
        .builder()
        .tokens(TokenSet::new("access-1", "refresh-1").expires_in(900 * SECOND))
        .build()
        .unwrap();
    let mut events = session.events();
    let api = world.layered(&session);
    send(&api).await.unwrap();
    settle().await;
    assert_eq!(world.calls(), 0);
    tokio::time::advance(860 * SECOND).await;
    world.hold();
    world.fail_next(RefreshErrorKind::Transient);
    for _ in 0..10 {
        let response = send(&api).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert!(!response.extensions().get::<Outcome>().unwrap().has_waited());
    }
    world.called(1).await;
    world.release();
    settle().await;
    assert_eq!(send(&api).await.unwrap().status(), StatusCode::OK);
    assert_eq!(world.calls(), 1);
    let events = drain(&mut events);
    assert!(matches!(
        events[..],
        [Event::RefreshFailed {
            transient: true,
            ..
        }]
    ));

    tokio::time::advance(2 * SECOND).await;
    send(&api).await.unwrap();
    settle().await;
    assert_eq!(world.calls(), 2);
    assert_eq!(session.access_token().await.unwrap().secret(), "access-3");
}

/// Law C12.
#[tokio::test(start_paused = true)]
async fn odd_lifetimes_do_not_make_the_client_spin() {
    let odd = [Some(Duration::ZERO), Some(Duration::MAX), None];
    for lifetime in odd {
        let world = World::new();
        world.accept(None);
        for number in 2..100 {
            let tokens = TokenSet::new(format!("access-{number}"), format!("refresh-{number}"));
            world.answer_next(Answer::Tokens(match lifetime {
                Some(lifetime) => tokens.expires_in(lifetime),
                None => tokens,
            }));
        }
        let session = world.session();
        let api = world.layered(&session);
        for _ in 0..50 {
            assert_eq!(
                send(&api).await.unwrap().status(),
                StatusCode::OK,
                "{lifetime:?}"
            );
        }
        assert!(world.calls() <= 5, "{lifetime:?}: {}", world.calls());
    }
}

#[tokio::test(start_paused = true)]
async fn honest_short_lived_tokens_are_no_storm() {
    let world = World::new();
    for number in 2..40 {
        world.answer_next(tokens(number, 2 * SECOND));
    }
    let session = world
        .builder()
        .tokens(TokenSet::new("access-1", "refresh-1").expires_in(2 * SECOND))
        .build()
        .unwrap();
    let api = world.layered(&session);
    for _ in 0..30 {
        tokio::time::advance(2 * SECOND).await;
        assert_eq!(send(&api).await.unwrap().status(), StatusCode::OK);
    }
    assert_eq!(world.calls(), 30);
    assert_eq!(world.count_api_calls(StatusCode::UNAUTHORIZED), 0);
}

/// By the wall clock, which cannot be paused.
#[tokio::test]
async fn a_lifetime_counts_from_when_it_was_stated() {
    let world = World::new();
    let tokens = TokenSet::new("access-1", "refresh-1").expires_in(Duration::from_millis(1));
    let builder = world.builder().tokens(tokens).store(MemoryStore::new());
    let session = builder.build().unwrap();
    std::thread::sleep(Duration::from_millis(5));
    assert_eq!(session.access_token().await.unwrap().secret(), "access-2");
}

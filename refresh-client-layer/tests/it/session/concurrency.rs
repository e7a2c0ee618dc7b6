//! However many ask at once, one refresh runs.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::join_all;
use http::StatusCode;
use refresh_client_layer::{
    Event, Outcome, RefreshError, RefreshErrorKind, RefreshLayer, RefreshRequest, RefreshService,
    RefreshUnavailable, TokenManager, TokenSet, UnavailableKind,
};

use crate::support::{Answer, ORIGIN, URL, World, drain, get, send, settle};
use refresh_client_layer::{HttpRefresher, future::ResponseFuture};
use tokio::sync::Barrier;
use tower::{Layer, ServiceExt as _};

fn kind_of(error: &crate::support::BoxError) -> UnavailableKind {
    error.downcast_ref::<RefreshUnavailable>().unwrap().kind()
}

/// Law C1.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hundred_parallel_401s_cause_one_refresh_and_a_hundred_retries() {
    let world = World::new();
    world.accept(None);
    world.hold();
    let session = world.session();
    let mut events = session.events();
    let api = world.layered(&session);
    let barrier = Arc::new(Barrier::new(101));
    let tasks = (0..100).map(|_| {
        let (api, barrier) = (api.clone(), barrier.clone());
        tokio::spawn(async move {
            barrier.wait().await;
            send(&api).await.unwrap()
        })
    });
    let tasks: Vec<_> = tasks.collect();
    barrier.wait().await;
    world.called(1).await;
    while world.api_calls().len() < 100 {
        tokio::task::yield_now().await;
    }
    world.release();
    for task in tasks {
        let response = task.await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        let outcome = response.extensions().get::<Outcome>().unwrap();
        assert_eq!(outcome.attempts(), 2);
    }
    assert_eq!(world.calls(), 1);
    assert_eq!(world.count_api_calls(StatusCode::UNAUTHORIZED), 100);
    let retries = world.api_calls().split_off(100);
    assert_eq!(retries.len(), 100);
    assert!(
        retries
            .iter()
            .all(|call| call.authorization == ["Bearer access-2"])
    );
    assert_eq!(drain(&mut events).len(), 1);
}

/// Law C2.
#[tokio::test]
async fn a_late_401_for_an_old_token_does_not_refresh_again() {
    let world = World::new();
    let session = world.session();
    // The API answers this request only after the refresh.
    let (answer, late) = tokio::sync::oneshot::channel::<()>();
    let late = Arc::new(std::sync::Mutex::new(Some(late)));
    let inner = world.clone();
    let slow = tower::service_fn(move |request: http::Request<crate::support::Body>| {
        let late = late.lock().unwrap().take();
        let response = inner.clone().oneshot(request);
        async move {
            let response = response.await;
            if let Some(late) = late {
                late.await.unwrap();
            }
            response
        }
    });
    world.accept(None);
    let api = RefreshLayer::new(session.clone()).layer(slow);
    let request = tokio::spawn({
        let api = api.clone();
        async move { send(&api).await.unwrap() }
    });
    settle().await;
    session.force_refresh().await.unwrap();
    answer.send(()).unwrap();
    let response = request.await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(world.calls(), 1);
    let outcome = response.extensions().get::<Outcome>().unwrap();
    assert!(outcome.is_retry() && !outcome.has_waited());
}

/// Law C3.
#[tokio::test(start_paused = true)]
async fn after_a_shared_refresh_the_next_expiry_costs_exactly_one_more() {
    let world = World::new();
    world.accept(None);
    let session = world.session();
    let api = world.layered(&session);
    let hour = Duration::from_secs(3600);
    world.answer_next(Answer::Tokens(
        TokenSet::new("access-2", "refresh-2").expires_in(hour),
    ));
    join_all((0..20).map(|_| send(&api))).await;
    assert_eq!(world.calls(), 1);
    tokio::time::advance(hour).await;
    world.hold();
    let requests = tokio::spawn({
        let api = api.clone();
        async move { join_all((0..20).map(|_| send(&api))).await }
    });
    world.called(2).await;
    settle().await;
    world.release();
    for response in requests.await.unwrap() {
        let response = response.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert!(response.extensions().get::<Outcome>().unwrap().has_waited());
    }
    assert_eq!(world.calls(), 2);
    // The dead token was not even sent.
    assert_eq!(world.count_api_calls(StatusCode::UNAUTHORIZED), 20);
}

/// Law C4.
#[tokio::test]
async fn a_refresh_ends_and_counts_even_if_its_starter_goes_away() {
    for yields_before_drop in [0, 1, 100] {
        let world = World::new();
        let session = world.session();
        world.hold();
        let starter = tokio::spawn({
            let session = session.clone();
            async move { session.force_refresh().await }
        });
        world.called(1).await;
        let waiter = tokio::spawn({
            let session = session.clone();
            async move { session.force_refresh().await }
        });
        for _ in 0..yields_before_drop {
            tokio::task::yield_now().await;
        }
        starter.abort();
        assert!(starter.await.unwrap_err().is_cancelled());
        settle().await;
        world.release();
        assert_eq!(waiter.await.unwrap().unwrap().secret(), "access-2");
        assert_eq!(session.access_token().await.unwrap().secret(), "access-2");
        assert_eq!(world.calls(), 1);
    }
}

/// Law C4: dropped before its first poll has returned to it, with nobody else waiting.
#[tokio::test]
async fn a_refresh_that_nobody_waits_for_is_kept_for_the_next_one() {
    let world = World::new();
    let session = world.session();
    assert!(session.force_refresh().now_or_never().is_none());
    world.called(1).await;
    settle().await;
    assert_eq!(session.access_token().await.unwrap().secret(), "access-2");
    assert_eq!(world.calls(), 1);
}

/// Law C6.
#[tokio::test]
async fn a_panic_in_the_refresher_frees_everybody_with_an_error() {
    let world = World::new();
    world.accept(None);
    world.answer_next(Answer::Panic);
    let session = world.session();
    let api = world.layered(&session);
    for response in join_all((0..100).map(|_| send(&api))).await {
        assert_eq!(kind_of(&response.unwrap_err()), UnavailableKind::Panicked);
    }
    assert_eq!(world.calls(), 1);
}

/// Law C6.
#[tokio::test(start_paused = true)]
async fn a_refresher_that_never_answers_is_given_up_after_the_time_out() {
    let world = World::new();
    world.accept(None);
    world.answer_next(Answer::Silence);
    let session = world.session();
    let api = world.layered(&session);
    let start = tokio::time::Instant::now();
    for response in join_all((0..100).map(|_| send(&api))).await {
        assert_eq!(kind_of(&response.unwrap_err()), UnavailableKind::TimedOut);
    }
    assert_eq!(start.elapsed(), Duration::from_secs(30));
    assert_eq!(world.calls(), 1);
}

/// Law C6.
#[tokio::test(start_paused = true)]
async fn a_waiter_has_a_deadline_of_its_own() {
    let world = World::new();
    world.answer_next(Answer::Silence);
    let session = world
        .builder()
        .wait_timeout(Duration::from_secs(3))
        .build()
        .unwrap();
    let start = tokio::time::Instant::now();
    session.force_refresh().await.unwrap_err();
    assert_eq!(start.elapsed(), Duration::from_secs(3));
}

#[tokio::test(start_paused = true)]
async fn who_waits_without_a_limit_waits() {
    let world = World::new();
    let session = world
        .builder()
        .wait_timeout(Duration::MAX)
        .attempt_timeout(Duration::MAX)
        .build()
        .unwrap();
    assert_eq!(session.force_refresh().await.unwrap().secret(), "access-2");
}

/// Law C6.
#[tokio::test]
async fn a_refresher_may_answer_at_once() {
    let session = TokenManager::builder(|_: RefreshRequest| {
        std::future::ready(Ok::<_, RefreshError>(TokenSet::new(
            "access-2",
            "refresh-2",
        )))
    })
    .tokens(TokenSet::new("access-1", "refresh-1"))
    .origin(ORIGIN)
    .build()
    .unwrap();
    assert_eq!(session.force_refresh().await.unwrap().secret(), "access-2");
}

/// Law C6.
#[tokio::test(start_paused = true)]
async fn a_failed_refresh_is_shared_by_its_waiters() {
    let world = World::new();
    world.accept(None);
    world.fail_next(RefreshErrorKind::Transient);
    let session = world.session();
    let mut events = session.events();
    let api = world.layered(&session);
    for response in join_all((0..100).map(|_| send(&api))).await {
        assert_eq!(kind_of(&response.unwrap_err()), UnavailableKind::Failed);
    }
    assert_eq!(world.calls(), 1);
    let events = drain(&mut events);
    assert!(matches!(
        events[..],
        [Event::RefreshFailed {
            transient: true,
            ..
        }]
    ));
}

/// Law C7.
#[tokio::test(start_paused = true)]
async fn a_refresher_that_uses_its_own_layered_client_fails_at_once() {
    type Layered = RefreshService<World>;
    let layered: Arc<OnceLock<Layered>> = Arc::default();
    let inside = layered.clone();
    let session = TokenManager::builder(move |_: RefreshRequest| {
        let client = inside.get().unwrap().clone();
        async move {
            let sent = client.oneshot(get(URL)).await;
            let error = sent.map(drop).unwrap_err();
            Err::<TokenSet, _>(
                RefreshError::new(RefreshErrorKind::Transient, "could not be sent")
                    .with_source(error),
            )
        }
    })
    .tokens(TokenSet::new("access-1", "refresh-1"))
    .origin(ORIGIN)
    .build()
    .unwrap();
    let world = World::new();
    assert!(layered.set(world.layered(&session)).is_ok());
    world.accept(None);

    let start = tokio::time::Instant::now();
    let error = send(&world.layered(&session)).await.unwrap_err();
    assert_eq!(start.elapsed(), Duration::ZERO);
    let refresh = std::error::Error::source(&*error).unwrap();
    let cause = refresh.source().unwrap();
    let cause = cause.downcast_ref::<RefreshUnavailable>().unwrap();
    assert_eq!(cause.kind(), UnavailableKind::Reentrant);
}

/// Law C7: the request comes back from another task.
#[tokio::test(start_paused = true)]
async fn a_refresher_that_comes_back_through_a_buffer_fails_at_once() {
    use tower::buffer::Buffer;
    type Request = http::Request<crate::support::Body>;
    type Buffered = Buffer<Request, ResponseFuture<World, Request>>;
    let layered: Arc<OnceLock<Buffered>> = Arc::default();
    let inside = layered.clone();
    let through_the_layer = tower::service_fn(move |request: Request| {
        let buffered = inside.get().unwrap().clone();
        buffered.oneshot(request)
    });
    let refresher = HttpRefresher::json("https://api.example/refresh", through_the_layer);
    let session = TokenManager::builder(refresher)
        .tokens(TokenSet::new("access-1", "refresh-1").expires_in(Duration::ZERO))
        .build()
        .unwrap();
    let world = World::new();
    world.accept(None);
    let buffered = Buffer::new(world.layered(&session), 8);
    assert!(layered.set(buffered).is_ok());

    let start = tokio::time::Instant::now();
    let error = send(&world.layered(&session)).await.unwrap_err();
    assert_eq!(start.elapsed(), Duration::ZERO);
    let causes = std::iter::successors(Some(&*error as &dyn std::error::Error), |it| it.source());
    let causes = causes.filter_map(|it| it.downcast_ref::<RefreshUnavailable>());
    assert_eq!(
        causes.last().unwrap().kind(),
        UnavailableKind::Reentrant,
        "{error:?}"
    );
}

/// Law C13.
#[tokio::test]
async fn clones_share_a_session_and_managers_do_not() {
    let world = World::new();
    let session = world.session();
    let layer = RefreshLayer::new(session.clone());
    let first = layer.layer(world.clone());
    let second = layer.clone().layer(world.clone()).clone();
    let (other_world, clone) = (World::new(), session.clone());
    let other = other_world.session();

    world.accept(None);
    send(&first).await.unwrap();
    assert_eq!(send(&second).await.unwrap().status(), StatusCode::OK);
    assert_eq!(clone.access_token().await.unwrap().secret(), "access-2");
    assert_eq!(world.calls(), 1);

    assert_eq!(other.access_token().await.unwrap().secret(), "access-1");
    clone.sign_out().await;
    assert!(session.access_token().await.is_err());
    assert!(other.access_token().await.is_ok());
}

/// Law C18; for its memory see `allocations.rs`.
#[tokio::test]
async fn ten_thousand_waiters_cost_one_refresh() {
    let world = World::new();
    let session = world
        .builder()
        .tokens(TokenSet::new("access-1", "refresh-1").expires_in(Duration::ZERO))
        .build()
        .unwrap();
    world.hold();
    let waiters: Vec<_> = (0..10_000)
        .map(|_| {
            let session = session.clone();
            tokio::spawn(async move { session.access_token().await.unwrap() })
        })
        .collect();
    world.called(1).await;
    settle().await;
    world.release();
    for waiter in waiters {
        assert_eq!(waiter.await.unwrap().secret(), "access-2");
    }
    assert_eq!(world.calls(), 1);
}

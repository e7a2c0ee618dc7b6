//! Runtimes that are missing, elsewhere, or gone.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake};
use std::thread::Thread;
use std::time::Duration;

use futures_util::FutureExt as _;
use http::StatusCode;
use refresh_client_layer::{
    MemoryStore, RefreshUnavailable, TokenError, TokenManagers, TokenSet, TokenStore as _,
    UnavailableKind,
};
use tower::Service as _;

use crate::support::records::Records as _;
use crate::support::{URL, World, get, send, settle};

/// Law C5.
#[test]
fn waiters_take_over_when_the_runtime_of_a_refresh_dies() {
    let world = World::new();
    let session = world.session();
    world.hold();
    let starting = timed();
    starting.block_on(async {
        let refresh = tokio::spawn({
            let session = session.clone();
            async move { session.force_refresh().await }
        });
        world.called(1).await;
        drop(refresh);
    });
    let token = timed().block_on(async {
        let waiter = tokio::spawn({
            let session = session.clone();
            async move { session.force_refresh().await }
        });
        settle().await;
        assert_eq!(world.calls(), 1);
        let shut = tokio::task::spawn_blocking(move || drop(starting));
        shut.await.unwrap();
        world.called(2).await;
        world.release();
        waiter.await.unwrap()
    });
    assert_eq!(token.unwrap().secret(), "access-3");
}

/// Law C5.
#[test]
fn a_request_that_waits_may_move_to_another_runtime() {
    let world = World::new();
    let session = world.session();
    world.hold();
    let mut waiter = Box::pin(session.force_refresh());
    let first = timed();
    first.block_on(async {
        assert!((&mut waiter).now_or_never().is_none());
        world.called(1).await;
    });
    drop(first);
    let answer = async {
        world.called(2).await;
        world.release();
    };
    let (token, ()) = timed().block_on(async { tokio::join!(waiter, answer) });
    assert_eq!(token.unwrap().secret(), "access-3");
}

/// Law C5.
#[test]
fn a_wait_ends_in_time_on_the_runtime_that_it_moved_to() {
    let world = World::new();
    let elsewhere = timed();
    let session = world
        .builder()
        .runtime(elsewhere.handle().clone())
        .wait_timeout(Duration::from_millis(50))
        .build()
        .unwrap();
    world.hold();
    let mut waiter = Box::pin(session.force_refresh());
    let first = timed();
    first.block_on(async { assert!((&mut waiter).now_or_never().is_none()) });
    drop(first);
    let error = timed().block_on(waiter).unwrap_err();
    assert!(matches!(
        error,
        TokenError::RefreshUnavailable(error) if error.kind() == UnavailableKind::TimedOut
    ));
}

fn timed() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime")
}

#[test]
fn without_a_runtime_a_refresh_is_an_error_and_no_panic() {
    let world = World::new();
    world.accept(None);
    let session = world.session();
    let api = world.layered(&session);
    let error = send(&api).now_or_never().unwrap().unwrap_err();
    assert_eq!(
        error.downcast_ref::<RefreshUnavailable>().unwrap().kind(),
        UnavailableKind::NoRuntime
    );
    assert_eq!(world.calls(), 0);
}

#[test]
fn nothing_panics_without_a_runtime() {
    let world = World::new();
    let store = MemoryStore::new();
    let session = world.builder().store(store.clone()).build().unwrap();
    let mut events = session.events();
    block_on(async {
        session.access_token().await.unwrap_err();
        session
            .sign_in(TokenSet::new("access-5", "refresh-5"))
            .unwrap();
        assert_eq!(session.access_token().await.unwrap().secret(), "access-5");
        session.force_refresh().await.unwrap_err();
        assert!(session.flush(Duration::from_secs(60)).await);
        assert!(store.load().await.unwrap().is_some());
        session.sign_out().await;
        session.access_token().await.unwrap_err();
        assert!(session.flush(Duration::from_secs(60)).await);
        assert!(store.load().await.unwrap().is_none());
        assert!(events.recv().await.is_some());
    });
    let managers = TokenManagers::builder(move |_: u8| {
        let session = world.builder().store(store.clone());
        async { Ok(Some(session)) }
    })
    .build();
    block_on(async {
        let tokens = TokenSet::new("access-6", "refresh-6");
        managers.sign_in(&1, tokens).await.unwrap();
        let session = managers.get(&1).await.unwrap().unwrap();
        assert_eq!(session.access_token().await.unwrap().secret(), "access-6");
        managers.sign_out(&1).await.unwrap();
        assert!(managers.flush(Duration::from_secs(60)).await);
    });
}

/// Law C5.
#[test]
fn a_refresh_on_a_runtime_that_is_gone_is_an_error_that_says_so() {
    let gone = tokio::runtime::Runtime::new().unwrap();
    let handle = gone.handle().clone();
    drop(gone);
    let world = World::new();
    let session = world.builder().runtime(handle).build().unwrap();
    let error = block_on(session.force_refresh()).unwrap_err();
    assert!(matches!(
        error,
        TokenError::RefreshUnavailable(error) if error.kind() == UnavailableKind::Interrupted
    ));
    assert_eq!(world.calls(), 0);
}

#[test]
fn a_sign_out_needs_no_runtime() {
    let world = World::new();
    let store = MemoryStore::new();
    let stored = TokenSet::new("access-1", "refresh-1");
    assert!(block_on(store.save(&stored)).unwrap());
    let session = world.builder().store(store.clone()).build().unwrap();
    let sign_out = block_on(session.sign_out());
    assert!(sign_out.is_cleared() && sign_out.is_revoked());
    assert_eq!(world.revoked(), ["refresh-1"]);
    assert!(block_on(store.load()).unwrap().is_none());
}

#[test]
fn the_runtime_of_the_builder_serves_callers_that_have_none() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_time()
        .build()
        .unwrap();
    let world = World::new();
    world.accept(None);
    let session = world
        .builder()
        .runtime(runtime.handle().clone())
        .build()
        .unwrap();
    let mut api = world.layered(&session);
    let response = block_on(api.call(get(URL))).unwrap();
    assert_eq!(response.status(), StatusCode::OK);
}

/// Polls from a thread that no runtime knows of.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Arc::new(Unpark(std::thread::current())).into();
    let mut cx = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut cx) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}

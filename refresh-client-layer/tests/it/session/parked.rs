//! Law C22: runtimes that end with each call, and runtimes that are alive but never driven again.

use std::time::Duration;

use futures_util::FutureExt as _;
use refresh_client_layer::{TokenError, TokenManager, TokenSet, UnavailableKind};
use tokio::runtime::{Builder, Runtime};

use crate::support::{World, settle};

const SECOND: Duration = Duration::from_secs(1);

fn runtime() -> Runtime {
    let mut builder = Builder::new_current_thread();
    builder.enable_time().start_paused(true).build().unwrap()
}

/// The server has been asked on this runtime, and its answer finds nobody who polls.
fn parked_after_asking(world: &World, session: &TokenManager) -> Runtime {
    world.hold();
    let parked = runtime();
    parked.block_on(async {
        assert!(session.force_refresh().now_or_never().is_none());
        world.called(1).await;
    });
    parked
}

/// A wrapper for blocking callers builds one for each call. A refresh that it left behind would be cut off.
#[test]
fn with_a_runtime_for_each_call_a_plain_server_sees_each_token_once() {
    let world = World::new();
    let tokens = TokenSet::new("access-1", "refresh-1").expires_in(100 * SECOND);
    let session = world.builder().tokens(tokens).without_idempotency_key();
    let session = session.build().unwrap();
    let call = |age| {
        runtime().block_on(async {
            tokio::time::advance(age).await;
            let token = session.access_token().await.unwrap();
            settle().await;
            token.secret().to_owned()
        })
    };
    assert_eq!(call(85 * SECOND), "access-1");
    assert_eq!(world.calls(), 0, "ahead of time, for no caller");
    assert_eq!(call(95 * SECOND), "access-2");
    assert_eq!(world.refresh_tokens(), ["refresh-1"]);
}

#[test]
fn a_refresh_that_was_never_polled_is_taken_over() {
    let world = World::new();
    let session = world.builder().without_idempotency_key().build().unwrap();
    let parked = runtime();
    parked.block_on(async { assert!(session.force_refresh().now_or_never().is_none()) });
    let token = runtime().block_on(session.force_refresh()).unwrap();
    assert_eq!(token.secret(), "access-2");
    parked.block_on(settle());
    assert_eq!(world.refresh_tokens(), ["refresh-1"]);
}

#[test]
fn a_refresh_at_a_server_that_honours_keys_is_taken_over_with_its_key() {
    let world = World::new();
    let tokens = r#"{"access_token":"access-1","refresh_token":"refresh-1","idempotent":true}"#;
    let tokens = TokenSet::from_json(tokens.as_bytes()).unwrap();
    let session = world.builder().tokens(tokens).build().unwrap();
    let parked = parked_after_asking(&world, &session);
    let token = runtime().block_on(async {
        let answer = async {
            world.called(2).await;
            world.release();
        };
        let both = async { tokio::join!(session.force_refresh(), answer).0 };
        tokio::time::timeout(10 * SECOND, both)
            .await
            .unwrap()
            .unwrap()
    });
    assert_eq!(token.secret(), "access-3");
    let keys = world.keys();
    assert!(keys[0].is_some() && keys[0] == keys[1]);

    let later = parked.block_on(async {
        settle().await;
        session.access_token().await.unwrap()
    });
    assert_eq!(later.secret(), "access-3", "the answer came too late");
}

/// A second request with the token could end the session: the wait ends at the deadline of its caller.
#[test]
fn a_refresh_at_a_plain_server_is_left_to_its_runtime() {
    let world = World::new();
    let session = world.builder().without_idempotency_key();
    let session = session.wait_timeout(10 * SECOND).build().unwrap();
    let parked = parked_after_asking(&world, &session);
    for _ in 0..3 {
        match runtime().block_on(session.force_refresh()).unwrap_err() {
            TokenError::RefreshUnavailable(error) => {
                assert_eq!(error.kind(), UnavailableKind::TimedOut);
            }
            error => panic!("{error}"),
        }
    }
    world.release();
    let token = parked.block_on(session.force_refresh()).unwrap();
    assert_eq!(token.secret(), "access-2");
    assert_eq!(world.refresh_tokens(), ["refresh-1"]);
}

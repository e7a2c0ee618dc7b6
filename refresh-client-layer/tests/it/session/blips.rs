//! Law C23: faults of the token server that pass within seconds, and one that does not.

use std::time::Duration;

use futures_util::future::join_all;
use http::StatusCode;
use refresh_client_layer::{
    Event, RefreshError, RefreshErrorKind, RefreshUnavailable, UnavailableKind,
};
use tokio::time::Instant;

use crate::support::{Answer, World, drain, send};

fn fail(world: &World, times: usize) {
    for _ in 0..times {
        let error = RefreshError::new(RefreshErrorKind::Transient, "as the test wants");
        world.answer_next(Answer::Error(error.passing_soon()));
    }
}

#[tokio::test(start_paused = true)]
async fn fault_that_passes_within_seconds_reaches_no_caller() {
    let world = World::new();
    world.accept(None);
    fail(&world, 3);
    let session = world.session();
    let mut events = session.events();
    let api = world.layered(&session);
    for response in join_all((0..50).map(|_| send(&api))).await {
        assert_eq!(response.unwrap().status(), StatusCode::OK);
    }
    assert_eq!(world.refresh_tokens(), ["refresh-1"; 4]);
    let keys = world.keys();
    assert!(keys.iter().all(|key| key.is_some() && *key == keys[0]));
    let events = drain(&mut events);
    assert!(
        matches!(events[..], [Event::Refreshed { .. }]),
        "{events:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn outage_fails_all_callers_within_five_seconds_as_one_failed_refresh() {
    let world = World::new();
    world.accept(None);
    fail(&world, 50);
    let session = world.session();
    let mut events = session.events();
    let api = world.layered(&session);
    let start = Instant::now();
    for result in join_all((0..50).map(|_| send(&api))).await {
        let error = result.unwrap_err();
        let error = error.downcast_ref::<RefreshUnavailable>().unwrap();
        assert_eq!(error.kind(), UnavailableKind::Failed);
    }
    assert!(start.elapsed() <= Duration::from_secs(5));
    assert_eq!(world.calls(), 5);
    assert_eq!(drain(&mut events).len(), 1);
}

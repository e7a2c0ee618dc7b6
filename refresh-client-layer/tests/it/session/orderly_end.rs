//! Law C22: a program ends, and its session does not.

use std::time::Duration;

use refresh_client_layer::{
    MemoryStore, TokenError, TokenManager, TokenManagerBuilder, TokenSet, TokenStore as _,
    UnavailableKind,
};

use crate::support::{World, settle};

const SECOND: Duration = Duration::from_secs(1);

/// The token lives for 100 seconds: a refresh ahead of time begins after 82, the wait for one after 90.
fn builder(world: &World, store: &MemoryStore) -> TokenManagerBuilder {
    let tokens = TokenSet::new("access-1", "refresh-1").expires_in(100 * SECOND);
    world.builder().tokens(tokens).store(store.clone())
}

async fn token(session: &TokenManager) -> String {
    session.access_token().await.unwrap().secret().to_owned()
}

/// A session whose refresh ahead of time waits for the server.
async fn refreshing(world: &World, store: &MemoryStore) -> TokenManager {
    let session = builder(world, store).build().unwrap();
    assert_eq!(token(&session).await, "access-1");
    tokio::time::advance(85 * SECOND).await;
    world.hold();
    assert_eq!(token(&session).await, "access-1");
    world.called(1).await;
    session
}

#[tokio::test(start_paused = true)]
async fn flush_waits_for_the_refresh_under_way_and_for_its_write() {
    let (world, store) = (World::new(), MemoryStore::new());
    let session = refreshing(&world, &store).await;
    let flush = tokio::spawn({
        let session = session.clone();
        async move { session.flush(10 * SECOND).await }
    });
    settle().await;
    assert!(!flush.is_finished());
    world.release();
    assert!(flush.await.unwrap());
    let stored = store.load().await.unwrap().unwrap();
    assert_eq!(stored.tokens().access_token().secret(), "access-2");
}

#[tokio::test(start_paused = true)]
async fn flush_ends_at_its_limit() {
    let (world, store) = (World::new(), MemoryStore::new());
    let session = refreshing(&world, &store).await;
    assert!(!session.flush(SECOND).await);
    world.release();
    assert!(session.flush(SECOND).await);
}

#[tokio::test(start_paused = true)]
async fn after_close_no_refresh_begins_and_a_live_token_is_used() {
    let (world, store) = (World::new(), MemoryStore::new());
    let session = builder(&world, &store).build().unwrap();
    assert_eq!(token(&session).await, "access-1");
    assert!(session.close(SECOND).await);
    tokio::time::advance(85 * SECOND).await;
    assert_eq!(token(&session).await, "access-1");
    settle().await;
    match session.force_refresh().await.unwrap_err() {
        TokenError::RefreshUnavailable(error) => assert_eq!(error.kind(), UnavailableKind::Closed),
        error => panic!("{error}"),
    }
    assert_eq!(world.calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn without_early_refresh_nothing_begins_in_the_background() {
    let (world, store) = (World::new(), MemoryStore::new());
    let session = builder(&world, &store);
    let session = session.without_early_refresh().build().unwrap();
    assert_eq!(token(&session).await, "access-1");
    tokio::time::advance(85 * SECOND).await;
    assert_eq!(token(&session).await, "access-1");
    settle().await;
    assert_eq!(world.calls(), 0);
    tokio::time::advance(10 * SECOND).await;
    assert_eq!(token(&session).await, "access-2");
}

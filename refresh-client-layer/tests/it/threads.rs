//! What only several threads at once can do: a session under hammers. The orders of a single thread are
//! those of `exploration`.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use refresh_client_layer::{MemoryStore, TokenManager, TokenSet, TokenStore as _};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::support::{World, send};

/// Of so many even a wake-up is lost that slips through between two instructions.
fn rounds() -> usize {
    match std::env::var_os("TEST_FULL") {
        Some(_) => 40_000,
        None => 4_000,
    }
}

const TASKS: usize = 6;

/// Lets `task` run so often at the same moment. Nobody waits for ever.
async fn at_once<F>(task: impl Fn(usize) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let barrier = Arc::new(Barrier::new(TASKS));
    let mut tasks = JoinSet::new();
    for number in 0..TASKS {
        let (barrier, work) = (barrier.clone(), task(number));
        tasks.spawn(async move {
            barrier.wait().await;
            work.await;
        });
    }
    let all = tokio::time::timeout(Duration::from_secs(20), tasks.join_all());
    all.await.unwrap();
}

/// Laws C1 and C2.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whoever_meets_a_dead_token_shares_the_one_refresh() {
    for _ in 0..rounds() {
        let world = World::new();
        world.accept(None);
        let api = world.layered(&world.session());
        at_once(|_| {
            let api = api.clone();
            async move { assert_eq!(send(&api).await.unwrap().status(), StatusCode::OK) }
        })
        .await;
        assert_eq!(world.calls(), 1);
    }
}

/// Laws C4, C5 and C8.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn who_signs_in_and_out_while_others_refresh_strands_nobody_and_leaves_the_store_right() {
    for round in 0..rounds() {
        let world = World::new();
        let store = MemoryStore::new();
        let session = world.builder().store(store.clone()).build().unwrap();
        if round % 2 == 0 {
            world.hold();
        }
        at_once(|number| {
            let (world, session) = (world.clone(), session.clone());
            async move {
                match (number + round) % TASKS {
                    0 => drop(session.sign_out().await),
                    1 => session.sign_in(TokenSet::new("other", "other")).unwrap(),
                    2 => world.release(),
                    3 => drop(session.force_refresh().await),
                    _ => drop(send(&world.layered(&session)).await),
                }
            }
        })
        .await;
        assert!(session.flush(Duration::from_secs(60)).await);
        assert_eq!(stored(&store).await, held(&session).await, "round {round}");
    }
}

async fn stored(store: &MemoryStore) -> Option<String> {
    let stored = store.load().await.unwrap()?;
    Some(stored.tokens().access_token().secret().to_owned())
}

async fn held(session: &TokenManager) -> Option<String> {
    let token = session.access_token().await.ok()?;
    Some(token.secret().to_owned())
}

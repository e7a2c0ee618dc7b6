use futures_util::FutureExt as _;

use super::*;

/// R1 and R4, across two servers.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: tests/run test"]
async fn two_stores_that_race_give_one_child_and_one_report() {
    let url = database().await;
    let stores = [
        PostgresStore::connect(&url).await.unwrap(),
        PostgresStore::connect(&url).await.unwrap(),
    ];
    stores[0].insert(session(0), None).await.unwrap();
    let mut tasks = JoinSet::new();
    for key in 0..100 {
        let store = stores[usize::from(key % 2)].clone();
        tasks.spawn(async move { store.rotate(competing(0, key)).await.unwrap() });
    }
    let answers = tasks.join_all().await;
    let count = |is: fn(&Rotated) -> bool| answers.iter().filter(|it| is(it)).count();
    let advanced = count(|it| matches!(it, Rotated::Decided(Outcome::Advanced, _)));
    let reported = count(|it| matches!(it, Rotated::Decided(Outcome::Forked, _)));
    let refused = count(|it| matches!(it, Rotated::Dead(Dead::Revoked)));
    assert_eq!((advanced, reported, refused), (1, 1, 98));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: tests/run test"]
async fn two_stores_that_start_at_once_take_turns_with_the_schema() {
    let url = database().await;
    let mut tasks = JoinSet::new();
    for _ in 0..6 {
        let url = url.clone();
        tasks.spawn(async move { PostgresStore::connect(&url).await.map(drop) });
    }
    for opened in tasks.join_all().await {
        opened.unwrap();
    }
}

/// On one thread nothing is on its way before all have asked.
#[tokio::test]
#[ignore = "needs PostgreSQL: tests/run test"]
async fn above_what_may_wait_callers_are_turned_away_and_nobody_else_is() {
    let (store, _) = store().await;
    store.insert(session(0), None).await.unwrap();
    let ask = || Box::pin(store.rotate(keyed(0, 0)));
    let mut waiting: Vec<_> = (0..rotations::QUEUE).map(|_| ask()).collect();
    for one in &mut waiting {
        assert!(one.now_or_never().is_none());
    }
    let error = ask().now_or_never().unwrap().unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Overloaded);
    // Whoever goes away makes room.
    waiting.truncate(1);
    for one in waiting {
        assert_outcome(one.await, Outcome::Advanced);
    }
    assert_outcome(ask().await, Outcome::Replayed);
}

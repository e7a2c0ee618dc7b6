use super::*;

/// R1 and R4, across two servers.
#[tokio::test(flavor = "multi_thread")]
async fn two_stores_that_race_give_one_child_and_one_report() {
    let url = database().await;
    let stores = [
        PostgresStore::connect(&url).await.unwrap(),
        PostgresStore::connect(&url).await.unwrap(),
    ];
    stores[0].insert(session(0)).await.unwrap();
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

use super::*;

/// R6: rotations touch no index.
#[tokio::test]
#[ignore = "needs PostgreSQL: tests/run test"]
async fn a_thousand_rotations_are_one_row_and_no_index_entry() {
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .connect(&database().await)
        .await
        .unwrap();
    let store = PostgresStore::from_pool(pool.clone()).await.unwrap();
    store.insert(session(0), None).await.unwrap();
    for generation in 0..1_000 {
        let mut rotation = keyed(0, generation);
        rotation.now = NOW.plus(Duration::from_secs(generation));
        assert_outcome(store.rotate(rotation).await, Outcome::Advanced);
    }
    raw_sql("SELECT pg_stat_force_next_flush()")
        .execute(&pool)
        .await
        .unwrap();
    let (rows, updates, hot): (i64, i64, i64) = sqlx::query_as(
        "SELECT (SELECT count(*) FROM auth_session), n_tup_upd, n_tup_hot_upd \
        FROM pg_stat_user_tables WHERE relname = 'auth_session'",
    )
    .fetch_one(&pool)
    .await
    .unwrap();
    assert_eq!((rows, updates), (1, 1_000));
    // A page that is full before it can be pruned costs one that is not.
    assert!(hot >= 950, "{hot} of {updates} were heap-only");
}

/// What one caller brings cannot fail the others.
#[tokio::test]
#[ignore = "needs PostgreSQL: tests/run test"]
async fn a_value_that_postgres_cannot_hold_harms_nobody_else() {
    let (store, _) = store().await;
    for number in 0..3 {
        store.insert(session(number), None).await.unwrap();
    }
    let mut bad = keyed(1, 0);
    bad.user_agent = Some("a\0b".to_owned());
    let (first, bad, last) = tokio::join!(
        store.rotate(keyed(0, 0)),
        store.rotate(bad),
        store.rotate(keyed(2, 0)),
    );
    assert_outcome(first, Outcome::Advanced);
    assert_outcome(last, Outcome::Advanced);
    assert_eq!(bad.unwrap_err().kind(), StoreErrorKind::Rejected);
}

#[tokio::test]
#[ignore = "needs PostgreSQL: tests/run test"]
async fn a_row_that_somebody_keeps_locked_holds_up_its_own_session_only() {
    let (store, mut raw) = store().await;
    for number in 0..3 {
        store.insert(session(number), None).await.unwrap();
    }
    let mut other = raw.begin().await.unwrap();
    raw_sql("SELECT FROM auth_session WHERE id = decode(repeat('01', 16), 'hex') FOR UPDATE")
        .execute(&mut *other)
        .await
        .unwrap();
    let (first, locked, last) = tokio::join!(
        store.rotate(keyed(0, 0)),
        store.rotate(plain(1, 0)),
        store.rotate(plain(2, 0)),
    );
    assert_outcome(first, Outcome::Advanced);
    assert_outcome(last, Outcome::Advanced);
    assert_eq!(locked.unwrap_err().kind(), StoreErrorKind::Unavailable);
    drop(other);
    raw.close().await.unwrap();
    assert_outcome(store.rotate(plain(1, 0)).await, Outcome::Advanced);
}

#[tokio::test]
#[ignore = "needs PostgreSQL: tests/run test"]
async fn generations_and_deadlines_at_the_end_of_time_are_no_error() {
    let (store, mut raw) = store().await;
    store.insert(session(0), None).await.unwrap();
    let mut rotation = keyed(0, u64::MAX);
    rotation.idle = Duration::MAX;
    rotation.repeat_leeway = Duration::MAX;
    assert_outcome(store.rotate(rotation).await, Outcome::Future);
    let outcome: i16 = query_scalar("SELECT last_outcome FROM auth_session")
        .fetch_one(&mut raw)
        .await
        .unwrap();
    assert_eq!(outcome, 6);
}

/// Commits that notify wait for each other: rotations must not.
#[tokio::test]
#[ignore = "needs PostgreSQL: tests/run test"]
async fn only_what_is_revoked_is_notified() {
    let url = database().await;
    let store = PostgresStore::connect(&url).await.unwrap();
    let mut listener = PgListener::connect(&url).await.unwrap();
    listener.listen("auth_session_revoked").await.unwrap();
    for number in 0..3 {
        store.insert(session(number), None).await.unwrap();
    }
    for number in 0..2 {
        assert_outcome(store.rotate(keyed(number, 0)).await, Outcome::Advanced);
        assert_outcome(store.rotate(keyed(number, 0)).await, Outcome::Replayed);
    }
    assert_outcome(store.rotate(competing(1, 9)).await, Outcome::Forked);
    let others = Selection::Others {
        subject: "alice".to_owned(),
        keep: id(0),
    };
    store.revoke(others, RevokedBy::Token, NOW).await.unwrap();
    for told in [id(1), id(2)] {
        let news = listener.recv().await.unwrap();
        assert_eq!(news.payload().parse(), Ok(told));
    }
    assert!(listener.next_buffered().is_none());
}

/// R12 and R13: a table that is locked for longer than the callers wait. The repeat of a plain client would be taken for reuse if
/// its first rotation were carried out after all.
#[tokio::test]
#[ignore = "needs PostgreSQL: tests/run test"]
async fn a_lock_that_is_released_after_the_callers_were_refused_rotates_nothing() {
    let url = database().await;
    let without_settings = PgPoolOptions::new().connect(&url).await.unwrap();
    let stores = [
        PostgresStore::connect(&url).await.unwrap(),
        PostgresStore::from_pool(without_settings).await.unwrap(),
    ];
    let mut raw = PgConnection::connect(&url).await.unwrap();
    for (store, first) in stores.iter().zip([0, 12]) {
        let numbers = first..first + 12;
        for number in numbers.clone() {
            store.insert(session(number), None).await.unwrap();
        }
        let mut other = raw.begin().await.unwrap();
        raw_sql("LOCK TABLE auth_session IN ACCESS EXCLUSIVE MODE")
            .execute(&mut *other)
            .await
            .unwrap();
        let impatient = |number| Rotation {
            timeout: Duration::from_millis(2_500),
            ..plain(number, 0)
        };
        let asked = numbers.clone().map(|it| store.rotate(impatient(it)));
        let unlock = async {
            tokio::time::sleep(Duration::from_millis(4_000)).await;
            other.rollback().await.unwrap();
        };
        let (answers, ()) = tokio::join!(futures_util::future::join_all(asked), unlock);
        tokio::time::sleep(Duration::from_millis(500)).await;
        for (answer, number) in answers.into_iter().zip(numbers) {
            let error = answer.unwrap_err();
            assert_eq!(error.kind(), StoreErrorKind::Unavailable);
            assert_outcome(store.rotate(plain(number, 0)).await, Outcome::Advanced);
        }
    }
}

/// R13: rotations that wait for a connection are withdrawn as well.
#[tokio::test]
#[ignore = "needs PostgreSQL: tests/run test"]
async fn a_rotation_that_waits_for_a_connection_is_withdrawn_with_its_caller() {
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .connect(&database().await)
        .await
        .unwrap();
    let store = PostgresStore::from_pool(pool.clone()).await.unwrap();
    store.insert(session(0), None).await.unwrap();
    let taken = pool.acquire().await.unwrap();
    let impatient = Rotation {
        timeout: Duration::from_millis(100),
        ..plain(0, 0)
    };
    let error = store.rotate(impatient).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    drop(taken);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_outcome(store.rotate(plain(0, 0)).await, Outcome::Advanced);
}

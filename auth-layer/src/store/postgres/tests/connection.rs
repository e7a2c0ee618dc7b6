use super::*;

/// Ends the connection that rotates a session of "doomed", `times` times.
async fn doom(on: &mut PgConnection, times: u32) {
    let trigger = format!(
        "CREATE SEQUENCE IF NOT EXISTS kills;
        CREATE OR REPLACE FUNCTION kill() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF nextval('kills') <= {times} THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF;
            RETURN new; END $$;
        CREATE TRIGGER kills BEFORE UPDATE ON auth_session FOR EACH ROW
            WHEN (old.subject = 'doomed') EXECUTE FUNCTION kill();"
    );
    raw_sql(sqlx::AssertSqlSafe(trigger))
        .execute(on)
        .await
        .unwrap();
}

#[tokio::test]
#[ignore = "needs PostgreSQL: tests/run test"]
async fn a_connection_killed_in_the_middle_of_a_batch_is_a_passing_failure_and_the_next_call_works()
{
    let (store, mut raw) = store().await;
    let mut doomed = session(0);
    doomed.subject = "doomed".to_owned();
    store.insert(doomed, None).await.unwrap();
    for number in 1..4 {
        store.insert(session(number), None).await.unwrap();
    }
    doom(&mut raw, 2).await;
    let answers = tokio::join!(
        store.rotate(keyed(1, 0)),
        store.rotate(keyed(0, 0)),
        store.rotate(plain(2, 0)),
        store.rotate(plain(3, 0)),
    );
    for answer in [answers.0, answers.1, answers.2, answers.3] {
        assert_eq!(answer.unwrap_err().kind(), StoreErrorKind::Unavailable);
    }
    for again in [keyed(1, 0), keyed(0, 0), plain(2, 0), plain(3, 0)] {
        assert_outcome(store.rotate(again).await, Outcome::Advanced);
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL: tests/run test"]
async fn a_keyed_refresh_outlives_one_lost_connection() {
    let (store, mut raw) = store().await;
    let mut doomed = session(0);
    doomed.subject = "doomed".to_owned();
    store.insert(doomed, None).await.unwrap();
    doom(&mut raw, 1).await;
    assert_outcome(store.rotate(keyed(0, 0)).await, Outcome::Advanced);
}

/// A server in between that forwards everything until told to swallow an answer.
async fn swallowing(url: &str) -> (String, std::sync::Arc<AtomicU32>) {
    let server: PgConnectOptions = url.parse().unwrap();
    let to = (server.get_host().to_owned(), server.get_port());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let swallow = std::sync::Arc::new(AtomicU32::new(0));
    let armed = swallow.clone();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(&to).await.unwrap();
            let armed = armed.clone();
            tokio::spawn(async move {
                let (mut from_client, mut to_client) = client.into_split();
                let (mut from_server, mut to_server) = server.into_split();
                tokio::spawn(async move {
                    let _ = tokio::io::copy(&mut from_client, &mut to_server).await;
                    let _ = to_server.shutdown().await;
                });
                let mut bytes = [0; 16 * 1024];
                while let Ok(length @ 1..) =
                    tokio::io::AsyncReadExt::read(&mut from_server, &mut bytes).await
                {
                    // `T`, `D` and `2` begin what comes after a statement was run, `Z` is its end.
                    let is_answer = bytes[..length].starts_with(b"2") && bytes[length - 6] == b'Z';
                    if is_answer && armed.load(Ordering::SeqCst) > 0 {
                        armed.fetch_sub(1, Ordering::SeqCst);
                        return;
                    }
                    if to_client.write_all(&bytes[..length]).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    let path = url.rsplit_once('/').unwrap().1;
    let through = format!(
        "postgres://{}@127.0.0.1:{port}/{path}",
        server.get_username()
    );
    (through, swallow)
}

#[tokio::test]
#[ignore = "needs PostgreSQL: tests/run test"]
async fn an_answer_that_is_lost_never_becomes_a_second_rotation() {
    let (through, swallow) = swallowing(&database().await).await;
    let store = PostgresStore::connect(&through).await.unwrap();
    for number in 0..2 {
        store.insert(session(number), None).await.unwrap();
    }
    // The first use of a statement has an answer of its own to its preparation.
    assert_outcome(store.rotate(plain(0, 0)).await, Outcome::Advanced);

    swallow.store(1, Ordering::SeqCst);
    let error = store.rotate(plain(0, 1)).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    let session = stored(&store, 0).await.expect("not revoked");
    assert_eq!(session.chain.generation, 2, "it had happened");

    assert_outcome(store.rotate(keyed(1, 0)).await, Outcome::Advanced);
    swallow.store(1, Ordering::SeqCst);
    assert_outcome(store.rotate(keyed(1, 1)).await, Outcome::Replayed);
    assert_eq!(swallow.load(Ordering::SeqCst), 0);
}

#[tokio::test]
#[ignore = "needs PostgreSQL: tests/run test"]
async fn reuse_and_log_outs_are_told_although_their_first_answer_was_lost() {
    let (through, swallow) = swallowing(&database().await).await;
    let store = PostgresStore::connect(&through).await.unwrap();
    for number in 0..2 {
        store.insert(session(number), None).await.unwrap();
    }
    store.rotate(keyed(0, 0)).await.unwrap();
    swallow.store(1, Ordering::SeqCst);
    assert_outcome(store.rotate(competing(0, 9)).await, Outcome::Forked);

    let revoke = |number| store.revoke(Selection::One(id(number)), RevokedBy::Token, NOW);
    assert_eq!(revoke(0).await.unwrap(), [], "over already");
    swallow.store(1, Ordering::SeqCst);
    assert_eq!(revoke(1).await.unwrap().len(), 1);
    assert_eq!(swallow.load(Ordering::SeqCst), 0);
}

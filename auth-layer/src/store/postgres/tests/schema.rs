use super::*;

#[tokio::test]
#[ignore = "needs PostgreSQL: tests/run test"]
async fn another_programs_table_and_a_newer_schema_are_refused() {
    let url = database().await;
    let mut raw = PgConnection::connect(&url).await.unwrap();
    raw_sql("CREATE TABLE auth_session (name TEXT)")
        .execute(&mut raw)
        .await
        .unwrap();
    let error = PostgresStore::connect(&url).await.unwrap_err();
    assert_eq!(error.kind(), PostgresOpenErrorKind::NotAStore);

    let (_, mut raw) = {
        raw_sql("DROP TABLE auth_session")
            .execute(&mut raw)
            .await
            .unwrap();
        (PostgresStore::connect(&url).await.unwrap(), raw)
    };
    raw_sql("INSERT INTO auth_session_schema (version) VALUES (99)")
        .execute(&mut raw)
        .await
        .unwrap();
    let error = PostgresStore::connect(&url).await.unwrap_err();
    assert_eq!(error.kind(), PostgresOpenErrorKind::Newer);
}

#[tokio::test]
#[ignore = "needs PostgreSQL: tests/run test"]
async fn a_database_of_the_first_version_is_brought_up_to_date_with_its_sessions() {
    let url = database().await;
    let mut first = PgConnection::connect(&url).await.unwrap();
    raw_sql(include_str!(
        "../../../../migrations/postgres/0001_auth_session.sql"
    ))
    .execute(&mut first)
    .await
    .unwrap();
    raw_sql("INSERT INTO auth_session_schema (version) VALUES (1)")
        .execute(&mut first)
        .await
        .unwrap();
    let old = session(1);
    query(
        "INSERT INTO auth_session (id, subject, scopes, claims, auth_time, created_at, generation, \
        current_hash, rotated_at, idle_expires_at, absolute_expires_at) \
        VALUES ($1, $5, '', '{}', $3, $3, 0, $2, $3, $4, $4)",
    )
    .bind(*old.id.as_bytes())
    .bind(*old.chain.current.as_bytes())
    .bind(old.created_at.as_millis())
    .bind(old.chain.idle_expires_at.as_millis())
    .bind(&old.subject)
    .execute(&mut first)
    .await
    .unwrap();
    let store = PostgresStore::connect(&url).await.unwrap();
    let mut bound = session(2);
    bound.jkt = Some(crate::claims::Thumbprint::from_bytes([2; 32]));
    store.insert(bound.clone(), None).await.unwrap();
    let now = old.created_at;
    for it in [old, bound] {
        let listed = store.list(Selection::One(it.id), now).await;
        assert_eq!(listed.unwrap(), [it]);
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL: tests/run test"]
async fn a_pool_of_another_isolation_is_refused() {
    let options: PgConnectOptions = database().await.parse().unwrap();
    let strict = options.options([("default_transaction_isolation", "repeatable read")]);
    let pool = PgPoolOptions::new().connect_with(strict).await.unwrap();
    let error = PostgresStore::from_pool(pool).await.unwrap_err();
    assert_eq!(error.kind(), PostgresOpenErrorKind::Isolation);
}

#[tokio::test]
#[ignore = "needs PostgreSQL: tests/run test"]
async fn an_open_error_does_not_print_the_password() {
    for url in [
        "postgres://auth:hunter2@[",
        "postgres://auth:hunter2@host/db?sslmode=nonsense",
        "auth:hunter2@host",
    ] {
        let error = PostgresStore::connect(url).await.unwrap_err();
        assert_eq!(error.kind(), PostgresOpenErrorKind::InvalidUrl);
        let mut text = format!("{error} {error:?}");
        let mut cause: Option<&dyn std::error::Error> = std::error::Error::source(&error);
        while let Some(it) = cause {
            text += &it.to_string();
            cause = it.source();
        }
        assert!(!text.contains("hunter2"), "{text}");
    }
}

/// R12: an open reader, such as a dump, while a table of the first version is changed. Writers go on, and the node waits
/// instead of ending.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: tests/run test"]
async fn a_schema_change_behind_an_open_reader_blocks_writers_only_for_moments() {
    let url = database().await;
    let mut reader = PgConnection::connect(&url).await.unwrap();
    raw_sql(include_str!(
        "../../../../migrations/postgres/0001_auth_session.sql"
    ))
    .execute(&mut reader)
    .await
    .unwrap();
    raw_sql(
        "INSERT INTO auth_session_schema (version) VALUES (1);
        INSERT INTO auth_session (id, subject, scopes, claims, auth_time, created_at, generation,
            current_hash, rotated_at, idle_expires_at, absolute_expires_at)
        VALUES (decode(repeat('01', 16), 'hex'), 'alice', '', '{}', 0, 0, 0,
            decode(repeat('01', 32), 'hex'), 0, 0, 0)",
    )
    .execute(&mut reader)
    .await
    .unwrap();
    let mut reads = reader.begin().await.unwrap();
    raw_sql("SELECT count(*) FROM auth_session")
        .execute(&mut *reads)
        .await
        .unwrap();

    let mut writer = PgConnection::connect(&url).await.unwrap();
    let opens = tokio::spawn(async move { PostgresStore::connect(&url).await });
    let begin = tokio::time::Instant::now();
    let mut longest = Duration::ZERO;
    while begin.elapsed() < Duration::from_secs(3) {
        let before = tokio::time::Instant::now();
        raw_sql("UPDATE auth_session SET rotated_at = rotated_at + 1")
            .execute(&mut writer)
            .await
            .unwrap();
        longest = longest.max(before.elapsed());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(!opens.is_finished(), "it waits for the reader");
    assert!(longest < Duration::from_secs(1), "blocked for {longest:?}");
    reads.rollback().await.unwrap();
    let opened = tokio::time::timeout(Duration::from_secs(20), opens).await;
    let store = opened.unwrap().unwrap().unwrap();
    store.insert(session(2), None).await.unwrap();
}

/// A role without the right to change the schema is served once that is up to date, and told what is missing before.
#[tokio::test]
#[ignore = "needs PostgreSQL: tests/run test"]
async fn a_role_that_may_not_change_the_schema_is_served_or_told_what_is_missing() {
    let url = database().await;
    let role = format!("served_{}", url.rsplit_once('/').unwrap().1);
    let mut admin = PgConnection::connect(&url).await.unwrap();
    let grant = format!(
        "CREATE ROLE {role} LOGIN; REVOKE CREATE ON SCHEMA public FROM PUBLIC;
        ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO {role}"
    );
    raw_sql(sqlx::AssertSqlSafe(grant))
        .execute(&mut admin)
        .await
        .unwrap();
    let served = url.replacen("auth@", &format!("{role}@"), 1);
    let error = PostgresStore::connect(&served).await.unwrap_err();
    assert_eq!(error.kind(), PostgresOpenErrorKind::Denied);
    assert!(error.to_string().contains("no tables yet"), "{error}");

    PostgresStore::connect(&url).await.unwrap();
    let store = PostgresStore::connect(&served).await.unwrap();
    store.insert(session(1), Some(0)).await.unwrap();
    assert_outcome(store.rotate(keyed(1, 0)).await, Outcome::Advanced);
    store
        .revoke(Selection::Subject("alice".into()), RevokedBy::Token, NOW)
        .await
        .unwrap();

    raw_sql("DELETE FROM auth_session_schema WHERE version = 4; DROP TABLE auth_subject")
        .execute(&mut admin)
        .await
        .unwrap();
    let error = PostgresStore::connect(&served).await.unwrap_err();
    assert!(error.to_string().contains("version 3 of 4"), "{error}");
}

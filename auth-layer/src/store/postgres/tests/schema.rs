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
    store.insert(bound.clone()).await.unwrap();
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

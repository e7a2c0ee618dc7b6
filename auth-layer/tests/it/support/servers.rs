//! The servers that `tests/run test` starts, with a database for each test.

/// Files share the server, so each uses numbers of its own. What is published reaches all of them.
pub(crate) fn redis(database: u8) -> String {
    format!("{}/{database}", server("TEST_REDIS_URL"))
}

/// An empty one.
pub(crate) async fn postgres(database: &str) -> String {
    use sqlx::{AssertSqlSafe, Connection as _, PgConnection, raw_sql};

    let url = server("TEST_POSTGRES_URL");
    let admin = PgConnection::connect(&url).await;
    let mut admin = admin.expect("TEST_POSTGRES_URL leads to a server");
    for statement in [
        format!("DROP DATABASE IF EXISTS {database} WITH (FORCE)"),
        format!("CREATE DATABASE {database}"),
    ] {
        let done = raw_sql(AssertSqlSafe(statement)).execute(&mut admin);
        done.await.expect("its user may create databases");
    }
    let (server, _) = url.rsplit_once('/').expect("it names a database");
    format!("{server}/{database}")
}

/// An empty one, and the way to it through a PgBouncer in transaction mode.
pub(crate) async fn postgres_and_pgbouncer(database: &str) -> [String; 2] {
    let direct = postgres(database).await;
    [
        direct,
        format!("{}/{database}", server("TEST_PGBOUNCER_URL")),
    ]
}

fn server(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| {
        panic!("{variable} is not set: run `tests/run test`, which starts the servers, or name one")
    })
}

use auth_layer::refresh_token::SessionId;
use auth_layer::store::PostgresStore;
use sqlx::{Connection as _, PgConnection, Row as _, query, raw_sql};

use super::compare;
use super::pgbench::Pgbench;
use crate::BoxError;
use crate::report::Report;
use crate::rounds::{Effort, Series};

pub(super) async fn run(effort: Effort, report: &Report) -> Result<Series, BoxError> {
    let database = Database::create("auth_peers").await?;
    let store = PostgresStore::connect(database.url()).await?;
    let mut pgbench = Pgbench::new(database.url(), &store).await?;
    let ratio = compare("postgres", &store, &mut pgbench, effort, report).await;
    drop(store);
    database.drop().await?;
    ratio
}

/// A database of our own on the server of `TEST_POSTGRES_URL`.
pub(crate) struct Database {
    server: String,
    name: &'static str,
    url: String,
}

impl Database {
    pub(crate) async fn create(name: &'static str) -> Result<Self, BoxError> {
        let server = std::env::var("TEST_POSTGRES_URL")?;
        let (at, _) = server.rsplit_once('/').ok_or("a URL with a database")?;
        let url = format!("{at}/{name}");
        let it = Self { server, name, url };
        it.on_server(format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
            .await?;
        it.on_server(format!("CREATE DATABASE {name}")).await?;
        Ok(it)
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Adds so many sessions in one statement; their ids, in the order of the table.
    pub(crate) async fn fill(&self, sessions: u32) -> Result<Vec<SessionId>, BoxError> {
        let mut on = PgConnection::connect(&self.url).await?;
        query(FILL)
            .bind(i64::from(sessions))
            .execute(&mut on)
            .await?;
        raw_sql("VACUUM ANALYZE auth_session")
            .execute(&mut on)
            .await?;
        let rows = query("SELECT id FROM auth_session")
            .fetch_all(&mut on)
            .await?;
        let ids = rows
            .iter()
            .map(|row| row.try_get(0).map(SessionId::from_bytes));
        Ok(ids.collect::<Result<_, _>>()?)
    }

    pub(crate) async fn checkpoint(&self) -> Result<(), BoxError> {
        self.on_server("CHECKPOINT".to_owned()).await
    }

    pub(crate) async fn drop(self) -> Result<(), BoxError> {
        self.on_server(format!("DROP DATABASE {} WITH (FORCE)", self.name))
            .await
    }

    async fn on_server(&self, statement: String) -> Result<(), BoxError> {
        let mut on = PgConnection::connect(&self.server).await?;
        raw_sql(sqlx::AssertSqlSafe(statement))
            .execute(&mut on)
            .await?;
        Ok(())
    }
}

/// As `load::session` makes them, with ids by chance.
const FILL: &str = "INSERT INTO auth_session (id, subject, scopes, label, claims, auth_time, created_at, \
    generation, current_hash, rotated_at, idle_expires_at, absolute_expires_at) \
    SELECT uuid_send(gen_random_uuid()), 'user-' || n, 'read write', 'Firefox on Linux', \
    '{\"role\":\"member\"}', 1800000000000, 1800000000000, 0, decode(repeat('00', 32), 'hex'), \
    1800000000000, 1800000000000 + 1209600000, 1800000000000 + 7776000000 \
    FROM generate_series(1, $1) AS n";

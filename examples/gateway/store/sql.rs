use std::path::Path;
use std::time::Duration;

use auth_layer::{Clock as _, SessionId, SystemClock};
use futures_util::future::{BoxFuture, FutureExt as _};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use refresh_client_layer::StoreError;
use sqlx::AnyPool;
use sqlx::any::{AnyPoolOptions, install_default_drivers};

use super::Cells;

/// In a table of PostgreSQL or SQLite.
pub(super) struct Sql {
    pool: AnyPool,
    lifetime: Duration,
}

impl Sql {
    pub(super) async fn postgres(url: &str, lifetime: Duration) -> Result<Self, StoreError> {
        Self::open(url, 8, POSTGRES, lifetime).await
    }

    /// In a file beside that of the sessions.
    pub(super) async fn sqlite(sessions: &Path, lifetime: Duration) -> Result<Self, StoreError> {
        let path = sessions
            .with_added_extension("tokens")
            .display()
            .to_string();
        let url = format!("sqlite:{}?mode=rwc", utf8_percent_encode(&path, PATH));
        // One writes at a time anyway.
        Self::open(&url, 1, SQLITE, lifetime).await
    }

    async fn open(
        url: &str,
        connections: u32,
        schema: &'static str,
        lifetime: Duration,
    ) -> Result<Self, StoreError> {
        install_default_drivers();
        let options = AnyPoolOptions::new().max_connections(connections);
        let pool = options.acquire_timeout(PATIENCE).connect(url).await?;
        sqlx::raw_sql(schema).execute(&pool).await?;
        drop(tokio::spawn(forget_expired(pool.clone())));
        Ok(Self { pool, lifetime })
    }
}

impl Cells for Sql {
    fn get(&self, sid: SessionId) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>> {
        async move {
            let found = sqlx::query_scalar("SELECT sealed FROM gateway_tokens WHERE sid = $1")
                .bind(sid.to_string())
                .fetch_optional(&self.pool);
            Ok(found.await?)
        }
        .boxed()
    }

    fn swap<'a>(
        &'a self,
        sid: SessionId,
        old: Option<&'a [u8]>,
        new: Option<&'a [u8]>,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        let expires_at = SystemClock.now().plus(self.lifetime).as_millis();
        let query = match (old, new) {
            (None, None) => return async { Ok(true) }.boxed(),
            (None, Some(new)) => sqlx::query(INSERT).bind(new).bind(expires_at),
            (Some(old), Some(new)) => sqlx::query(UPDATE).bind(new).bind(expires_at).bind(old),
            (Some(old), None) => sqlx::query(DELETE).bind(old),
        };
        async move {
            let done = query.bind(sid.to_string()).execute(&self.pool).await?;
            Ok(done.rows_affected() == 1)
        }
        .boxed()
    }
}

async fn forget_expired(pool: AnyPool) {
    let mut pace = tokio::time::interval(HOUR);
    loop {
        pace.tick().await;
        let forget = sqlx::query(EXPIRED).bind(SystemClock.now().as_millis());
        if let Err(error) = forget.execute(&pool).await {
            tracing::warn!(%error, "expired records were not forgotten");
        }
    }
}

/// One at a time: gateways that start together would create it twice.
const POSTGRES: &str = "SELECT pg_advisory_xact_lock(hashtext('gateway_tokens')); \
    CREATE TABLE IF NOT EXISTS gateway_tokens \
    (sid TEXT PRIMARY KEY, sealed BYTEA NOT NULL, expires_at BIGINT NOT NULL)";
const SQLITE: &str = "PRAGMA journal_mode = WAL; CREATE TABLE IF NOT EXISTS gateway_tokens \
    (sid TEXT PRIMARY KEY, sealed BLOB NOT NULL, expires_at BIGINT NOT NULL)";

const INSERT: &str = "INSERT INTO gateway_tokens (sealed, expires_at, sid) VALUES ($1, $2, $3) \
    ON CONFLICT DO NOTHING";
const UPDATE: &str =
    "UPDATE gateway_tokens SET sealed = $1, expires_at = $2 WHERE sealed = $3 AND sid = $4";
const DELETE: &str = "DELETE FROM gateway_tokens WHERE sealed = $1 AND sid = $2";
const EXPIRED: &str = "DELETE FROM gateway_tokens WHERE expires_at < $1";

/// What a path may have in a URL as it is.
const PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'-')
    .remove(b'_')
    .remove(b'.');
const PATIENCE: Duration = Duration::from_secs(5);
const HOUR: Duration = Duration::from_secs(3600);

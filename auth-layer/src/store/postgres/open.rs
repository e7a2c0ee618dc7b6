use std::error::Error;
use std::fmt;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection, PgPoolOptions};
use sqlx::{Connection as _, PgPool, Row as _, query, query_scalar, raw_sql};

/// A session store that was not opened. The database is as it was; the message says what to do.
#[derive(Debug)]
pub struct PostgresOpenError {
    kind: PostgresOpenErrorKind,
    source: Option<sqlx::Error>,
}

impl PostgresOpenError {
    /// Why it was not opened.
    pub fn kind(&self) -> PostgresOpenErrorKind {
        self.kind
    }
}

/// Why a session store was not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PostgresOpenErrorKind {
    /// The URL is none, or has an option that is unknown.
    InvalidUrl,
    /// Nobody answers there.
    Unreachable,
    /// The role or its password is not accepted, or may not do what is needed.
    Denied,
    /// There is a table `auth_session` that is not ours.
    NotAStore,
    /// It was brought up to date by a newer version of this crate.
    Newer,
    /// Transactions of the pool are not `read committed` by default.
    Isolation,
    /// The database's encoding is not UTF-8.
    Encoding,
    /// PostgreSQL failed otherwise: see the source.
    Failed,
}

impl fmt::Display for PostgresOpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            PostgresOpenErrorKind::InvalidUrl => {
                "the URL of the session store is not understood: give \
                postgres://user:password@host:port/database"
            }
            PostgresOpenErrorKind::Unreachable => {
                "the session store cannot be reached: see that PostgreSQL runs, and what its URL is"
            }
            PostgresOpenErrorKind::Denied => {
                "the session store denies access: give a role that may connect and, the first time, \
                may create tables"
            }
            PostgresOpenErrorKind::NotAStore => {
                "the database has a table `auth_session` of something else: give another database \
                or `search_path`"
            }
            PostgresOpenErrorKind::Newer => {
                "the session store was brought up to date by a newer version of auth-layer: run \
                that version"
            }
            PostgresOpenErrorKind::Isolation => {
                "the pool's transactions must be `read committed`: set \
                `default_transaction_isolation` so"
            }
            PostgresOpenErrorKind::Encoding => {
                "the session store must be a database with the encoding UTF8"
            }
            PostgresOpenErrorKind::Failed => "the session store cannot be opened",
        })
    }
}

impl Error for PostgresOpenError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_ref().map(|it| it as _)
    }
}

/// Connections as this store likes them.
pub(super) async fn connect(url: &str) -> Result<PgPool, PostgresOpenError> {
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        return Err(PostgresOpenErrorKind::InvalidUrl.into());
    }
    let mut options: PgConnectOptions = url.parse()?;
    if options.get_application_name().is_none() {
        options = options.application_name("auth-layer");
    }
    let pool = PgPoolOptions::new()
        .max_connections(8)
        .acquire_timeout(Duration::from_secs(5))
        .test_before_acquire(false)
        .before_acquire(|on, meta| {
            Box::pin(async move {
                if meta.idle_for > TRUSTED {
                    on.ping().await?;
                }
                Ok(true)
            })
        })
        .after_connect(|on, _| Box::pin(settle(on)))
        .connect_with(options)
        .await?;
    Ok(pool)
}

pub(super) async fn settle(on: &mut PgConnection) -> sqlx::Result<()> {
    raw_sql(SETTINGS).execute(on).await.map(drop)
}

/// A connection that was idle for longer is tried first: that costs a round trip when there is time,
/// and after a restart of the server spares those whose refresh cannot be repeated.
const TRUSTED: Duration = Duration::from_millis(500);

/// Rows are found by index and locked in the order of their ids, whatever the planner knows of a
/// young table. Nobody waits long for a lock or an answer.
const SETTINGS: &str = "SET default_transaction_isolation = 'read committed'; \
    SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; \
    SET lock_timeout = '2s'; SET statement_timeout = '8s'";

/// Sees that the database will do, and brings its schema up to date.
pub(super) async fn prepare(pool: &PgPool) -> Result<(), PostgresOpenError> {
    let mut on = pool.acquire().await?;
    inspect(&mut on).await?;
    if version(&mut on).await? < MIGRATIONS.len() {
        migrate(&mut on).await?;
    }
    Ok(())
}

async fn inspect(on: &mut PgConnection) -> Result<(), PostgresOpenError> {
    let row = query(
        "SELECT current_setting('default_transaction_isolation') AS isolation, \
        current_setting('server_encoding') AS encoding",
    )
    .fetch_one(on)
    .await?;
    if row.try_get::<&str, _>("encoding")? != "UTF8" {
        return Err(PostgresOpenErrorKind::Encoding.into());
    }
    match row.try_get("isolation")? {
        "read committed" | "read uncommitted" => Ok(()),
        _ => Err(PostgresOpenErrorKind::Isolation.into()),
    }
}

/// How many migrations the database has had.
async fn version(on: &mut PgConnection) -> Result<usize, PostgresOpenError> {
    // From the table itself: a name that was looked up before may be remembered as missing.
    let row = query(
        "SELECT count(*) FILTER (WHERE relname = 'auth_session') > 0 AS sessions, \
        count(*) FILTER (WHERE relname = 'auth_session_schema') > 0 AS schema FROM pg_class \
        WHERE relname IN ('auth_session', 'auth_session_schema') AND pg_table_is_visible(oid)",
    )
    .fetch_one(&mut *on)
    .await?;
    match (row.try_get("sessions")?, row.try_get("schema")?) {
        (false, false) => return Ok(0),
        (true, true) => {}
        _ => return Err(PostgresOpenErrorKind::NotAStore.into()),
    }
    let version: i32 = query_scalar("SELECT max(version) FROM auth_session_schema")
        .fetch_one(on)
        .await?;
    match usize::try_from(version) {
        Ok(version) if version <= MIGRATIONS.len() => Ok(version),
        _ => Err(PostgresOpenErrorKind::Newer.into()),
    }
}

/// All or nothing, and one at a time.
async fn migrate(on: &mut PgConnection) -> Result<(), PostgresOpenError> {
    let mut transaction = on.begin().await?;
    raw_sql(ALONE).execute(&mut *transaction).await?;
    let done = version(&mut transaction).await?;
    for (migration, number) in MIGRATIONS.iter().zip(1_i32..).skip(done) {
        raw_sql(*migration).execute(&mut *transaction).await?;
        query("INSERT INTO auth_session_schema (version) VALUES ($1)")
            .bind(number)
            .execute(&mut *transaction)
            .await?;
    }
    transaction.commit().await?;
    Ok(())
}

/// The number is "authsess" in ASCII.
const ALONE: &str = "SET LOCAL lock_timeout = '60s'; SET LOCAL statement_timeout = 0; \
    SELECT pg_advisory_xact_lock(x'6175746873657373'::bigint)";

const MIGRATIONS: [&str; 3] = [
    include_str!("../../../migrations/postgres/0001_auth_session.sql"),
    include_str!("../../../migrations/postgres/0002_auth_session_jkt.sql"),
    include_str!("../../../migrations/postgres/0003_auth_session_revoked_at.sql"),
];

impl From<PostgresOpenErrorKind> for PostgresOpenError {
    fn from(kind: PostgresOpenErrorKind) -> Self {
        Self { kind, source: None }
    }
}

impl From<sqlx::Error> for PostgresOpenError {
    fn from(error: sqlx::Error) -> Self {
        let code = error.as_database_error().and_then(|it| it.code());
        let kind = match (&error, code.as_deref()) {
            (sqlx::Error::Configuration(_), _) => PostgresOpenErrorKind::InvalidUrl,
            (sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::Tls(_), _) => {
                PostgresOpenErrorKind::Unreachable
            }
            (_, Some("42501")) => PostgresOpenErrorKind::Denied,
            (_, Some(code)) if code.starts_with("28") => PostgresOpenErrorKind::Denied,
            _ => PostgresOpenErrorKind::Failed,
        };
        let source = Some(error);
        Self { kind, source }
    }
}

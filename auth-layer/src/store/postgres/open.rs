use std::error::Error;
use std::fmt;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection, PgPoolOptions};
use sqlx::{Connection as _, PgPool, Row as _, query, raw_sql};

/// A session store that was not opened. The database is as it was; the message says what to do.
#[derive(Debug)]
pub struct PostgresOpenError {
    kind: PostgresOpenErrorKind,
    source: Option<sqlx::Error>,
    /// The version of the schema that could not be changed.
    version: Option<usize>,
}

impl PostgresOpenError {
    /// Why it was not opened.
    pub fn kind(&self) -> PostgresOpenErrorKind {
        self.kind
    }

    fn at(self, version: usize) -> Self {
        let version = Some(version);
        Self { version, ..self }
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
    /// There is a table `auth_session` or `auth_subject` that is not ours.
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
                "the database has a table `auth_session` or `auth_subject` of something else: give \
                another database or `search_path`"
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
        })?;
        match self.version {
            Some(0) => write!(f, " (it has no tables yet, and they could not be created)"),
            Some(version) => write!(
                f,
                " (its schema is at version {version} of {}, and could not be changed)",
                MIGRATIONS.len()
            ),
            None => Ok(()),
        }
    }
}

impl Error for PostgresOpenError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_ref().map(|it| it as _)
    }
}

/// Connections as this store likes them. A pooler of transactions, such as PgBouncer, refuses the settings or ignores them:
/// they hold for one transaction at a time then, so that they reach no other application.
pub(super) async fn connect(url: &str) -> Result<PgPool, PostgresOpenError> {
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        return Err(PostgresOpenErrorKind::InvalidUrl.into());
    }
    // No number with a point is ever read, and PgBouncer refuses the setting that is about them.
    let mut options = url.parse::<PgConnectOptions>()?.extra_float_digits(None);
    if options.get_application_name().is_none() {
        options = options.application_name("auth-layer");
    }
    match pool().connect_with(settled(options.clone())).await {
        Err(error) if is_refused_setting(&error) => Ok(pool().connect_with(options).await?),
        pool => Ok(pool?),
    }
}

fn pool() -> PgPoolOptions {
    PgPoolOptions::new()
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
}

/// Settings of the connection itself, which it has from its beginning: no statement sets them.
pub(super) fn settled(options: PgConnectOptions) -> PgConnectOptions {
    options.options(SETTINGS)
}

fn is_refused_setting(error: &sqlx::Error) -> bool {
    let error = error.as_database_error();
    error
        .is_some_and(|it| it.code().as_deref() == Some("08P01") && it.message().contains("options"))
}

/// A connection that was idle for longer is tried first: that costs a round trip when there is time,
/// and after a restart of the server spares those whose refresh cannot be repeated.
const TRUSTED: Duration = Duration::from_millis(500);

/// Whether the connections lead to PostgreSQL itself. A pooler refuses the settings of a connection or ignores them, and with
/// them the mark.
pub(super) async fn is_direct(pool: &PgPool) -> sqlx::Result<bool> {
    let mut on = match pool.acquire().await {
        Err(error) if is_refused_setting(&error) => return Ok(false),
        on => on?,
    };
    let mark =
        "SELECT current_setting('auth_layer.direct', TRUE) IS NOT DISTINCT FROM 'on' AS direct";
    let row = raw_sql(mark).fetch_one(&mut *on).await?;
    row.try_get("direct")
}

/// Rows are found by index and locked in the order of their ids, whatever the planner knows of a
/// young table. No statement waits long for a lock or an answer.
const SETTINGS: [(&str, &str); 7] = [
    ("auth_layer.direct", "on"),
    ("default_transaction_isolation", "read committed"),
    ("enable_seqscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("lock_timeout", "2s"),
    ("statement_timeout", "8s"),
];

/// The same for one transaction.
pub(super) const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED; \
    SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off; \
    SET LOCAL lock_timeout = '2s'; SET LOCAL statement_timeout = '8s'";

/// Sees that the database will do, and brings its schema up to date. Returns whether its connections have the settings; those
/// of an application may have got them in another way.
pub(super) async fn prepare(pool: &PgPool, is_ours: bool) -> Result<bool, PostgresOpenError> {
    let mut on = pool.acquire().await?;
    let (is_direct, is_settled) = inspect(&mut on).await?;
    let is_settled = is_direct || is_settled && !is_ours;
    let mut pause = SHORTEST_PAUSE;
    loop {
        match step(&mut on).await? {
            Step::UpToDate => return Ok(is_settled),
            Step::Done => pause = SHORTEST_PAUSE,
            Step::TakenElsewhere => tokio::time::sleep(SHORTEST_PAUSE).await,
            Step::Locked(version) => {
                tracing::warn!(
                    target: "auth_layer::store", version, needed = MIGRATIONS.len(), retry_in = ?pause,
                    "the schema of the session store has to be changed, and another transaction holds its table"
                );
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

const SHORTEST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What became of one step of a schema change.
enum Step {
    UpToDate,
    Done,
    /// Another node changes the schema.
    TakenElsewhere,
    /// The table could not be locked at once.
    Locked(usize),
}

async fn inspect(on: &mut PgConnection) -> Result<(bool, bool), PostgresOpenError> {
    // Through a pooler a statement without a name lasts as long as its transaction.
    let mut transaction = on.begin().await?;
    let row = query(
        "SELECT current_setting('default_transaction_isolation') AS isolation, \
        current_setting('server_encoding') AS encoding, \
        current_setting('auth_layer.direct', TRUE) IS NOT DISTINCT FROM 'on' AS direct, \
        current_setting('enable_seqscan') = 'off' AND current_setting('enable_hashjoin') = 'off' AS settled",
    )
    .persistent(false)
    .fetch_one(&mut *transaction)
    .await?;
    transaction.commit().await?;
    if row.try_get::<&str, _>("encoding")? != "UTF8" {
        return Err(PostgresOpenErrorKind::Encoding.into());
    }
    match row.try_get("isolation")? {
        "read committed" | "read uncommitted" => {
            Ok((row.try_get("direct")?, row.try_get("settled")?))
        }
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
    .persistent(false)
    .fetch_one(&mut *on)
    .await?;
    match (row.try_get("sessions")?, row.try_get("schema")?) {
        (false, false) => return Ok(0),
        (true, true) => {}
        _ => return Err(PostgresOpenErrorKind::NotAStore.into()),
    }
    let row = query("SELECT max(version) AS version FROM auth_session_schema")
        .persistent(false)
        .fetch_one(on)
        .await?;
    match usize::try_from(row.try_get::<i32, _>("version")?) {
        Ok(version) if version <= MIGRATIONS.len() => Ok(version),
        _ => Err(PostgresOpenErrorKind::Newer.into()),
    }
}

/// Applies the next migration, all of it or nothing. Whatever asks for the table meanwhile waits behind this lock as well, so
/// it is given up quickly and tried again.
async fn step(on: &mut PgConnection) -> Result<Step, PostgresOpenError> {
    let mut transaction = on.begin_with(BEGIN_STEP).await?;
    let done = version(&mut transaction).await?;
    let Some(migration) = MIGRATIONS.get(done) else {
        transaction.commit().await?;
        return Ok(Step::UpToDate);
    };
    let row = query(ALONE)
        .persistent(false)
        .fetch_one(&mut *transaction)
        .await?;
    if !row.try_get::<bool, _>("alone")? {
        return Ok(Step::TakenElsewhere);
    }
    // Another node may have taken the step before this one was alone.
    if version(&mut transaction).await? != done {
        return Ok(Step::Done);
    }
    match raw_sql(*migration).execute(&mut *transaction).await {
        Ok(_) => {}
        Err(error) if is_locked(&error) => return Ok(Step::Locked(done)),
        Err(error) => return Err(PostgresOpenError::from(error).at(done)),
    }
    query("INSERT INTO auth_session_schema (version) VALUES ($1)")
        .bind(done as i32 + 1)
        .persistent(false)
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(Step::Done)
}

fn is_locked(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|it| it.code());
    matches!(code.as_deref(), Some("55P03" | "40P01"))
}

const BEGIN_STEP: &str = "BEGIN ISOLATION LEVEL READ COMMITTED; \
    SET LOCAL lock_timeout = '200ms'; SET LOCAL statement_timeout = 0";

/// The number is "authsess" in ASCII.
const ALONE: &str = "SELECT pg_try_advisory_xact_lock(x'6175746873657373'::bigint) AS alone";

const MIGRATIONS: [&str; 4] = [
    include_str!("../../../migrations/postgres/0001_auth_session.sql"),
    include_str!("../../../migrations/postgres/0002_auth_session_jkt.sql"),
    include_str!("../../../migrations/postgres/0003_auth_session_revoked_at.sql"),
    include_str!("../../../migrations/postgres/0004_auth_subject.sql"),
];

impl From<PostgresOpenErrorKind> for PostgresOpenError {
    fn from(kind: PostgresOpenErrorKind) -> Self {
        Self {
            kind,
            source: None,
            version: None,
        }
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
            (_, Some("42P07" | "42701")) => PostgresOpenErrorKind::NotAStore,
            (_, Some("42501")) => PostgresOpenErrorKind::Denied,
            (_, Some(code)) if code.starts_with("28") => PostgresOpenErrorKind::Denied,
            _ => PostgresOpenErrorKind::Failed,
        };
        Self {
            kind,
            source: Some(error),
            version: None,
        }
    }
}

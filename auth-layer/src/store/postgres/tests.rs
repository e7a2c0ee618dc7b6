//! What is PostgreSQL's own; the laws of all stores are in `tests/it/store/laws.rs`.

mod connection;
mod race;
mod row;
mod schema;

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use sqlx::{Connection as _, PgConnection, query, query_scalar, raw_sql};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::*;
use crate::refresh_token::{SessionId, TokenHash};
use crate::store::{Dead, Outcome, StoreErrorKind};

const NOW: Timestamp = Timestamp::from_secs(1_000);

/// An empty database of the server that `tests/run test` starts.
async fn database() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let url = std::env::var("TEST_POSTGRES_URL").unwrap_or_else(|_| {
        panic!("TEST_POSTGRES_URL is not set: run `tests/run test`, or name a server")
    });
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let name = format!("store_{}_{number}", std::process::id());
    let mut admin = PgConnection::connect(&url).await.unwrap();
    let create = sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"));
    raw_sql(create).execute(&mut admin).await.unwrap();
    format!("{}/{name}", url.rsplit_once('/').unwrap().0)
}

async fn store() -> (PostgresStore, PgConnection) {
    let url = database().await;
    let store = PostgresStore::connect(&url).await.unwrap();
    (store, PgConnection::connect(&url).await.unwrap())
}

fn id(number: u8) -> SessionId {
    SessionId::from_bytes([number; 16])
}

fn session(number: u8) -> Session {
    let day = Duration::from_secs(24 * 3600);
    Session::new(id(number), "alice", hash(number, 0), NOW, (day, day))
}

fn hash(number: u8, generation: u64) -> TokenHash {
    let mut bytes = [number; 32];
    bytes[..8].copy_from_slice(&generation.to_be_bytes());
    TokenHash::from_bytes(bytes)
}

fn keyed(number: u8, generation: u64) -> Rotation {
    let mut rotation = plain(number, generation);
    rotation.keyed = true;
    rotation
}

fn plain(number: u8, generation: u64) -> Rotation {
    let (token, child) = (
        hash(number, generation),
        hash(number, generation.wrapping_add(1)),
    );
    Rotation::new(id(number), generation, token, child, NOW)
}

/// With a key of its own: another child.
fn competing(number: u8, key: u8) -> Rotation {
    let mut rotation = keyed(number, 0);
    rotation.child = TokenHash::from_bytes([key; 32]);
    rotation
}

async fn stored(store: &PostgresStore, number: u8) -> Option<Session> {
    let found = store.list(Selection::One(id(number)), NOW).await.unwrap();
    found.into_iter().next()
}

#[track_caller]
fn assert_outcome(answer: Result<Rotated, StoreError>, expected: Outcome) {
    match answer {
        Ok(Rotated::Decided(outcome, _)) if outcome == expected => {}
        other => panic!("expected {expected:?}, but was {other:?}"),
    }
}

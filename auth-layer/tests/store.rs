//! The laws that every session store keeps.
#![cfg(all(feature = "issue", feature = "test-util"))]

use auth_layer::store::{MemoryStore, conformance};

/// R1 to R6: one live leaf, one child for each parent, generations never fall, revoked is absorbing,
/// reuse is told once, one row a session.
#[tokio::test(flavor = "multi_thread")]
async fn the_memory_store_keeps_the_laws() {
    conformance::all(MemoryStore::new()).await;
}

/// R1 to R6, as above.
#[cfg(feature = "sqlite")]
#[tokio::test(flavor = "multi_thread")]
async fn the_sqlite_store_keeps_the_laws() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sessions.db");
    let store = auth_layer::store::SqliteStore::open(path).await.unwrap();
    conformance::all(store).await;
}

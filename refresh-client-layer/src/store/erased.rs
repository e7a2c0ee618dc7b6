use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::{StoreError, StoreLock, StoredTokens, TokenStore};
use crate::clock;
use crate::tokens::{IdempotencyKey, TokenSet};

/// Any [`TokenStore`], with bounded patience.
#[derive(Clone)]
pub(crate) struct AnyStore(Arc<dyn Erased>);

impl AnyStore {
    pub(crate) fn new(store: impl TokenStore) -> Self {
        Self(Arc::new(store))
    }

    pub(crate) async fn load(&self) -> Result<Option<StoredTokens>, StoreFault> {
        bounded(self.0.load()).await
    }

    pub(crate) async fn save(&self, tokens: &TokenSet) -> Result<bool, StoreFault> {
        bounded(self.0.save(tokens)).await
    }

    pub(crate) async fn begin(
        &self,
        generation: u64,
        key: IdempotencyKey,
    ) -> Result<Option<StoredTokens>, StoreFault> {
        bounded(self.0.begin(generation, key)).await
    }

    pub(crate) async fn clear(&self, up_to: u64) -> Result<(), StoreFault> {
        bounded(self.0.clear(up_to)).await
    }

    /// As long as it takes: whoever holds the lock waits for a server.
    pub(crate) async fn lock(&self) -> Result<StoreLock, StoreFault> {
        self.0.lock().await.map_err(|_| StoreFault(()))
    }
}

impl fmt::Debug for AnyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AnyStore(..)")
    }
}

/// A store did not do what it was asked. What it said is not repeated: nobody knows what is in it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StoreFault(());

impl fmt::Display for StoreFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the token store failed")
    }
}

impl std::error::Error for StoreFault {}

async fn bounded<T>(work: Boxed<'_, T>) -> Result<T, StoreFault> {
    match clock::within(PATIENCE, work).await {
        Some(Ok(value)) => Ok(value),
        Some(Err(_)) | None => Err(StoreFault(())),
    }
}

trait Erased: Send + Sync {
    fn load(&self) -> Boxed<'_, Option<StoredTokens>>;
    fn save<'a>(&'a self, tokens: &'a TokenSet) -> Boxed<'a, bool>;
    fn begin(&self, generation: u64, key: IdempotencyKey) -> Boxed<'_, Option<StoredTokens>>;
    fn clear(&self, up_to: u64) -> Boxed<'_, ()>;
    fn lock(&self) -> Boxed<'_, StoreLock>;
}

impl<S: TokenStore> Erased for S {
    fn load(&self) -> Boxed<'_, Option<StoredTokens>> {
        Box::pin(TokenStore::load(self))
    }

    fn save<'a>(&'a self, tokens: &'a TokenSet) -> Boxed<'a, bool> {
        Box::pin(TokenStore::save(self, tokens))
    }

    fn begin(&self, generation: u64, key: IdempotencyKey) -> Boxed<'_, Option<StoredTokens>> {
        Box::pin(TokenStore::begin(self, generation, key))
    }

    fn clear(&self, up_to: u64) -> Boxed<'_, ()> {
        Box::pin(TokenStore::clear(self, up_to))
    }

    fn lock(&self) -> Boxed<'_, StoreLock> {
        Box::pin(TokenStore::lock(self))
    }
}

type Boxed<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// A store that takes longer than this has failed.
const PATIENCE: Duration = Duration::from_secs(10);

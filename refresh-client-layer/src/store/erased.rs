use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::{StoreError, StoreLock, StoredTokens, TokenStore, Version};
use crate::clock;

/// Any [`TokenStore`], with bounded patience.
#[derive(Clone)]
pub(crate) struct AnyStore {
    store: Arc<dyn Erased>,
    patience: Duration,
}

/// What is to become of a record that was looked at.
pub(crate) enum Change {
    Keep,
    Put(StoredTokens),
    Remove,
}

impl AnyStore {
    pub(crate) fn new(store: impl TokenStore) -> Self {
        Self {
            store: Arc::new(store),
            patience: PATIENCE,
        }
    }

    pub(crate) fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    pub(crate) async fn load(&self) -> Result<Option<StoredTokens>, StoreFault> {
        self.bounded(self.store.load()).await
    }

    /// Changes the record as `decide` says of it, and decides anew where another process was faster. Returns
    /// what is stored then.
    pub(crate) async fn update(
        &self,
        decide: impl Fn(Option<&StoredTokens>) -> Change,
    ) -> Result<Option<StoredTokens>, StoreFault> {
        let mut stored = self.load().await?;
        for _ in 0..MOST_CONFLICTS {
            let new = match decide(stored.as_ref()) {
                Change::Keep => return Ok(stored),
                Change::Put(record) => Some(record),
                Change::Remove => None,
            };
            let seen = version(&stored);
            stored = self
                .bounded(self.store.replace(seen.as_ref(), new.as_ref()))
                .await?;
            // Also if it was another process that wrote the same.
            if version(&stored) == version(&new) {
                return Ok(stored);
            }
        }
        Err(StoreFault(()))
    }

    /// As long as it takes: whoever holds the lock waits for a server.
    pub(crate) async fn lock(&self) -> Result<StoreLock, StoreFault> {
        self.store.lock().await.map_err(|_| StoreFault(()))
    }

    async fn bounded<T>(&self, work: Boxed<'_, T>) -> Result<T, StoreFault> {
        match clock::within(self.patience, work).await {
            Some(Ok(value)) => Ok(value),
            Some(Err(_)) | None => Err(StoreFault(())),
        }
    }
}

fn version(stored: &Option<StoredTokens>) -> Option<Version> {
    stored.as_ref().map(StoredTokens::version)
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

trait Erased: Send + Sync {
    fn load(&self) -> Boxed<'_, Option<StoredTokens>>;
    fn replace<'a>(
        &'a self,
        seen: Option<&'a Version>,
        new: Option<&'a StoredTokens>,
    ) -> Boxed<'a, Option<StoredTokens>>;
    fn lock(&self) -> Boxed<'_, StoreLock>;
}

impl<S: TokenStore> Erased for S {
    fn load(&self) -> Boxed<'_, Option<StoredTokens>> {
        Box::pin(TokenStore::load(self))
    }

    fn replace<'a>(
        &'a self,
        seen: Option<&'a Version>,
        new: Option<&'a StoredTokens>,
    ) -> Boxed<'a, Option<StoredTokens>> {
        Box::pin(TokenStore::replace(self, seen, new))
    }

    fn lock(&self) -> Boxed<'_, StoreLock> {
        Box::pin(TokenStore::lock(self))
    }
}

type Boxed<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// No honest race goes on for so long.
const MOST_CONFLICTS: u32 = 16;

/// A store that takes longer than this has failed, unless the builder says otherwise.
const PATIENCE: Duration = Duration::from_secs(10);

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{StoreError, StoreLock, StoredTokens, TokenStore};
use crate::tokens::{IdempotencyKey, TokenSet};

/// Forgets the session when the program ends. Clones share what they hold.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    kept: Arc<Mutex<Option<StoredTokens>>>,
    refreshing: Arc<tokio::sync::Mutex<()>>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn kept(&self) -> MutexGuard<'_, Option<StoredTokens>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TokenStore for MemoryStore {
    async fn load(&self) -> Result<Option<StoredTokens>, StoreError> {
        Ok(self.kept().clone())
    }

    async fn save(&self, tokens: &TokenSet) -> Result<bool, StoreError> {
        let mut kept = self.kept();
        let is_newer = kept
            .as_ref()
            .is_none_or(|kept| kept.is_older_than(tokens.generation()));
        if is_newer {
            *kept = Some(StoredTokens::new(tokens.clone()));
        }
        Ok(is_newer)
    }

    async fn begin(
        &self,
        generation: u64,
        key: IdempotencyKey,
    ) -> Result<Option<StoredTokens>, StoreError> {
        let mut kept = self.kept();
        if let Some(kept) = kept.as_mut() {
            kept.begin(generation, key);
        }
        Ok(kept.clone())
    }

    async fn clear(&self, up_to: u64) -> Result<(), StoreError> {
        let mut kept = self.kept();
        if kept.as_ref().is_some_and(|kept| !kept.is_newer_than(up_to)) {
            *kept = None;
        }
        Ok(())
    }

    async fn lock(&self) -> Result<StoreLock, StoreError> {
        Ok(StoreLock::new(self.refreshing.clone().lock_owned().await))
    }
}

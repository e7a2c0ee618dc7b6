use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{StoreError, StoreLock, StoredTokens, TokenStore, Version};

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

    async fn replace(
        &self,
        seen: Option<&Version>,
        new: Option<&StoredTokens>,
    ) -> Result<Option<StoredTokens>, StoreError> {
        let mut kept = self.kept();
        if kept.as_ref().map(StoredTokens::version).as_ref() == seen {
            *kept = new.cloned();
        }
        Ok(kept.clone())
    }

    async fn lock(&self) -> Result<StoreLock, StoreError> {
        Ok(StoreLock::new(self.refreshing.clone().lock_owned().await))
    }
}

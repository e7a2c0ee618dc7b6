use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use refresh_client_layer::{
    MemoryStore, StoreError, StoreLock, StoredTokens, TokenSet, TokenStore, Version,
};

use super::records::Records as _;

/// A store that can be made to take nothing. Clones share what they hold.
#[derive(Clone, Default)]
pub(crate) struct Shelf {
    pub(crate) kept: MemoryStore,
    is_locked: Arc<AtomicBool>,
}

impl Shelf {
    pub(crate) async fn with(tokens: TokenSet) -> Self {
        let shelf = Self::default();
        assert!(shelf.kept.save(&tokens).await.unwrap());
        shelf
    }

    pub(crate) fn fail(&self, is_locked: bool) {
        self.is_locked.store(is_locked, Ordering::SeqCst);
    }

    pub(crate) async fn access_token(&self) -> Option<String> {
        let kept = self.kept.load().await.unwrap()?;
        Some(kept.tokens().access_token().secret().to_owned())
    }

    fn open(&self) -> Result<&MemoryStore, StoreError> {
        match self.is_locked.load(Ordering::SeqCst) {
            true => Err("as the test wants".into()),
            false => Ok(&self.kept),
        }
    }
}

impl TokenStore for Shelf {
    async fn load(&self) -> Result<Option<StoredTokens>, StoreError> {
        self.kept.load().await
    }

    async fn replace(
        &self,
        seen: Option<&Version>,
        new: Option<&StoredTokens>,
    ) -> Result<Option<StoredTokens>, StoreError> {
        self.open()?.replace(seen, new).await
    }

    async fn lock(&self) -> Result<StoreLock, StoreError> {
        self.kept.lock().await
    }
}

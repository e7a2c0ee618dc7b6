use refresh_client_layer::{
    IdempotencyKey, MemoryStore, StoreError, StoreLock, StoredTokens, TokenSet, TokenStore,
};

use super::server::{Name, Server};

/// A store that takes its time before and after it does what it is asked.
#[derive(Clone)]
pub(crate) struct Shelf {
    pub(crate) memory: MemoryStore,
    pub(crate) server: Server,
    pub(crate) lies: bool,
}

impl Shelf {
    async fn slowly<T>(&self, work: impl Future<Output = T>) -> T {
        self.server.chance.stumble().await;
        let done = work.await;
        self.server.chance.stumble().await;
        done
    }

    async fn really_save(&self, tokens: &TokenSet) -> Result<bool, StoreError> {
        let is_saved = self.memory.save(tokens).await;
        if let Some(stored) = self.memory.load().await? {
            let name = Name::of(stored.tokens().access_token().secret());
            self.server.book().stored(name);
        }
        is_saved
    }
}

impl TokenStore for Shelf {
    async fn load(&self) -> Result<Option<StoredTokens>, StoreError> {
        self.slowly(self.memory.load()).await
    }

    async fn save(&self, tokens: &TokenSet) -> Result<bool, StoreError> {
        if self.lies {
            let (shelf, tokens) = (self.clone(), tokens.clone());
            tokio::spawn(async move { shelf.slowly(shelf.really_save(&tokens)).await });
            return Ok(true);
        }
        self.slowly(self.really_save(tokens)).await
    }

    async fn begin(
        &self,
        generation: u64,
        key: IdempotencyKey,
    ) -> Result<Option<StoredTokens>, StoreError> {
        self.slowly(self.memory.begin(generation, key)).await
    }

    async fn clear(&self, up_to: u64) -> Result<(), StoreError> {
        self.slowly(self.memory.clear(up_to)).await
    }

    async fn lock(&self) -> Result<StoreLock, StoreError> {
        self.slowly(self.memory.lock()).await
    }
}

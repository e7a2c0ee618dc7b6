use refresh_client_layer::{MemoryStore, StoreError, StoreLock, StoredTokens, TokenStore, Version};

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

    async fn really_replace(
        &self,
        seen: Option<&Version>,
        new: Option<&StoredTokens>,
    ) -> Result<Option<StoredTokens>, StoreError> {
        let stored = self.memory.replace(seen, new).await?;
        if let Some(stored) = &stored {
            let name = Name::of(stored.tokens().access_token().secret());
            self.server.book().stored(name);
        }
        Ok(stored)
    }
}

impl TokenStore for Shelf {
    async fn load(&self) -> Result<Option<StoredTokens>, StoreError> {
        self.slowly(self.memory.load()).await
    }

    async fn replace(
        &self,
        seen: Option<&Version>,
        new: Option<&StoredTokens>,
    ) -> Result<Option<StoredTokens>, StoreError> {
        if self.lies {
            let (shelf, seen, told) = (self.clone(), seen.copied(), new.cloned());
            let new = told.clone();
            tokio::spawn(async move {
                let write = shelf.really_replace(seen.as_ref(), new.as_ref());
                shelf.slowly(write).await
            });
            return Ok(told);
        }
        self.slowly(self.really_replace(seen, new)).await
    }

    async fn lock(&self) -> Result<StoreLock, StoreError> {
        self.slowly(self.memory.lock()).await
    }
}

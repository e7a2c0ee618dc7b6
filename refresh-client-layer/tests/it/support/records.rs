//! What another process does to a store.

use refresh_client_layer::{IdempotencyKey, StoreError, StoredTokens, TokenSet, TokenStore};
use serde_json::{Value, json};

pub(crate) trait Records: TokenStore {
    /// Stores the next tokens of the sign-in that is stored, or of a new one if none is; false if what is
    /// stored is as new.
    async fn save(&self, tokens: &TokenSet) -> Result<bool, StoreError> {
        let stored = self.load().await?;
        let new = match &stored {
            Some(stored) if stored.tokens().generation() >= tokens.generation() => {
                return Ok(false);
            }
            Some(stored) => next(stored, tokens),
            None => StoredTokens::new(tokens.clone()),
        };
        self.change(stored, Some(new)).await
    }

    /// Announces a refresh, unless one was begun or the generation is another.
    async fn begin(
        &self,
        generation: u64,
        key: IdempotencyKey,
    ) -> Result<Option<StoredTokens>, StoreError> {
        let stored = self.load().await?;
        if let Some(seen) = &stored {
            if seen.tokens().generation() == generation && seen.idempotency_key().is_none() {
                let new = begun(seen, &key);
                self.change(stored, Some(new)).await?;
            }
        }
        self.load().await
    }

    /// Signs out.
    async fn clear(&self) -> Result<(), StoreError> {
        let stored = self.load().await?;
        self.change(stored, None).await.map(drop)
    }

    async fn change(
        &self,
        seen: Option<StoredTokens>,
        new: Option<StoredTokens>,
    ) -> Result<bool, StoreError> {
        let version = |record: &Option<StoredTokens>| record.as_ref().map(StoredTokens::version);
        let stored = self.replace(version(&seen).as_ref(), new.as_ref()).await?;
        Ok(version(&stored) == version(&new))
    }
}

impl<S: TokenStore> Records for S {}

/// The record that replaces `stored` after a refresh.
pub(crate) fn next(stored: &StoredTokens, tokens: &TokenSet) -> StoredTokens {
    let (mut new, old) = (parsed(&StoredTokens::new(tokens.clone())), parsed(stored));
    new["sign_in"] = old["sign_in"].clone();
    written(&new)
}

/// The record once its refresh has begun with `key`.
pub(crate) fn begun(stored: &StoredTokens, key: &IdempotencyKey) -> StoredTokens {
    let mut new = parsed(stored);
    new["idempotency_key"] = json!(key.secret());
    written(&new)
}

fn parsed(record: &StoredTokens) -> Value {
    serde_json::from_slice(&record.to_json()).unwrap()
}

fn written(record: &Value) -> StoredTokens {
    StoredTokens::from_json(record.to_string().as_bytes()).unwrap()
}

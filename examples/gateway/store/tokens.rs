use std::sync::Arc;

use auth_layer::SessionId;
use refresh_client_layer::{IdempotencyKey, StoreError, StoredTokens, TokenSet, TokenStore};

use super::Cells;
use crate::seal::Seal;

/// The upstream's tokens of one session. Every change is a swap of what was read for what it becomes:
/// whoever comes second reads again.
pub(crate) struct UpstreamTokens {
    pub(crate) sid: SessionId,
    pub(crate) cells: Arc<dyn Cells>,
    pub(crate) seal: Arc<Seal>,
}

/// What becomes of a record.
enum Change {
    Keep,
    Put(StoredTokens),
    Clear,
}

impl UpstreamTokens {
    async fn change<T>(
        &self,
        decide: impl Fn(Option<StoredTokens>) -> (Change, T) + Send + Sync,
    ) -> Result<T, StoreError> {
        loop {
            let old = self.cells.get(self.sid).await?;
            let (change, answer) = decide(self.read(old.as_deref())?);
            let new = match change {
                Change::Keep => return Ok(answer),
                Change::Put(record) => Some(self.seal.close(self.sid, &record.to_json())?),
                Change::Clear => None,
            };
            if self
                .cells
                .swap(self.sid, old.as_deref(), new.as_deref())
                .await?
            {
                return Ok(answer);
            }
        }
    }

    fn read(&self, sealed: Option<&[u8]>) -> Result<Option<StoredTokens>, StoreError> {
        let Some(sealed) = sealed else {
            return Ok(None);
        };
        let record = self
            .seal
            .open(self.sid, sealed)
            .inspect_err(|error| tracing::error!(%error))?;
        Ok(Some(StoredTokens::from_json(&record)?))
    }
}

impl TokenStore for UpstreamTokens {
    async fn load(&self) -> Result<Option<StoredTokens>, StoreError> {
        self.read(self.cells.get(self.sid).await?.as_deref())
    }

    async fn save(&self, tokens: &TokenSet) -> Result<bool, StoreError> {
        self.change(|kept| match kept {
            Some(kept) if !kept.is_older_than(tokens.generation()) => (Change::Keep, false),
            _ => (Change::Put(StoredTokens::new(tokens.clone())), true),
        })
        .await
    }

    async fn begin(
        &self,
        generation: u64,
        key: IdempotencyKey,
    ) -> Result<Option<StoredTokens>, StoreError> {
        self.change(|kept| match kept {
            Some(mut kept) => match kept.begin(generation, key.clone()) {
                true => (Change::Put(kept.clone()), Some(kept)),
                false => (Change::Keep, Some(kept)),
            },
            None => (Change::Keep, None),
        })
        .await
    }

    async fn clear(&self, up_to: u64) -> Result<(), StoreError> {
        self.change(|kept| match kept {
            Some(kept) if !kept.is_newer_than(up_to) => (Change::Clear, ()),
            _ => (Change::Keep, ()),
        })
        .await
    }
}

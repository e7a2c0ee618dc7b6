use std::sync::Arc;

use auth_layer::SessionId;
use refresh_client_layer::{StoreError, StoredTokens, TokenStore, Version};

use super::Cells;
use crate::seal::Seal;

/// The upstream's tokens of one session.
pub(crate) struct UpstreamTokens {
    pub(crate) sid: SessionId,
    pub(crate) cells: Arc<dyn Cells>,
    pub(crate) seal: Arc<Seal>,
}

impl UpstreamTokens {
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

    async fn replace(
        &self,
        seen: Option<&Version>,
        new: Option<&StoredTokens>,
    ) -> Result<Option<StoredTokens>, StoreError> {
        let old = self.cells.get(self.sid).await?;
        let stored = self.read(old.as_deref())?;
        if stored.as_ref().map(StoredTokens::version).as_ref() != seen {
            return Ok(stored);
        }
        let sealed = match new {
            Some(record) => Some(self.seal.close(self.sid, &record.to_json())?),
            None => None,
        };
        let is_swapped = self
            .cells
            .swap(self.sid, old.as_deref(), sealed.as_deref())
            .await?;
        match is_swapped {
            true => Ok(new.cloned()),
            false => self.load().await,
        }
    }
}

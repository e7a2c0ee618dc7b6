//! Where the tokens of the upstream live, sealed.

mod memory;
mod redis;
mod sql;
mod tokens;

use std::sync::Arc;
use std::time::Duration;

use auth_layer::SessionId;
use examples::Store;
use futures_util::future::BoxFuture;
use refresh_client_layer::StoreError;

pub(crate) use self::tokens::UpstreamTokens;

/// A place for one record of each session, shared by gateways.
pub(crate) trait Cells: Send + Sync {
    /// What is there.
    fn get(&self, sid: SessionId) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>>;

    /// Puts `new` in the place of `old`, in one step, if that is what is there; false, and nothing
    /// changed, if it is not. `None` is an empty place.
    fn swap<'a>(
        &'a self,
        sid: SessionId,
        old: Option<&'a [u8]>,
        new: Option<&'a [u8]>,
    ) -> BoxFuture<'a, Result<bool, StoreError>>;
}

/// Opens the cells of `store`, whose records may be forgotten after `lifetime`.
pub(crate) async fn open(store: &Store, lifetime: Duration) -> Result<Arc<dyn Cells>, StoreError> {
    Ok(match store {
        Store::Memory => Arc::new(memory::Memory::default()),
        Store::Sqlite(path) => Arc::new(sql::Sql::sqlite(path, lifetime).await?),
        Store::Postgres(url) => Arc::new(sql::Sql::postgres(url, lifetime).await?),
        Store::Redis(url) => Arc::new(redis::Redis::open(url, lifetime).await?),
    })
}

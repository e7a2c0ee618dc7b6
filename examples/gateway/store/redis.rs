use std::time::Duration;

use ::redis::aio::ConnectionManager;
use ::redis::{AsyncCommands as _, Client, Script};
use auth_layer::SessionId;
use futures_util::future::{BoxFuture, FutureExt as _};
use refresh_client_layer::StoreError;

use super::Cells;

/// In keys of Redis.
pub(super) struct Redis {
    connection: ConnectionManager,
    swap: Script,
    lifetime: u64,
}

impl Redis {
    pub(super) async fn open(url: &str, lifetime: Duration) -> Result<Self, StoreError> {
        Ok(Self {
            connection: Client::open(url)?.get_connection_manager().await?,
            swap: Script::new(SWAP),
            lifetime: lifetime.as_secs(),
        })
    }
}

impl Cells for Redis {
    fn get(&self, sid: SessionId) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>> {
        let mut connection = self.connection.clone();
        async move { Ok(connection.get(key(sid)).await?) }.boxed()
    }

    fn swap<'a>(
        &'a self,
        sid: SessionId,
        old: Option<&'a [u8]>,
        new: Option<&'a [u8]>,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        let mut connection = self.connection.clone();
        async move {
            let mut swap = self.swap.key(key(sid));
            swap.arg(old.unwrap_or_default())
                .arg(new.unwrap_or_default());
            let swapped = swap.arg(self.lifetime).invoke_async(&mut connection);
            Ok(swapped.await?)
        }
        .boxed()
    }
}

fn key(sid: SessionId) -> String {
    format!("gateway_tokens:{{{sid}}}")
}

/// A record is never empty, so that an empty argument can stand for none.
const SWAP: &str = "
    if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end
    if ARGV[2] == '' then redis.call('DEL', KEYS[1])
    else redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3]) end
    return 1";

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use auth_layer::SessionId;
use futures_util::future::{BoxFuture, FutureExt as _, ready};
use refresh_client_layer::StoreError;

use super::Cells;

/// In the process, and as long as it: for trying things out.
#[derive(Default)]
pub(super) struct Memory(Mutex<HashMap<SessionId, Vec<u8>>>);

impl Memory {
    fn with<T>(&self, act: impl FnOnce(&mut HashMap<SessionId, Vec<u8>>) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Cells for Memory {
    fn get(&self, sid: SessionId) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>> {
        ready(Ok(self.with(|cells| cells.get(&sid).cloned()))).boxed()
    }

    fn swap<'a>(
        &'a self,
        sid: SessionId,
        old: Option<&'a [u8]>,
        new: Option<&'a [u8]>,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        let swapped = self.with(|cells| {
            let fits = cells.get(&sid).map(Vec::as_slice) == old;
            match new {
                _ if !fits => {}
                Some(new) => drop(cells.insert(sid, new.to_vec())),
                None => drop(cells.remove(&sid)),
            }
            fits
        });
        ready(Ok(swapped)).boxed()
    }
}

mod chain;
mod error;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use keyring_core::CredentialStore;
use tokio::runtime::Handle;
use tokio::time::sleep;

use self::chain::Chain;
pub use self::error::{KeyringStoreError, KeyringStoreErrorKind};
use super::blocking::{Blocking, Caller};
use super::file::{LockFile, NAP};
use super::{StoreError, StoreLock, StoredTokens, TokenStore, Version};

/// Keeps the session in the keychain of the system, or in any other credential store of the
/// `keyring-core` ecosystem.
///
/// Which one it is, the program says once, at its start, with a crate of its choice:
///
/// | system | `keyring_core::set_default_store(..)` with |
/// | --- | --- |
/// | macOS | `apple_native_keyring_store::keychain::Store::new()?` |
/// | Windows | `windows_native_keyring_store::Store::new()?` |
/// | Linux, a desktop | `zbus_secret_service_keyring_store::Store::new()?` |
/// | Linux, until the next boot | `linux_keyutils_keyring_store::Store::new()?` |
///
/// ```
/// use refresh_client_layer::{KeyringStore, TokenManager, TokenSet};
/// # use refresh_client_layer::{RefreshError, RefreshRequest};
/// # async fn refresher(_: RefreshRequest) -> Result<TokenSet, RefreshError> {
/// #     Ok(TokenSet::new("access-2", "refresh-2"))
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// keyring_core::set_default_store(keyring_core::mock::Store::new()?);
/// let session = TokenManager::builder(refresher)
///     .origin("https://api.example")
///     .store(KeyringStore::new("example.app", "alice"))
///     .build()?;
/// # session.sign_in(TokenSet::new("access", "refresh"))?;
/// # assert!(session.flush(std::time::Duration::from_secs(5)).await);
/// # Ok(())
/// # }
/// ```
///
/// # Entries
///
/// What [`StoredTokens::to_json`] writes is one entry, of this service and account, if it has at most
/// 2,500 bytes: Windows keeps no more than 2,560. A longer one is split into entries of accounts
/// `<account>#a0`, `<account>#a1` and so on, or `#b0`, in turns. The main entry names them and is
/// written last: a crash at any moment leaves the old tokens or the new ones.
///
/// # Several processes
///
/// A keychain knows no locks. Clones take turns; for several processes, or several stores of one
/// account, name a [`lock_file`](Self::lock_file). Without one the last writer wins, and a token may be
/// used twice.
///
/// The work is done by Tokio's blocking threads, or right away outside a runtime, since a keychain may
/// ask its user for a password. There is one call at a time, for all clones; the others wait without a
/// thread.
#[derive(Clone)]
pub struct KeyringStore {
    inner: Arc<Inner>,
}

struct Inner {
    chain: Chain,
    calls: Blocking,
    refreshing: Arc<tokio::sync::Mutex<()>>,
    locks: Option<Locks>,
    lock_calls: Blocking,
}

struct Locks {
    write: LockFile,
    refresh: LockFile,
}

impl KeyringStore {
    /// The entry of `account` at `service`, in the default store of `keyring-core` at the time of each
    /// call.
    pub fn new(service: impl Into<String>, account: impl Into<String>) -> Self {
        Self::of(Chain::new(None, service.into(), account.into()))
    }

    /// The entry of `account` at `service` in `store`.
    pub fn in_store(
        store: Arc<CredentialStore>,
        service: impl Into<String>,
        account: impl Into<String>,
    ) -> Self {
        Self::of(Chain::new(Some(store), service.into(), account.into()))
    }

    fn of(chain: Chain) -> Self {
        Self {
            inner: Arc::new(Inner {
                chain,
                calls: Blocking::default(),
                refreshing: Arc::default(),
                locks: None,
                lock_calls: Blocking::default(),
            }),
        }
    }

    /// Takes turns with every process that names the same file, which is made if it is missing, for its
    /// owner alone, and stays empty. A second one, `<file>.refresh`, is for those that refresh. Its folder
    /// should be the user's own.
    #[must_use]
    pub fn lock_file(self, path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let write = std::path::absolute(&path).unwrap_or(path);
        let mut refresh = write.clone().into_os_string();
        refresh.push(".refresh");
        Self {
            inner: Arc::new(Inner {
                chain: self.inner.chain.clone(),
                calls: Blocking::default(),
                refreshing: Arc::default(),
                locks: Some(Locks {
                    write: LockFile::new(write),
                    refresh: LockFile::new(refresh.into()),
                }),
                lock_calls: Blocking::default(),
            }),
        }
    }

    /// Does `work` where it may block, and where nobody else writes.
    async fn locked<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Chain, &Caller) -> Result<T, KeyringStoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.blocking(&self.inner.calls, move |inner, caller| {
            let locks = inner.locks.as_ref();
            let _held = locks.map(|it| it.write.lock(caller)).transpose()?;
            work(&inner.chain, caller)
        })
        .await
    }

    async fn blocking<T: Send + 'static>(
        &self,
        blocking: &Blocking,
        work: impl FnOnce(&Inner, &Caller) -> Result<T, KeyringStoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let inner = self.inner.clone();
        let result = blocking.run(move |caller| work(&inner, caller)).await?;
        result.map_err(|error| {
            tracing::error!(%error, "the keychain cannot be used");
            error.into()
        })
    }
}

impl TokenStore for KeyringStore {
    async fn load(&self) -> Result<Option<StoredTokens>, StoreError> {
        self.blocking(&self.inner.calls, |inner, _| inner.chain.read())
            .await
    }

    async fn replace(
        &self,
        seen: Option<&Version>,
        new: Option<&StoredTokens>,
    ) -> Result<Option<StoredTokens>, StoreError> {
        let (seen, new) = (seen.copied(), new.cloned());
        self.locked(move |chain, caller| {
            let kept = chain.read()?;
            if kept.as_ref().map(StoredTokens::version) != seen {
                return Ok(kept);
            }
            still_wanted(caller)?;
            match &new {
                Some(record) => chain.write(record)?,
                // Also where there is none: parts may have been left behind.
                None => chain.remove()?,
            }
            Ok(new)
        })
        .await
    }

    async fn lock(&self) -> Result<StoreLock, StoreError> {
        let turn = self.inner.refreshing.clone().lock_owned().await;
        loop {
            let held = self.blocking(&self.inner.lock_calls, |inner, _| match &inner.locks {
                Some(locks) => match locks.refresh.try_lock()? {
                    None if Handle::try_current().is_err() => Err(locks.refresh.is_locked().into()),
                    held => Ok(held.map(Some)),
                },
                None => Ok(Some(None)),
            });
            if let Some(held) = held.await? {
                return Ok(StoreLock::new((turn, held)));
            }
            sleep(NAP).await;
        }
    }
}

/// A keychain may have asked its user for hours.
fn still_wanted(caller: &Caller) -> Result<(), KeyringStoreError> {
    match caller.is_gone() {
        true => Err(KeyringStoreError::keychain("nobody waits any longer")),
        false => Ok(()),
    }
}

impl fmt::Debug for KeyringStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("KeyringStore")
            .field(&self.inner.chain)
            .finish()
    }
}

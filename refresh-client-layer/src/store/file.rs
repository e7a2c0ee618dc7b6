mod disk;
mod error;
mod lock;
mod ordinary;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::sleep;

use self::disk::{Disk, Locked};
pub use self::error::{FileStoreError, FileStoreErrorKind};
#[cfg(feature = "keyring")]
pub(super) use self::lock::LockFile;
use super::blocking::{Blocking, Caller};
use super::{StoreError, StoreLock, StoredTokens, TokenStore, Version};

/// Keeps the session in a file that only its owner can read (mode 0600), also for several processes.
///
/// ```
/// use refresh_client_layer::{FileStore, TokenManager, TokenSet};
/// # use refresh_client_layer::{RefreshError, RefreshRequest};
/// # async fn refresher(_: RefreshRequest) -> Result<TokenSet, RefreshError> {
/// #     Ok(TokenSet::new("access-2", "refresh-2"))
/// # }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("tokens.json");
/// let session = TokenManager::builder(refresher)
///     .origin("https://api.example")
///     .store(FileStore::new(path))
///     .build()?;
/// # let tokens = TokenSet::new("access", "refresh");
/// session.sign_in(tokens)?; // after a log-in; the next start finds them in the file
/// assert!(session.flush(std::time::Duration::from_secs(5)).await);
/// # Ok(())
/// # }
/// ```
///
/// # The file
///
/// It holds what [`StoredTokens::to_json`] writes, or the plain answer of a log-in that somebody put
/// there: a new sign-in, which running processes adopt. Its folder has to exist, so make it when the program starts: while it is missing, perhaps
/// because a disk is not mounted, every method fails, and no session ends.
///
/// Each write goes to `<file>.new`, is made durable and takes the file's place: a crash at any moment
/// leaves the old tokens or the new ones. Symbolic links are refused, not followed, at all these names;
/// those on the way to the folder are the system's business. Outside Unix there are no modes: who may
/// read the folder may read the tokens.
///
/// A damaged file is left as it is, for somebody to look at. Until it is restored, or removed to sign
/// in anew, every method fails and says so; the log repeats it, because a manager reports no more
/// than [`Event::StoreFailed`](crate::Event::StoreFailed).
///
/// # Several processes
///
/// Each change is made under an advisory lock on `<file>.lock`, an empty file. The lock of
/// a process that died is free; a process that is stopped while it holds it makes the others fail
/// after 5 seconds and try again later.
///
/// The processes adopt each other's tokens, and take turns to refresh: one that refreshes holds another
/// lock, on `<file>.refresh`, until the new tokens are in the file, and looks into the file first. A process
/// that is stopped meanwhile is passed after 5 seconds if the server is known to honour idempotency keys
/// ([`TokenSet::idempotent`](crate::TokenSet::idempotent)); else the others fail after 30 seconds and try again later.
///
/// The work is done by Tokio's blocking threads, no more than three at a time for all clones, or right
/// away outside a runtime.
#[derive(Clone)]
pub struct FileStore {
    disk: Arc<Disk>,
    reads: Blocking,
    writes: Blocking,
    locks: Blocking,
}

impl FileStore {
    /// A store in the file at `path`, which need not exist yet. Nothing is touched until it is used.
    ///
    /// A relative path is resolved now, whatever becomes of the working directory later.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let path = std::path::absolute(&path).unwrap_or(path);
        Self {
            disk: Arc::new(Disk::new(path)),
            reads: Blocking::default(),
            writes: Blocking::default(),
            locks: Blocking::default(),
        }
    }

    /// Does `work` under the lock, where it may block.
    async fn locked<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Locked<'_>) -> Result<T, FileStoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.blocking(&self.writes, move |disk, caller| work(&disk.lock(caller)?))
            .await
    }

    async fn blocking<T: Send + 'static>(
        &self,
        blocking: &Blocking,
        work: impl FnOnce(&Disk, &Caller) -> Result<T, FileStoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let disk = self.disk.clone();
        let result = blocking.run(move |caller| work(&disk, caller)).await?;
        result.map_err(|error| {
            tracing::error!(%error, "the token file cannot be used");
            error.into()
        })
    }
}

impl TokenStore for FileStore {
    /// Without the lock: whoever writes replaces the whole file at once.
    async fn load(&self) -> Result<Option<StoredTokens>, StoreError> {
        self.blocking(&self.reads, |disk, _| disk.read()).await
    }

    async fn replace(
        &self,
        seen: Option<&Version>,
        new: Option<&StoredTokens>,
    ) -> Result<Option<StoredTokens>, StoreError> {
        let (seen, new) = (seen.copied(), new.cloned());
        self.locked(move |disk| {
            let kept = disk.read()?;
            if kept.as_ref().map(StoredTokens::version) != seen {
                return Ok(kept);
            }
            match &new {
                Some(record) => disk.write(record)?,
                // Also where there is none: a write that was broken off may have left tokens behind.
                None => disk.remove()?,
            }
            Ok(new)
        })
        .await
    }

    /// On a file of its own, since the others go on to read and write meanwhile. No thread waits:
    /// the holder may take as long as its server does.
    async fn lock(&self) -> Result<StoreLock, StoreError> {
        loop {
            let held = self.blocking(&self.locks, |disk, _| disk.refresh_lock.try_lock());
            match held.await? {
                Some(held) => return Ok(StoreLock::new(held)),
                None if Handle::try_current().is_ok() => sleep(NAP).await,
                None => return Err(self.disk.refresh_lock.is_locked().into()),
            }
        }
    }
}

impl fmt::Debug for FileStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FileStore").field(&self.disk.path()).finish()
    }
}

/// How soon a free lock is noticed.
pub(super) const NAP: Duration = Duration::from_millis(20);

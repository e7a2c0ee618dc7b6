//! Where the session lives while the program does not run.

#[cfg(feature = "file")]
mod blocking;
mod erased;
#[cfg(feature = "file")]
mod file;
#[cfg(feature = "keyring")]
mod keyring;
mod lock;
mod memory;
mod record;
mod version;

use std::error::Error;
use std::future::{Future, ready};

pub(crate) use self::erased::{AnyStore, Change, StoreFault};
#[cfg(feature = "file")]
#[cfg_attr(docsrs, doc(cfg(feature = "file")))]
pub use self::file::{FileStore, FileStoreError, FileStoreErrorKind};
#[cfg(feature = "keyring")]
#[cfg_attr(docsrs, doc(cfg(feature = "keyring")))]
pub use self::keyring::{KeyringStore, KeyringStoreError, KeyringStoreErrorKind};
pub use self::lock::StoreLock;
pub use self::memory::MemoryStore;
pub use self::record::StoredTokens;
pub(crate) use self::version::SignInId;
pub use self::version::Version;

/// Keeps one session's tokens, possibly for several processes at once.
///
/// Every method is atomic and, once it has returned `Ok`, durable: a crash leaves the state before it or the
/// state after it. An `Err` is reported as [`Event::StoreFailed`](crate::Event::StoreFailed); the session goes
/// on in memory and the write is tried again. The error should not contain a token.
///
/// A manager gives a call up after
/// [`store_timeout`](crate::TokenManagerBuilder::store_timeout), by dropping its future. What goes on of it, in
/// a thread or at a server, has no effect once the record has changed, as its version is then another.
///
/// [`StoredTokens::to_json`] and [`StoredTokens::from_json`] are a format for those that keep bytes.
///
/// ```
/// use std::{error::Error, sync::Mutex};
/// use refresh_client_layer::{StoredTokens, TokenStore, Version};
///
/// #[derive(Default)]
/// struct Record(Mutex<Option<StoredTokens>>);
///
/// type Fault = Box<dyn Error + Send + Sync>;
///
/// impl TokenStore for Record {
///     async fn load(&self) -> Result<Option<StoredTokens>, Fault> {
///         Ok(self.0.lock().unwrap().clone())
///     }
///
///     async fn replace(&self, seen: Option<&Version>, new: Option<&StoredTokens>)
///         -> Result<Option<StoredTokens>, Fault>
///     {
///         let mut stored = self.0.lock().unwrap();
///         if stored.as_ref().map(StoredTokens::version).as_ref() == seen {
///             *stored = new.cloned();
///         }
///         Ok(stored.clone())
///     }
/// }
/// ```
pub trait TokenStore: Send + Sync + 'static {
    /// Returns the record, `None` if nobody is signed in.
    fn load(&self) -> impl Future<Output = Result<Option<StoredTokens>, StoreError>> + Send;

    /// Stores `new`, or removes the record if it is `None`, provided that the version of the record is still
    /// `seen`, or that there is still none. Returns the record as it is then, whether it was changed or not.
    ///
    /// A caller finds out what became of its change by the version of what is returned.
    fn replace(
        &self,
        seen: Option<&Version>,
        new: Option<&StoredTokens>,
    ) -> impl Future<Output = Result<Option<StoredTokens>, StoreError>> + Send;

    /// Waits until no other process that shares this store refreshes, and keeps it so until the lock is
    /// dropped. The other methods are not held up by it.
    ///
    /// A manager takes it for each refresh, bounds the wait, and loads the record once it has the lock. A
    /// process that died must not keep it.
    ///
    /// By default there is no lock, which will do for a store that one process uses.
    fn lock(&self) -> impl Future<Output = Result<StoreLock, StoreError>> + Send {
        ready(Ok(StoreLock::default()))
    }
}

/// Why a store could not do what it was asked.
pub type StoreError = Box<dyn Error + Send + Sync>;

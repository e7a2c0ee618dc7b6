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

use std::error::Error;
use std::future::{Future, ready};

use crate::tokens::{IdempotencyKey, TokenSet};

pub(crate) use self::erased::{AnyStore, StoreFault};
#[cfg(feature = "file")]
#[cfg_attr(docsrs, doc(cfg(feature = "file")))]
pub use self::file::{FileStore, FileStoreError, FileStoreErrorKind};
#[cfg(feature = "keyring")]
#[cfg_attr(docsrs, doc(cfg(feature = "keyring")))]
pub use self::keyring::{KeyringStore, KeyringStoreError, KeyringStoreErrorKind};
pub use self::lock::StoreLock;
pub use self::memory::MemoryStore;
pub use self::record::StoredTokens;

/// Keeps one session's tokens, possibly for several processes at once.
///
/// Every method is atomic and, once it has returned `Ok`, durable: a crash leaves the state before
/// it or the state after it. The [`generation`](TokenSet::generation), a number of 64 bits, decides
/// between two writers. An `Err` is reported as [`Event::StoreFailed`](crate::Event::StoreFailed); the
/// session goes on in memory and the write is tried again. The error should not contain a token.
///
/// A manager gives a call up after 10 seconds, by dropping its future. What goes on of it, in a thread or
/// at a server, must not take effect after a call that was made later.
///
/// [`StoredTokens::to_json`] and [`StoredTokens::from_json`] are a format for those that keep bytes.
///
/// ```
/// use std::{error::Error, sync::Mutex};
/// use refresh_client_layer::{IdempotencyKey, StoredTokens, TokenSet, TokenStore};
///
/// #[derive(Default)]
/// struct Shelf(Mutex<Option<StoredTokens>>);
///
/// type Fault = Box<dyn Error + Send + Sync>;
///
/// impl TokenStore for Shelf {
///     async fn load(&self) -> Result<Option<StoredTokens>, Fault> {
///         Ok(self.0.lock().unwrap().clone())
///     }
///
///     async fn save(&self, tokens: &TokenSet) -> Result<bool, Fault> {
///         let mut kept = self.0.lock().unwrap();
///         let is_newer = kept.as_ref().is_none_or(|kept| kept.is_older_than(tokens.generation()));
///         if is_newer {
///             *kept = Some(StoredTokens::new(tokens.clone()));
///         }
///         Ok(is_newer)
///     }
///
///     async fn begin(&self, generation: u64, key: IdempotencyKey)
///         -> Result<Option<StoredTokens>, Fault>
///     {
///         let mut kept = self.0.lock().unwrap();
///         if let Some(kept) = kept.as_mut() {
///             kept.begin(generation, key);
///         }
///         Ok(kept.clone())
///     }
///
///     async fn clear(&self, up_to: u64) -> Result<(), Fault> {
///         let mut kept = self.0.lock().unwrap();
///         if kept.as_ref().is_some_and(|kept| !kept.is_newer_than(up_to)) {
///             *kept = None;
///         }
///         Ok(())
///     }
/// }
/// ```
pub trait TokenStore: Send + Sync + 'static {
    /// What is stored, `None` if nobody is signed in.
    fn load(&self) -> impl Future<Output = Result<Option<StoredTokens>, StoreError>> + Send;

    /// Stores `tokens` in place of a *lower* generation or of nothing, and forgets the idempotency
    /// key in the same write. Returns false, and changes nothing, if what is stored has the same or
    /// a higher generation.
    fn save(&self, tokens: &TokenSet) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Announces a refresh of `generation`: stores `key` next to the tokens if they have that
    /// generation and no key yet. Returns what is stored then, whatever it is.
    ///
    /// The key that comes back counts, so that a repeat after a crash, or from another process,
    /// sends the same pair of token and key.
    fn begin(
        &self,
        generation: u64,
        key: IdempotencyKey,
    ) -> impl Future<Output = Result<Option<StoredTokens>, StoreError>> + Send;

    /// Forgets the session, unless its generation is higher than `up_to`.
    fn clear(&self, up_to: u64) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Waits until nobody else who shares this store refreshes, and keeps it so until the lock is
    /// dropped. The other methods are not held up by it.
    ///
    /// Only managers of a [`plain_server`](crate::TokenManagerBuilder::plain_server) ask for it: there
    /// a second use of a refresh token may end the session. They bound the time, and look into the
    /// store once they have the lock. One that died must not keep it.
    ///
    /// By default there is no lock, which will do for a store that one process uses.
    fn lock(&self) -> impl Future<Output = Result<StoreLock, StoreError>> + Send {
        ready(Ok(StoreLock::default()))
    }
}

/// Why a store could not do what it was asked.
pub type StoreError = Box<dyn Error + Send + Sync>;

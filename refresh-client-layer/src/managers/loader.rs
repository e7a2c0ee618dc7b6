use std::error::Error;
use std::fmt;
use std::future::Future;
use std::sync::Arc;

use crate::manager::TokenManagerBuilder;

/// Finds the session that a key stands for.
///
/// Any `Fn(K) -> impl Future<Output = Result<Option<TokenManagerBuilder>, LoadError>>` is one.
///
/// ```
/// use refresh_client_layer::{
///     LoadError, LoadErrorKind, MemoryStore, RefreshError, RefreshRequest, SessionLoader,
///     TokenManager, TokenManagerBuilder, TokenSet,
/// };
/// # async fn store_of(user: &str) -> std::io::Result<Option<MemoryStore>> { Ok(None) }
/// # async fn refresh(_: RefreshRequest) -> Result<TokenSet, RefreshError> {
/// #     Ok(TokenSet::new("a", "r"))
/// # }
///
/// struct Users;
///
/// impl SessionLoader<String> for Users {
///     async fn load(&self, user: String) -> Result<Option<TokenManagerBuilder>, LoadError> {
///         let found = store_of(&user).await.map_err(|error| {
///             LoadError::new(LoadErrorKind::Transient, "the users cannot be read").with_source(error)
///         })?;
///         Ok(found.map(|store| {
///             TokenManager::builder(refresh)
///                 .store(store)
///                 .origin("https://api.example")
///         }))
///     }
/// }
/// ```
pub trait SessionLoader<K>: Send + Sync + 'static {
    /// The session of `key`, with a [store](TokenManagerBuilder::store) of its own; `None` if there is
    /// no such session.
    ///
    /// It is called once however many requests ask for the key, and dropped when none of them waits
    /// any more. That there is none is not remembered. After an error the loader is left alone for a
    /// while, as a token server is.
    ///
    /// # Errors
    ///
    /// A fault that may be gone at the next try must be [`Transient`](LoadErrorKind::Transient), so
    /// that nobody is asked to sign in because of it.
    fn load(
        &self,
        key: K,
    ) -> impl Future<Output = Result<Option<TokenManagerBuilder>, LoadError>> + Send;
}

impl<K, F, Fut> SessionLoader<K> for F
where
    F: Fn(K) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Option<TokenManagerBuilder>, LoadError>> + Send,
{
    fn load(
        &self,
        key: K,
    ) -> impl Future<Output = Result<Option<TokenManagerBuilder>, LoadError>> + Send {
        self(key)
    }
}

/// Why a session could not be loaded.
#[derive(Clone, Debug)]
pub struct LoadError {
    kind: LoadErrorKind,
    what: &'static str,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

/// What a [`LoadError`] means for the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LoadErrorKind {
    /// It cannot be brought back: somebody has to sign in.
    Final,
    /// Anything that may be gone at the next try.
    Transient,
}

impl LoadError {
    /// An error that says `what` happened: a fixed sentence, so that no secret gets into it.
    pub fn new(kind: LoadErrorKind, what: &'static str) -> Self {
        Self {
            kind,
            what,
            source: None,
        }
    }

    /// With the error that caused it. It must not contain a token.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(Arc::from(source.into()));
        self
    }

    /// What it means for the session.
    pub fn kind(&self) -> LoadErrorKind {
        self.kind
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what)
    }
}

impl Error for LoadError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source
            .as_deref()
            .map(|source| source as &(dyn Error + 'static))
    }
}

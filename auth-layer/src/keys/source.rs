use std::fmt;
use std::future::Future;
use std::pin::Pin;

/// Where a [`KeySet`](super::KeySet) gets newer keys by itself.
pub(crate) trait KeySource: fmt::Debug + Send + Sync {
    /// Sees to it that the keys are kept fresh. Asked at each look at the keys, so it is cheap.
    fn keep_alive(&self);

    /// A wait for newer keys, if they may bring the one that a token with `kid` needs.
    fn refetch(&self, kid: Option<&str>) -> Option<Refetch>;

    /// Whether a key that is not in the set is known not to exist.
    fn is_current(&self) -> bool;

    /// Whether there can never be keys, because they are at a place where none may be fetched.
    fn is_misplaced(&self) -> bool;
}

/// Ends when the keys were fetched, or could not be.
pub(crate) type Refetch = Pin<Box<dyn Future<Output = ()> + Send>>;

use std::fmt;

/// The right to refresh, alone among all who share a [`TokenStore`](super::TokenStore); dropping it
/// gives it back.
#[derive(Default)]
#[must_use = "what is dropped is given back"]
pub struct StoreLock {
    _guard: Option<Box<dyn Send>>,
}

impl StoreLock {
    /// Lasts as long as `guard`: dropping that is what unlocks.
    pub fn new(guard: impl Send + 'static) -> Self {
        Self {
            _guard: Some(Box::new(guard)),
        }
    }
}

impl fmt::Debug for StoreLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoreLock(..)")
    }
}

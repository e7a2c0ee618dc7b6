use std::error::Error;
use std::fmt;

use crate::store::file::FileStoreError;
use crate::tokens::InvalidTokens;

/// Why a [`KeyringStore`](super::KeyringStore) could not do what it was asked; the text says what to do.
///
/// It repeats nothing of what an entry holds.
#[derive(Debug)]
pub struct KeyringStoreError {
    kind: KeyringStoreErrorKind,
    what: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// The kinds of [`KeyringStoreError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyringStoreErrorKind {
    /// The program has not said which keychain is the default.
    NoKeychain,
    /// The keychain is locked, or failed.
    Keychain,
    /// The entry holds something else than tokens. It was left as it is.
    Damaged,
    /// The tokens are longer than any server's.
    TooLong,
    /// The lock file cannot be had; the source says why.
    LockFile,
}

impl KeyringStoreError {
    /// What went wrong.
    pub fn kind(&self) -> KeyringStoreErrorKind {
        self.kind
    }

    pub(super) fn keychain(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            ..KeyringStoreErrorKind::Keychain.into()
        }
    }

    pub(super) fn damaged(why: Option<InvalidTokens>) -> Self {
        Self {
            source: why.map(Into::into),
            ..KeyringStoreErrorKind::Damaged.into()
        }
    }
}

impl From<KeyringStoreErrorKind> for KeyringStoreError {
    fn from(kind: KeyringStoreErrorKind) -> Self {
        Self {
            kind,
            what: String::new(),
            source: None,
        }
    }
}

impl From<keyring_core::Error> for KeyringStoreError {
    /// Only what it displays: its `Debug` would print what an entry holds.
    fn from(error: keyring_core::Error) -> Self {
        match error {
            keyring_core::Error::NoDefaultStore => KeyringStoreErrorKind::NoKeychain.into(),
            keyring_core::Error::BadEncoding(_) | keyring_core::Error::BadDataFormat(..) => {
                Self::damaged(None)
            }
            error => Self::keychain(error.to_string()),
        }
    }
}

impl From<FileStoreError> for KeyringStoreError {
    fn from(error: FileStoreError) -> Self {
        Self {
            source: Some(error.into()),
            ..KeyringStoreErrorKind::LockFile.into()
        }
    }
}

impl fmt::Display for KeyringStoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            KeyringStoreErrorKind::NoKeychain => f.write_str(
                "no keychain was chosen: call keyring_core::set_default_store at the start",
            ),
            KeyringStoreErrorKind::Keychain => {
                write!(f, "the keychain failed, see that it is unlocked: {}", self.what)
            }
            KeyringStoreErrorKind::Damaged => f.write_str(
                "the entry in the keychain is damaged and was left as it is: remove it and sign in anew",
            ),
            KeyringStoreErrorKind::TooLong => {
                f.write_str("the tokens are too long for the keychain: ask the server for shorter ones")
            }
            KeyringStoreErrorKind::LockFile => {
                f.write_str("the lock file of the keychain entry cannot be had")
            }
        }
    }
}

impl Error for KeyringStoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source
            .as_deref()
            .map(|source| source as &(dyn Error + 'static))
    }
}

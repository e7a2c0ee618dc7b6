use std::fmt;

/// Why there is no key, or no proof.
#[derive(Clone, Debug)]
pub struct DpopKeyError {
    kind: DpopKeyErrorKind,
}

/// The kinds of [`DpopKeyError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DpopKeyErrorKind {
    /// Not a P-256 private key in PKCS #8.
    Malformed,
    /// The URL is not absolute.
    Url,
    /// The cryptography library failed, such as for want of random numbers.
    Failed,
}

impl DpopKeyError {
    /// What is wrong.
    pub fn kind(&self) -> DpopKeyErrorKind {
        self.kind
    }
}

impl From<DpopKeyErrorKind> for DpopKeyError {
    fn from(kind: DpopKeyErrorKind) -> Self {
        Self { kind }
    }
}

impl fmt::Display for DpopKeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            DpopKeyErrorKind::Malformed => "the key is no P-256 private key in PKCS #8",
            DpopKeyErrorKind::Url => "a proof needs the absolute URL of its request",
            DpopKeyErrorKind::Failed => "the cryptography library failed",
        })
    }
}

impl std::error::Error for DpopKeyError {}

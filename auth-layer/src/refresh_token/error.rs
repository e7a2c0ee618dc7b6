use std::fmt;

/// A text that no refresh secret of ours made into a refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenError(TokenErrorKind);

impl TokenError {
    /// What is wrong with it.
    pub fn kind(&self) -> TokenErrorKind {
        self.0
    }
}

/// What is wrong with a refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenErrorKind {
    /// Not of the format at all.
    Malformed,
    /// Of the format, but forged, damaged, or made with a secret that is no longer accepted.
    BadTag,
}

impl From<TokenErrorKind> for TokenError {
    fn from(kind: TokenErrorKind) -> Self {
        Self(kind)
    }
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            TokenErrorKind::Malformed => "this is not a refresh token",
            TokenErrorKind::BadTag => "the refresh token was not made with a secret in use",
        })
    }
}

impl std::error::Error for TokenError {}

/// A refresh secret that is too short to be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefreshSecretError(pub(super) ());

impl fmt::Display for RefreshSecretError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a refresh secret needs at least 32 random bytes")
    }
}

impl std::error::Error for RefreshSecretError {}

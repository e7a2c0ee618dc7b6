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
    /// The token names a secret that is in use, and was forged or damaged.
    BadTag,
    /// The token names a refresh secret that is not in use here, such as a retired one. Whether it
    /// was ever genuine cannot be checked.
    UnknownSecret,
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
            TokenErrorKind::BadTag => "the refresh token is forged or damaged",
            TokenErrorKind::UnknownSecret => {
                "the refresh token was made with a secret that is not in use"
            }
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

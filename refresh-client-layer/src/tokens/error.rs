use std::fmt;

/// Why a text is not a pair of tokens.
///
/// It never repeats the text.
#[derive(Clone, Debug)]
pub struct InvalidTokens {
    kind: InvalidTokensKind,
}

/// The kinds of [`InvalidTokens`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidTokensKind {
    /// Not a JSON object with members of the expected types.
    NotJson,
    /// No `access_token`.
    NoAccessToken,
    /// No `refresh_token`, and none to keep.
    NoRefreshToken,
    /// The `token_type` is not `Bearer`.
    NotBearer,
    /// The `token_type` is not `DPoP`, although a key was proved.
    NotBound,
    /// A token is empty or has characters that a header cannot carry.
    Characters,
}

impl InvalidTokens {
    /// What is wrong.
    pub fn kind(&self) -> InvalidTokensKind {
        self.kind
    }
}

impl From<InvalidTokensKind> for InvalidTokens {
    fn from(kind: InvalidTokensKind) -> Self {
        Self { kind }
    }
}

impl fmt::Display for InvalidTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            InvalidTokensKind::NotJson => "the token answer is not the expected JSON object",
            InvalidTokensKind::NoAccessToken => "the token answer has no access token",
            InvalidTokensKind::NoRefreshToken => "the token answer has no refresh token",
            InvalidTokensKind::NotBearer => "the token type is not bearer",
            InvalidTokensKind::NotBound => {
                "the token type is not dpop, so the token is bound to no key"
            }
            InvalidTokensKind::Characters => {
                "a token is empty or has characters that a header cannot carry"
            }
        })
    }
}

impl std::error::Error for InvalidTokens {}

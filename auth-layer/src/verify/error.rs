use std::fmt;

/// Why an access token was refused. Says nothing of what the token holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerifyError {
    kind: VerifyErrorKind,
}

impl VerifyError {
    /// An error of this kind, for a `Verify` of your own.
    pub const fn new(kind: VerifyErrorKind) -> Self {
        Self { kind }
    }

    /// What was wrong.
    pub const fn kind(&self) -> VerifyErrorKind {
        self.kind
    }
}

/// What was wrong with an access token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum VerifyErrorKind {
    /// Longer than allowed.
    TooLong,
    /// Not three base64url parts of which the first is a JOSE header.
    Malformed,
    /// `typ` is not that of an access token.
    WrongType,
    /// `crit`, `b64`, `zip` or `enc` in the header.
    UnsupportedHeader,
    /// `alg` is not supported or not that of the key.
    WrongAlgorithm,
    /// No key has the token's `kid`.
    UnknownKey,
    /// The signature is not the key's.
    BadSignature,
    /// The claims are not one JSON object of the right types, without repeated members.
    MalformedClaims,
    /// `exp`, `iss`, `aud` or a claim of your choice is missing.
    MissingClaim,
    /// Its time is over (`exp`).
    Expired,
    /// Its time has not come (`nbf`).
    NotYetValid,
    /// Issued in the future (`iat`).
    IssuedInFuture,
    /// Issued longer ago than `max_age` allows.
    TooOld,
    /// Of another issuer.
    WrongIssuer,
    /// For another audience.
    WrongAudience,
    /// Bound to a key (`cnf`) that nobody checks here.
    ProofRequired,
    /// Revoked before its time was over.
    Revoked,
    /// There are no keys to verify with at the moment; says nothing about the token.
    KeysUnavailable,
}

impl VerifyErrorKind {
    /// A sentence for the client, within the characters of RFC 6750 s3's `error_description`.
    pub const fn description(self) -> &'static str {
        match self {
            Self::TooLong => "The access token is too long",
            Self::Malformed => "The access token is malformed",
            Self::WrongType => "The token is not an access token",
            Self::UnsupportedHeader => "The access token has an unsupported header",
            Self::WrongAlgorithm => "The access token has an unsupported algorithm",
            Self::UnknownKey => "The access token is signed by an unknown key",
            Self::BadSignature => "The access token has a bad signature",
            Self::MalformedClaims => "The access token has malformed claims",
            Self::MissingClaim => "The access token lacks a claim",
            Self::Expired => "The access token expired",
            Self::NotYetValid => "The access token is not yet valid",
            Self::IssuedInFuture => "The access token is issued in the future",
            Self::TooOld => "The access token is too old",
            Self::WrongIssuer => "The access token is of another issuer",
            Self::WrongAudience => "The access token is for another audience",
            Self::ProofRequired => "The access token is bound to a key that cannot be checked",
            Self::Revoked => "The access token was revoked",
            Self::KeysUnavailable => "Access tokens cannot be verified at the moment",
        }
    }
}

impl fmt::Display for VerifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sentence = self.kind.description();
        write!(
            f,
            "{}{}",
            sentence[..1].to_ascii_lowercase(),
            &sentence[1..]
        )
    }
}

impl std::error::Error for VerifyError {}

impl From<VerifyErrorKind> for VerifyError {
    fn from(kind: VerifyErrorKind) -> Self {
        Self::new(kind)
    }
}

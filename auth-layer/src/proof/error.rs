/// What was wrong with a DPoP proof (RFC 9449 s4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProofErrorKind {
    /// A token of the `DPoP` scheme without a `DPoP` header.
    Missing,
    /// More than one `DPoP` header.
    Repeated,
    /// Longer than 8 KiB.
    TooLong,
    /// Not three base64url parts of which the first is a JOSE header.
    Malformed,
    /// `typ` is not `dpop+jwt`.
    WrongType,
    /// `crit`, `b64`, `zip` or `enc` in the header.
    UnsupportedHeader,
    /// `alg` is none of those allowed.
    WrongAlgorithm,
    /// `jwk` is missing, private, weak, or no key for `alg`.
    BadKey,
    /// The signature is not that of `jwk`.
    BadSignature,
    /// The claims are not one JSON object of the right types, without repeated members.
    MalformedClaims,
    /// `jti`, `htm`, `htu`, `iat` or `ath` is missing.
    MissingClaim,
    /// `jti` is empty or longer than 256 bytes.
    BadIdentifier,
    /// For another method (`htm`).
    WrongMethod,
    /// For another address (`htu`).
    WrongUri,
    /// Made too long ago (`iat`).
    TooOld,
    /// Made in the future (`iat`).
    MadeInFuture,
    /// For another access token (`ath`).
    WrongToken,
    /// Without a `nonce` of this server, or with one that is over (RFC 9449 s9).
    NonceRequired,
    /// Used before.
    Replayed,
}

impl ProofErrorKind {
    /// A stable label, for logs and metrics.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Missing => "proof_missing",
            Self::Repeated => "proof_repeated",
            Self::TooLong => "proof_too_long",
            Self::Malformed => "proof_malformed",
            Self::WrongType => "proof_wrong_type",
            Self::UnsupportedHeader => "proof_unsupported_header",
            Self::WrongAlgorithm => "proof_wrong_algorithm",
            Self::BadKey => "proof_bad_key",
            Self::BadSignature => "proof_bad_signature",
            Self::MalformedClaims => "proof_malformed_claims",
            Self::MissingClaim => "proof_missing_claim",
            Self::BadIdentifier => "proof_bad_identifier",
            Self::WrongMethod => "proof_wrong_method",
            Self::WrongUri => "proof_wrong_uri",
            Self::TooOld => "proof_too_old",
            Self::MadeInFuture => "proof_made_in_future",
            Self::WrongToken => "proof_wrong_token",
            Self::NonceRequired => "proof_nonce_required",
            Self::Replayed => "proof_replayed",
        }
    }

    /// A sentence for the client, within the characters of RFC 6750 s3's `error_description`.
    pub const fn description(self) -> &'static str {
        match self {
            Self::Missing => "No DPoP proof was sent",
            Self::Repeated => "More than one DPoP proof was sent",
            Self::TooLong => "The DPoP proof is too long",
            Self::Malformed => "The DPoP proof is malformed",
            Self::WrongType => "The DPoP proof is not of the type dpop+jwt",
            Self::UnsupportedHeader => "The DPoP proof has an unsupported header",
            Self::WrongAlgorithm => "The DPoP proof has an unsupported algorithm",
            Self::BadKey => "The DPoP proof has no public key for its algorithm",
            Self::BadSignature => "The DPoP proof has a bad signature",
            Self::MalformedClaims => "The DPoP proof has malformed claims",
            Self::MissingClaim => "The DPoP proof lacks a claim",
            Self::BadIdentifier => "The DPoP proof has an empty or too long jti",
            Self::WrongMethod => "The DPoP proof is for another method",
            Self::WrongUri => "The DPoP proof is for another address",
            Self::TooOld => "The DPoP proof is too old",
            Self::MadeInFuture => "The DPoP proof was made in the future",
            Self::WrongToken => "The DPoP proof is for another access token",
            Self::NonceRequired => "The DPoP proof needs the nonce of this server",
            Self::Replayed => "The DPoP proof was used before",
        }
    }
}

/// How an access token and its sender do not belong together. The error code is always
/// `invalid_token` (RFC 9449 s7.1, RFC 8705 s3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BindingErrorKind {
    /// Bound to a DPoP key, but sent as a bearer token.
    SentAsBearer,
    /// Sent with the `DPoP` scheme, but not bound to a DPoP key.
    NotBoundToKey,
    /// Bound to nothing where all tokens have to be.
    NotBound,
    /// Sent as a bearer token where only the `DPoP` scheme is accepted.
    DpopRequired,
    /// Bound to another key than that of the proof.
    WrongKey,
    /// Bound to a certificate, but the client has shown none.
    NoCertificate,
    /// Bound to another certificate.
    WrongCertificate,
}

impl BindingErrorKind {
    /// A stable label, for logs and metrics.
    pub const fn label(self) -> &'static str {
        match self {
            Self::SentAsBearer => "bound_token_sent_as_bearer",
            Self::NotBoundToKey => "token_not_bound_to_key",
            Self::NotBound => "token_not_bound",
            Self::DpopRequired => "dpop_required",
            Self::WrongKey => "token_bound_to_other_key",
            Self::NoCertificate => "client_certificate_missing",
            Self::WrongCertificate => "token_bound_to_other_certificate",
        }
    }

    /// A sentence for the client, within the characters of RFC 6750 s3's `error_description`.
    pub const fn description(self) -> &'static str {
        match self {
            Self::SentAsBearer => "The access token is bound to a key and was sent without a proof",
            Self::NotBoundToKey => "The access token is not bound to a DPoP key",
            Self::NotBound => "The access token is not bound to its sender",
            Self::DpopRequired => "The access token must be sent with a DPoP proof",
            Self::WrongKey => "The access token is bound to another DPoP key",
            Self::NoCertificate => "The access token is bound to a client certificate",
            Self::WrongCertificate => "The access token is bound to another client certificate",
        }
    }
}

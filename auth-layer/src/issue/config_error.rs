use std::fmt;

/// Why a [`TokenIssuer`](super::TokenIssuer) was not built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum IssuerConfigError {
    /// No issuer.
    NoIssuer,
    /// No audience, or an empty one.
    NoAudience,
    /// Under a second.
    AccessTtlTooShort,
    /// Over an hour.
    AccessTtlTooLong,
    /// Access tokens would outlive the session that they belong to.
    AccessOutlivesIdle,
    /// The idle lifetime would never be reached.
    IdleOutlivesAbsolute,
    /// Over 60 s.
    RepeatLeewayTooLong,
    /// The refresh secret is a signing key.
    SharedSecret,
    /// Cleanup more often than every second.
    CleanupTooOften,
    /// The revocations that were given forget before an access token ends.
    RevocationsForgetTooSoon,
}

impl fmt::Display for IssuerConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoIssuer => "no issuer: call `issuer` with the URL of this service",
            Self::NoAudience => {
                "no audience: call `audience` with the name of the service that the access tokens \
                 are for"
            }
            Self::AccessTtlTooShort => "access tokens must live for a second at least",
            Self::AccessTtlTooLong => {
                "access tokens live for an hour at most: lower `access_ttl`, or call \
                 `dangerously_long_access_tokens`"
            }
            Self::AccessOutlivesIdle => {
                "access tokens would outlive an unused session: raise `idle` over `access_ttl`"
            }
            Self::IdleOutlivesAbsolute => {
                "a session would never be idle for too long: raise `absolute` over `idle`"
            }
            Self::RepeatLeewayTooLong => "a repeat is forgiven for 60 s at most",
            Self::CleanupTooOften => {
                "cleanup every second at most: raise `cleanup_every`, or call `without_cleanup`"
            }
            Self::RevocationsForgetTooSoon => {
                "a revoked access token would come to life again: give `Revocations::new` at least \
                 `access_ttl` and the leeway of the verifiers"
            }
            Self::SharedSecret => {
                "the refresh secret is also a signing key: give each a secret of its own"
            }
        })
    }
}

impl std::error::Error for IssuerConfigError {}

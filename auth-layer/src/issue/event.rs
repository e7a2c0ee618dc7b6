use std::net::IpAddr;

use super::RefreshErrorKind;
use crate::metrics;
use crate::refresh_token::SessionId;
use crate::store::RevokedBy;

/// Something that happened to a session: for metrics, audit logs and alerts.
///
/// Each is also written to `tracing`, target `auth_layer::session`. No token, secret, key or claim is
/// in any of them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionEvent {
    /// Somebody signed in.
    #[non_exhaustive]
    Started {
        /// The session.
        sid: SessionId,
        /// Whose it is.
        subject: String,
    },
    /// The refresh token was rotated, or is [kept](super::TokenIssuerBuilder::keep_bound_tokens).
    #[non_exhaustive]
    Refreshed {
        /// The session.
        sid: SessionId,
        /// Whose it is.
        subject: String,
        /// The generation of the token in the answer.
        generation: u64,
    },
    /// A rotation was repeated, and got the same answer.
    #[non_exhaustive]
    Replayed {
        /// The session.
        sid: SessionId,
        /// Whose it is.
        subject: String,
        /// The generation of the token in the answer.
        generation: u64,
    },
    /// A repeat was overtaken by the next rotation. Harmless.
    #[non_exhaustive]
    Late {
        /// The session.
        sid: SessionId,
        /// The generation of the token that came late.
        generation: u64,
    },
    /// Two parties hold the tokens of a session, which is revoked by this: once for each session.
    #[non_exhaustive]
    ReuseDetected {
        /// The session.
        sid: SessionId,
        /// Whose it is.
        subject: String,
        /// The generation of the token that was used twice.
        generation: u64,
    },
    /// A genuine token that the store has never seen: the store was restored from a backup, or
    /// answers from a replica that lags.
    #[non_exhaustive]
    StoreBehind {
        /// The session.
        sid: SessionId,
        /// The generation of the token.
        generation: u64,
    },
    /// A session ended before its time.
    #[non_exhaustive]
    Revoked {
        /// The session.
        sid: SessionId,
        /// Whose it was.
        subject: String,
        /// Who ended it.
        by: RevokedBy,
    },
    /// A request was refused, as there were too many before it: refreshes of one session, or failed
    /// attempts from one address.
    #[non_exhaustive]
    RateLimited {
        /// The session, if its token was genuine.
        sid: Option<SessionId>,
        /// From where, if that is known.
        ip: Option<IpAddr>,
    },
    /// A refresh was refused or failed, after the event that says more where there is one.
    #[non_exhaustive]
    RefreshFailed {
        /// The session, if the token named one.
        sid: Option<SessionId>,
        /// Why.
        kind: RefreshErrorKind,
    },
}

impl SessionEvent {
    /// A stable label, for logs and metrics.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Started { .. } => "started",
            Self::Refreshed { .. } => "refreshed",
            Self::Replayed { .. } => "replayed",
            Self::Late { .. } => "late",
            Self::ReuseDetected { .. } => "reuse_detected",
            Self::StoreBehind { .. } => "store_behind",
            Self::Revoked { .. } => "revoked",
            Self::RateLimited { .. } => "rate_limited",
            Self::RefreshFailed { .. } => "refresh_failed",
        }
    }

    /// Counts it.
    pub(super) fn count(&self) {
        metrics::session(self.label());
        if let Self::RefreshFailed { kind, .. } = self {
            metrics::refresh_failed(kind.label());
        }
    }

    /// Writes it to `tracing`.
    pub(super) fn trace(&self) {
        match self {
            Self::Started { sid, subject } => {
                tracing::info!(target: TARGET, %sid, subject, "session started");
            }
            Self::Refreshed {
                sid,
                subject,
                generation,
            } => {
                tracing::debug!(target: TARGET, %sid, subject, generation, "session refreshed");
            }
            Self::Replayed {
                sid,
                subject,
                generation,
            } => {
                tracing::debug!(target: TARGET, %sid, subject, generation, "refresh repeated");
            }
            Self::Late { sid, generation } => {
                tracing::info!(target: TARGET, %sid, generation, "refresh repeated too late");
            }
            Self::ReuseDetected {
                sid,
                subject,
                generation,
            } => {
                tracing::warn!(target: TARGET, %sid, subject, generation, "refresh token reused");
            }
            Self::StoreBehind { sid, generation } => {
                tracing::error!(target: TARGET, %sid, generation, "session store is behind");
            }
            Self::Revoked { sid, subject, by } => {
                tracing::info!(target: TARGET, %sid, subject, by = by.as_str(), "session revoked");
            }
            Self::RateLimited { sid, ip } => {
                let sid = sid.map(tracing::field::display);
                let ip = ip.map(tracing::field::display);
                tracing::info!(target: TARGET, sid, ip, "too many requests");
            }
            Self::RefreshFailed {
                sid,
                kind: kind @ RefreshErrorKind::Unavailable,
            } => {
                let sid = sid.map(tracing::field::display);
                let kind = kind.label();
                tracing::error!(target: TARGET, sid, kind, "refresh failed");
            }
            Self::RefreshFailed { sid, kind } => {
                let sid = sid.map(tracing::field::display);
                let kind = kind.label();
                tracing::info!(target: TARGET, sid, kind, "refresh refused");
            }
        }
    }
}

const TARGET: &str = "auth_layer::session";

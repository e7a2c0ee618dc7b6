use crate::clock::Timestamp;

/// How it stands with a store's feed, for readiness probes and dashboards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FeedStatus {
    /// What was revoked before is not known yet.
    Starting,
    /// Each revocation is heard at once.
    Following,
    /// The feed is down. Access tokens of sessions that were revoked elsewhere since then may be
    /// accepted here up to their `exp`.
    #[non_exhaustive]
    Lagging {
        /// All that was revoked before is known.
        since: Timestamp,
    },
    /// The store has no feed: what other processes revoke is not heard.
    Absent,
}

impl FeedStatus {
    /// Whether all that was revoked is known here, as far as the store tells. A process that was
    /// just started should not say that it is ready before.
    pub fn is_current(self) -> bool {
        matches!(self, Self::Following | Self::Absent)
    }
}

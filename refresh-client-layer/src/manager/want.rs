use tokio::time::Instant;

use super::error::TokenError;
use crate::tokens::AccessToken;

/// An access token to send, and which one it is.
#[derive(Clone, Debug)]
pub(crate) struct Lease {
    pub(crate) token: AccessToken,
    pub(crate) generation: u64,
}

/// Counts the sign-ins and sign-outs of a manager. A request belongs to the one under which it began.
pub(crate) type Epoch = u64;

/// What somebody waits for.
#[derive(Debug)]
pub(super) struct Want {
    /// The sign-in that the caller belongs to.
    pub(super) epoch: Epoch,
    /// A token newer than this.
    pub(super) newer_than: u64,
    /// The present token will do if there is no newer one and it has not expired.
    pub(super) settles: bool,
    /// The refresh that is waited for.
    pub(super) joined: Option<FlightId>,
    /// One refresh that was waited for was broken off, and replaced.
    pub(super) has_taken_over: bool,
}

impl Want {
    /// A token for a request: rather than none, the present one.
    pub(super) fn usable(epoch: Epoch, generation: u64) -> Self {
        Self {
            settles: true,
            ..Self::newer_than(epoch, generation)
        }
    }

    pub(super) fn newer_than(epoch: Epoch, generation: u64) -> Self {
        Self {
            epoch,
            newer_than: generation,
            settles: false,
            joined: None,
            has_taken_over: false,
        }
    }

    /// Wants another token than the one in the store, which nobody has looked into yet.
    pub(super) fn is_blind(&self) -> bool {
        self.newer_than == 0 && !self.settles
    }
}

pub(crate) type Verdict = Result<Option<Lease>, TokenError>;

/// What the caller who wants a token has to do.
pub(super) enum Step {
    Done(Verdict),
    /// Look again once the state has changed, and at this moment if there is one.
    Wait(Option<Instant>),
    /// Carry out this refresh, then wait.
    Start(FlightId),
    /// The same, on the caller's own runtime: the one that had it does not make progress.
    TakeOver(FlightId),
}

/// What a request does before it is sent.
pub(super) enum Opening {
    Use(Option<Lease>),
    UseAndRefresh(Lease, Want),
    Wait(Want),
}

/// Refreshes are numbered.
pub(super) type FlightId = u64;

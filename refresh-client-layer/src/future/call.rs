use std::error::Error;

use http::HeaderMap;

use crate::challenge::Predicate;
use crate::manager::{Pending, TokenError, TokenManager, UnavailableKind};
use crate::outcome::{NotRetried, Outcome};
use crate::replay::{Obstacle, Response, Source};

/// What the layer knows of one request, whatever its type.
pub(crate) struct Call {
    manager: TokenManager,
    wants_retry: Predicate,
    is_ours: bool,
    /// How much of a streamed body may be kept; `None` if nothing is to be sent twice.
    cap: Option<usize>,
    #[cfg(feature = "tonic")]
    is_grpc: bool,
    outcome: Outcome,
    /// The generation of the token that the last attempt carried.
    carried: Option<u64>,
}

impl Call {
    pub(crate) fn new(manager: TokenManager, wants_retry: Predicate) -> Self {
        Self {
            manager,
            wants_retry,
            is_ours: false,
            cap: None,
            #[cfg(feature = "tonic")]
            is_grpc: false,
            outcome: Outcome::new(),
            carried: None,
        }
    }

    /// Of a request that the token is for.
    pub(crate) fn ours(mut self, cap: Option<usize>) -> Self {
        self.is_ours = true;
        self.cap = cap;
        self
    }

    /// Errors are to be gRPC's.
    #[cfg(feature = "tonic")]
    pub(crate) fn grpc(mut self, is_grpc: bool) -> Self {
        self.is_grpc = is_grpc;
        self
    }

    /// Callers look for [`SessionEnded`](crate::SessionEnded) itself in the box; those of gRPC for a
    /// status.
    pub(super) fn boxed(&self, error: TokenError) -> Box<dyn Error + Send + Sync> {
        #[cfg(feature = "tonic")]
        if self.is_grpc {
            return super::status::of(error).into();
        }
        match error {
            TokenError::SessionEnded(error) => error.into(),
            TokenError::RefreshUnavailable(error) => error.into(),
        }
    }

    pub(super) fn cap(&self) -> Option<usize> {
        self.cap
    }

    pub(super) fn lease(&self) -> Pending {
        self.manager.lease()
    }

    /// A token newer than the one the last attempt carried.
    pub(super) fn renew(&self) -> Pending {
        self.manager.renew(self.carried.unwrap_or_default())
    }

    pub(super) fn is_first_attempt(&self) -> bool {
        self.outcome.attempts() == 0
    }

    pub(super) fn sent(&mut self, carried: Option<u64>) {
        self.outcome.sent();
        self.carried = carried;
    }

    pub(super) fn waited(&mut self) {
        self.outcome.waited();
    }

    /// `Ok` with the response that the caller gets, `Err` with one that asks for a retry.
    ///
    /// `hold` makes ready for a second attempt, or says what is in its way.
    pub(super) fn judge<T: Response>(
        &mut self,
        response: T,
        trailers: Option<&HeaderMap>,
        hold: impl FnOnce() -> Result<(), Obstacle>,
    ) -> Result<T, T> {
        let status = response.status();
        let asks = |headers| (self.wants_retry)(status, headers);
        if !asks(response.headers()) && !trailers.is_some_and(asks) {
            return Ok(self.deliver(response));
        }
        match self.objection(&response, hold) {
            None => Err(response),
            Some(why) => {
                self.outcome.refused(why);
                Ok(self.deliver(response))
            }
        }
    }

    /// There is no fresher token: the caller gets the refusal as it came.
    pub(super) fn give_up<T: Response>(&mut self, error: Option<&TokenError>, refusal: T) -> T {
        self.outcome.refused(match error {
            Some(TokenError::RefreshUnavailable(_)) => NotRetried::TooManyRefreshes,
            Some(TokenError::SessionEnded(_)) | None => NotRetried::SessionEnded,
        });
        self.deliver(refusal)
    }

    fn objection(
        &self,
        response: &impl Response,
        hold: impl FnOnce() -> Result<(), Obstacle>,
    ) -> Option<NotRetried> {
        let is_foreign = match response.source() {
            Some(Source::Known(target)) => !self.manager.origins().allow(Some(target)),
            Some(Source::Opaque) => true,
            None => false,
        };
        if !self.is_ours {
            Some(NotRetried::PassedThrough)
        } else if self.outcome.is_retry() {
            Some(NotRetried::AlreadyRetried)
        } else if self.carried.is_none() {
            Some(NotRetried::NoToken)
        } else if is_foreign {
            Some(NotRetried::ForeignResponse)
        } else {
            let why = match hold() {
                Ok(()) => return None,
                Err(_) if self.cap.is_none() => NotRetried::OptedOut,
                Err(Obstacle::PastCap) => NotRetried::BodyPastCap,
                Err(Obstacle::Once) => NotRetried::BodyNotReplayable,
            };
            // At least the next request shall have a new token.
            drop(self.renew());
            Some(why)
        }
    }

    fn deliver<T: Response>(&self, mut response: T) -> T {
        response.extensions_mut().insert(self.outcome);
        response
    }
}

/// True if the caller is better served with the server's refusal than with this error: where the
/// session is over, or where new tokens are refused too. A fault on the way to a new token must not
/// look like a refusal.
pub(super) fn leaves_refusal(error: &TokenError) -> bool {
    match error {
        TokenError::SessionEnded(_) => true,
        TokenError::RefreshUnavailable(error) => error.kind() == UnavailableKind::TooManyRefreshes,
    }
}

use std::error::Error;

use http::HeaderMap;

use super::allowance::Allowance;
use super::need::Need;
use super::possession::Possession;
use crate::challenge::Rule;
use crate::event::EndReason;
use crate::manager::{
    Epoch, Lease, Pending, RefreshUnavailable, SessionEnded, TokenError, TokenManager,
    UnavailableKind, Verdict,
};
use crate::metrics;
use crate::outcome::{NotRetried, Outcome};
use crate::refresh::Refreshing;
use crate::replay::{Obstacle, Request, Response, Source};

/// What the layer knows of one request, whatever its type.
pub(crate) struct Call {
    /// `None` if it is nobody's.
    manager: Option<TokenManager>,
    /// The sign-in under which it began.
    epoch: Epoch,
    wants_retry: Rule,
    allowance: Allowance,
    is_ours: bool,
    /// It is the very refresh that this call would wait for.
    is_refresh: bool,
    requires_session: bool,
    /// How much of a streamed body may be kept; `None` if nothing is to be sent twice.
    cap: Option<usize>,
    #[cfg(feature = "tonic")]
    is_grpc: bool,
    outcome: Outcome,
    /// Where the last attempt went, if it must not be carried out twice.
    place: Option<String>,
    /// The generation of the token that the last attempt carried.
    carried: Option<u64>,
    /// Of that token, if it is bound to a key.
    possession: Option<Possession>,
    has_renewed: bool,
    has_repeated: bool,
    /// What the first response had said, in a word.
    reason: &'static str,
}

impl Call {
    pub(crate) fn new(wants_retry: Rule, allowance: Allowance, cap: Option<usize>) -> Self {
        Self {
            manager: None,
            epoch: 0,
            wants_retry,
            allowance,
            is_ours: false,
            is_refresh: false,
            requires_session: false,
            cap,
            #[cfg(feature = "tonic")]
            is_grpc: false,
            outcome: Outcome::new(),
            place: None,
            carried: None,
            possession: None,
            has_renewed: false,
            has_repeated: false,
            reason: "",
        }
    }

    /// Nothing is sent for nobody.
    pub(crate) fn requires_session(mut self, requires: bool) -> Self {
        self.requires_session = requires;
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

    pub(super) fn allowance(&self) -> &Allowance {
        &self.allowance
    }

    /// Makes it a call of this session, if the token may go where the request goes.
    pub(super) fn open<R: Request>(&mut self, manager: Option<TokenManager>, request: &R) {
        self.is_ours = manager.as_ref().is_none_or(|manager| {
            request.goes_where_the_channel_goes() || manager.origins().allow(request.target())
        });
        let refreshing = request.extensions().and_then(|given| given.get());
        self.is_refresh = refreshing.is_some_and(|Refreshing(id)| {
            manager.as_ref().is_some_and(|manager| manager.id() == *id)
        });
        self.epoch = manager.as_ref().map_or(0, TokenManager::epoch);
        self.manager = manager;
    }

    pub(super) fn lease(&self) -> Pending {
        match &self.manager {
            Some(_) if self.is_ours && self.is_refresh => {
                let error = RefreshUnavailable::new(UnavailableKind::Reentrant);
                Pending::Ready(Err(error.into()))
            }
            Some(manager) if self.is_ours => manager.lease(self.epoch),
            _ => Pending::Ready(Ok(None)),
        }
    }

    /// A token newer than the one the last attempt carried.
    pub(super) fn renew(&self) -> Pending {
        match &self.manager {
            Some(manager) => manager.renew(self.epoch, self.carried.unwrap_or_default()),
            None => Pending::Ready(Ok(None)),
        }
    }

    /// Is a request without a token to be sent at all? Not if it was sent with one, and refused.
    pub(super) fn check(&self, verdict: Verdict) -> Verdict {
        match verdict {
            Ok(None) if self.outcome.attempts() > 0 || (self.is_ours && self.requires_session) => {
                Err(SessionEnded::new(EndReason::NeverSignedIn).into())
            }
            verdict => verdict,
        }
    }

    /// What the request carries, in the moment in which it is sent: time has passed since there was a
    /// token, and the user may be another one.
    pub(super) fn newest(&self, lease: Option<Lease>) -> Verdict {
        match (&self.manager, lease) {
            (Some(manager), Some(lease)) => Ok(Some(manager.newest(self.epoch, lease)?)),
            (_, lease) => Ok(lease),
        }
    }

    /// Why nothing more is begun for this request, once its sign-in is no longer the present one.
    fn outdated(&self) -> Option<NotRetried> {
        let ended = self.manager.as_ref()?.check_epoch(self.epoch).err()?;
        Some(not_retried(&ended))
    }

    pub(super) fn supply(&self, need: Need) -> Pending {
        match need {
            Need::Token => self.renew(),
            Need::Nonce => self.lease(),
        }
    }

    /// Once with a fresher token, and once with a nonce.
    pub(super) fn may_try_again(&self, lease: &Lease) -> bool {
        !self.has_renewed || (!self.has_repeated && lease.token.key().is_some())
    }

    /// Notes where a request goes whose redirect would be no sign that it was refused.
    pub(super) fn aim<R: Request>(&mut self, request: &R) {
        let is_idempotent = request.method().is_idempotent();
        self.place = (!is_idempotent).then(|| request.place()).flatten();
    }

    pub(super) fn sent(&mut self, carried: Option<u64>, possession: Option<Possession>) {
        self.outcome.sent();
        self.carried = carried;
        self.possession = possession;
        if self.outcome.is_retry() {
            metrics::retry(self.reason);
        }
    }

    pub(super) fn waited(&mut self) {
        self.outcome.waited();
    }

    /// What the response asks a retry for; `None` if it is the one that the caller gets.
    ///
    /// `hold` makes ready for a second attempt, or says what is in its way.
    pub(super) fn judge<T: Response>(
        &mut self,
        response: &mut T,
        trailers: Option<&HeaderMap>,
        hold: impl FnOnce() -> Result<(), Obstacle>,
    ) -> Option<Need> {
        let status = response.status();
        let asks = |headers| self.wants_retry.asks(status, headers);
        let need = if self.lacks_nonce(response) {
            Need::Nonce
        } else if asks(response.headers()) || trailers.is_some_and(asks) {
            Need::Token
        } else {
            self.sign(response);
            return None;
        };
        match self.objection(need, response, hold) {
            None => {
                match need {
                    Need::Token => self.has_renewed = true,
                    Need::Nonce => self.has_repeated = true,
                }
                self.reason = need.reason(status, [Some(response.headers()), trailers]);
                Some(need)
            }
            Some(why) => {
                self.outcome.refused(why);
                self.sign(response);
                None
            }
        }
    }

    /// A refusal in trailers that nobody waits for is the caller's; at least the next request shall have a
    /// new token.
    pub(super) fn watch(&self, response: &mut impl Response) {
        let (Some(manager), Some(carried)) = (&self.manager, self.carried) else {
            return;
        };
        if self.has_renewed || !response.is_open_grpc() {
            return;
        }
        let (manager, epoch, rule) = (manager.clone(), self.epoch, self.wants_retry.clone());
        let status = response.status();
        response.watch_trailers(move |trailers| {
            if rule.asks(status, trailers) {
                drop(manager.renew(epoch, carried));
            }
        });
    }

    /// There is no fresher token: the caller gets the refusal as it came.
    pub(super) fn give_up<T: Response>(&mut self, error: &TokenError, mut refusal: T) -> T {
        self.outcome.refused(match error {
            TokenError::RefreshUnavailable(_) => NotRetried::TooManyRefreshes,
            TokenError::SessionEnded(ended) => not_retried(ended),
        });
        self.sign(&mut refusal);
        refusal
    }

    /// True if the same token will do, with another proof.
    fn lacks_nonce(&self, response: &impl Response) -> bool {
        let (Some(possession), false) = (&self.possession, self.is_foreign(response)) else {
            return false;
        };
        possession.lacks_nonce(response.status(), response.headers()) && !self.has_repeated
    }

    fn is_foreign(&self, response: &impl Response) -> bool {
        match response.source() {
            Some(Source::Known(target)) => !self
                .manager
                .as_ref()
                .is_some_and(|manager| manager.origins().allow(Some(target))),
            Some(Source::Opaque) => true,
            None => false,
        }
    }

    fn is_redirected(&self, response: &impl Response) -> bool {
        let (sent, came) = (self.place.as_deref(), response.place());
        sent.zip(came).is_some_and(|(sent, came)| sent != came)
    }

    fn objection(
        &self,
        need: Need,
        response: &impl Response,
        hold: impl FnOnce() -> Result<(), Obstacle>,
    ) -> Option<NotRetried> {
        if !self.is_ours {
            Some(NotRetried::PassedThrough)
        } else if need == Need::Token && self.has_renewed {
            Some(NotRetried::AlreadyRetried)
        } else if let Some(why) = self.outdated() {
            Some(why)
        } else if self.carried.is_none() {
            Some(NotRetried::NoToken)
        } else if self.is_foreign(response) {
            Some(NotRetried::ForeignResponse)
        } else {
            let why = match hold() {
                Err(_) if self.cap.is_none() => NotRetried::OptedOut,
                _ if self.is_redirected(response) => NotRetried::Redirected,
                Ok(()) => return None,
                Err(Obstacle::PastCap) => NotRetried::BodyPastCap,
                Err(Obstacle::Once) => NotRetried::BodyNotReplayable,
            };
            // At least the next request shall have a new token.
            drop(self.supply(need));
            Some(why)
        }
    }

    fn sign(&self, response: &mut impl Response) {
        response.extensions_mut().insert(self.outcome);
    }
}

fn not_retried(ended: &SessionEnded) -> NotRetried {
    match ended.reason() {
        EndReason::Replaced => NotRetried::SignInChanged,
        _ => NotRetried::SessionEnded,
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

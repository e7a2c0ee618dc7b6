use std::time::Duration;

use tokio::time::Instant;

use super::flights::Flight;
use super::{Session, State};
use crate::clock::Now;
use crate::manager::error::{RefreshUnavailable, SessionEnded, UnavailableKind};
use crate::manager::want::{Epoch, FlightId, Lease, Opening, Step, Verdict, Want};
use crate::schedule::Phase;

/// What a caller who wants a token has to do next.
impl State {
    pub(in crate::manager) fn open(&self, epoch: Epoch, now: Now) -> Result<Opening, SessionEnded> {
        self.check_epoch(epoch)?;
        let want = Want::usable(epoch, self.generation);
        match &self.session {
            Session::Empty | Session::Ended(_) if self.looks_again(now) => Ok(Opening::Wait(want)),
            Session::Empty => Ok(Opening::Use(None)),
            Session::Ended(reason) => Err(SessionEnded::new(*reason)),
            Session::Unloaded(_) => Ok(Opening::Wait(want)),
            Session::Live(live) => Ok(match live.validity.phase(now) {
                Phase::Fresh => Opening::Use(Some(self.lease(live))),
                Phase::Advisory => Opening::UseAndRefresh(self.lease(live), want),
                Phase::Mandatory | Phase::Expired => Opening::Wait(want),
            }),
        }
    }

    pub(in crate::manager) fn step(&mut self, want: &mut Want, now: Now) -> Step {
        if let Err(ended) = self.check_epoch(want.epoch) {
            return Step::Done(Err(ended.into()));
        }
        match &self.session {
            Session::Empty | Session::Ended(_) => return self.look(want, now),
            Session::Live(live) if live.since > want.newer_than => {
                let has_waited_for_it = live.flight.is_some() && live.flight == want.joined;
                let is_good = !want.is_blind() && live.validity.phase(now) < Phase::Mandatory;
                if has_waited_for_it || is_good {
                    return Step::Done(Ok(Some(self.lease(live))));
                }
                // Newer, and too old as well.
                want.newer_than = self.generation;
                want.joined = None;
            }
            Session::Live(_) | Session::Unloaded(_) => {}
        }
        if let Some(flight) = &self.flight {
            if flight.is_repeating && want.settles {
                if let Some(lease) = self.alive(now) {
                    return Step::Done(Ok(Some(lease)));
                }
            }
            if flight.overdue.is_none_or(|at| now.monotonic < at) {
                want.joined = Some(flight.id);
                return Step::Wait(flight.overdue);
            }
            return Step::TakeOver(self.take_off(want, now));
        }
        match self.clearance(want, now) {
            Ok(None) => Step::Start(self.take_off(want, now)),
            Ok(retry_at) => Step::Wait(retry_at),
            Err(error) => Step::Done(self.settle(want, error, now)),
        }
    }

    /// Nobody is signed in here: perhaps somebody has signed in elsewhere.
    fn look(&mut self, want: &mut Want, now: Now) -> Step {
        if let Some(flight) = &self.flight {
            if flight.overdue.is_none_or(|at| now.monotonic < at) {
                want.joined = Some(flight.id);
                return Step::Wait(flight.overdue);
            }
        } else if want.joined.is_none() && self.looks_again(now) {
            self.looked_at = Some(now.monotonic);
            return Step::Start(self.take_off(want, now));
        }
        Step::Done(match &self.session {
            Session::Ended(reason) => Err(SessionEnded::new(*reason).into()),
            _ => Ok(None),
        })
    }

    fn looks_again(&self, now: Now) -> bool {
        let is_due = |at| now.monotonic >= at + LOOK_AGAIN;
        let may_look = self.is_shared && !self.is_closed && !self.is_leaving;
        may_look && self.looked_at.is_none_or(is_due)
    }

    fn take_off(&mut self, want: &mut Want, now: Now) -> FlightId {
        self.flights += 1;
        self.flight = Some(Flight::new(self.flights, now));
        want.joined = Some(self.flights);
        self.flights
    }

    /// The token, if it has not expired by its own statement.
    fn alive(&self, now: Now) -> Option<Lease> {
        match &self.session {
            Session::Live(live) if live.validity.phase(now) < Phase::Expired => {
                Some(self.lease(live))
            }
            _ => None,
        }
    }

    /// The server has said of this sign-in that it honours idempotency keys.
    pub(in crate::manager) fn tokens_are_idempotent(&self) -> bool {
        matches!(&self.session, Session::Live(live) if live.tokens.is_idempotent())
    }

    /// A second request with the present refresh token is a repeat to the server, and no reuse.
    pub(in crate::manager) fn is_repeatable(&self) -> bool {
        self.tokens_are_idempotent() && self.key.is_some()
    }

    /// May a refresh start now? `Some` if it may in a moment.
    fn clearance(
        &mut self,
        want: &mut Want,
        now: Now,
    ) -> Result<Option<Instant>, RefreshUnavailable> {
        if self.is_closed {
            return Err(RefreshUnavailable::new(UnavailableKind::Closed));
        }
        if let Some(joined) = want.joined.take() {
            match &self.failure {
                Some(failure) if failure.flight >= joined => return Err(failure.error.clone()),
                _ if want.has_taken_over => {
                    return Err(RefreshUnavailable::new(UnavailableKind::Interrupted));
                }
                _ => want.has_taken_over = true,
            }
        }
        let backoff = self.failure.as_ref().filter(|failure| {
            now.monotonic < failure.retry_at && !(failure.is_ahead && self.is_due(now))
        });
        if let Some(failure) = backoff {
            let left = failure.retry_at - now.monotonic;
            if left <= WORTH_WAITING && !(want.settles && self.alive(now).is_some()) {
                return Ok(Some(failure.retry_at));
            }
            return Err(failure.error.backing_off(left));
        }
        let is_premature =
            matches!(&self.session, Session::Live(live) if live.validity.is_premature(now));
        if is_premature && !self.budget.take(now.monotonic) {
            return Err(RefreshUnavailable::new(UnavailableKind::TooManyRefreshes));
        }
        Ok(None)
    }

    /// The token is past its mandatory window, so that requests wait for a new one.
    pub(super) fn is_due(&self, now: Now) -> bool {
        match &self.session {
            Session::Live(live) => live.validity.phase(now) >= Phase::Mandatory,
            _ => true,
        }
    }

    /// The present token instead of a newer one, if that will do.
    pub(in crate::manager) fn settle(
        &self,
        want: &Want,
        error: RefreshUnavailable,
        now: Now,
    ) -> Verdict {
        self.check_epoch(want.epoch)?;
        match &self.session {
            // Where new tokens die at once, the server knows best whether one is good.
            Session::Live(live)
                if want.settles
                    && (live.validity.phase(now) < Phase::Expired
                        || error.kind() == UnavailableKind::TooManyRefreshes) =>
            {
                Ok(Some(self.lease(live)))
            }
            _ => Err(error.into()),
        }
    }
}

/// How often a session that is over looks for a new sign-in in the store.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// A caller without a usable token waits this long for the end of a backoff.
const WORTH_WAITING: Duration = Duration::from_secs(1);

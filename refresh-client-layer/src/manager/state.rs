use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::backoff;
use super::budget::Budget;
use super::error::{RefreshUnavailable, SessionEnded, UnavailableKind};
use super::news::News;
use super::want::{FlightId, Lease, Opening, Step, Verdict, Want};
use crate::clock::{self, Now};
use crate::event::{EndReason, Event};
use crate::schedule::{Phase, Validity};
use crate::store::StoredTokens;
use crate::tokens::{IdempotencyKey, TokenSet};

/// Everything about the session that changes together. It takes the time as an argument and runs no
/// foreign code, so that it can live behind a lock.
#[derive(Debug)]
pub(super) struct State {
    /// Grows whenever the session changes.
    pub(super) generation: u64,
    pub(super) session: Session,
    /// The one refresh that may change the session. Whatever changes it otherwise grounds this
    /// flight: it runs on, but nobody listens to its end.
    flight: Option<FlightId>,
    flights: FlightId,
    failure: Option<Failure>,
    /// To be dropped outside of the lock.
    pub(super) discarded: Vec<Failure>,
    /// How often the server has said that the store should have a newer token.
    superseded: u32,
    budget: Budget,
    /// The key of a refresh of this generation that has had no definite answer.
    pub(super) key: Option<IdempotencyKey>,
    /// The store would not take it.
    pub(super) has_unsaved_key: bool,
    pub(super) unsaved: Unsaved,
    pub(super) news: News,
}

#[derive(Debug)]
pub(super) enum Session {
    /// Nobody has looked into the store yet; the tokens are those to begin with if it is empty.
    Unloaded(Option<TokenSet>),
    Empty,
    Live(Arc<Live>),
    Ended(EndReason),
}

#[derive(Debug)]
pub(super) struct Live {
    pub(super) tokens: TokenSet,
    validity: Validity,
    /// The generation it began with: whoever has carried one from then on has carried this token.
    since: u64,
    /// The refresh that brought it: those who waited for it use it, however short-lived it is.
    flight: Option<FlightId>,
}

/// What the store does not know yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unsaved {
    Nothing,
    /// Tokens that replace whatever is stored.
    SignIn,
    /// Tokens to begin with, if nothing is stored.
    Begin,
    /// Tokens that replace their parent, and never nothing: then somebody has signed out.
    Refresh,
    /// The end of the session up to this generation.
    End(u64),
}

#[derive(Debug)]
pub(super) struct Failure {
    flight: FlightId,
    error: RefreshUnavailable,
    in_a_row: u32,
    retry_at: Instant,
}

impl State {
    pub(super) fn new(session: Session) -> Self {
        Self {
            generation: 0,
            session,
            flight: None,
            flights: 0,
            failure: None,
            discarded: Vec::new(),
            superseded: 0,
            budget: Budget::default(),
            key: None,
            has_unsaved_key: false,
            unsaved: Unsaved::Nothing,
            news: News::default(),
        }
    }

    /// The store knows all that is known here.
    pub(super) fn is_saved(&self) -> bool {
        self.unsaved == Unsaved::Nothing && !self.has_unsaved_key
    }

    /// The token, if it can be used without another thought.
    pub(super) fn fresh(&self, now: Now) -> Option<Lease> {
        match &self.session {
            Session::Live(live) if live.validity.phase(now) == Phase::Fresh => {
                Some(self.lease(live))
            }
            _ => None,
        }
    }

    pub(super) fn open(&self, now: Now) -> Result<Opening, SessionEnded> {
        let want = Want::usable(self.generation);
        match &self.session {
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

    pub(super) fn step(&mut self, want: &mut Want, now: Now) -> Step {
        match &self.session {
            Session::Empty => return Step::Done(Ok(None)),
            Session::Ended(reason) => {
                return Step::Done(Err(SessionEnded::new(*reason).into()));
            }
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
        if let Some(flight) = self.flight {
            want.joined = Some(flight);
            return Step::Wait;
        }
        match self.clearance(want, now) {
            Ok(()) => {
                self.flights += 1;
                self.flight = Some(self.flights);
                want.joined = self.flight;
                Step::Start(self.flights)
            }
            Err(error) => Step::Done(self.settle(want, error, now)),
        }
    }

    /// May a refresh start now?
    fn clearance(&mut self, want: &mut Want, now: Now) -> Result<(), RefreshUnavailable> {
        if let Some(joined) = want.joined.take() {
            match &self.failure {
                Some(failure) if failure.flight >= joined => return Err(failure.error.clone()),
                _ if want.has_taken_over => {
                    return Err(RefreshUnavailable::new(UnavailableKind::Interrupted));
                }
                _ => want.has_taken_over = true,
            }
        }
        let failure = self.failure.as_ref();
        if let Some(failure) = failure.filter(|failure| now.monotonic < failure.retry_at) {
            return Err(failure.error.backing_off(failure.retry_at - now.monotonic));
        }
        let is_premature =
            matches!(&self.session, Session::Live(live) if live.validity.is_premature(now));
        if is_premature && !self.budget.take(now.monotonic) {
            return Err(RefreshUnavailable::new(UnavailableKind::TooManyRefreshes));
        }
        Ok(())
    }

    /// The present token instead of a newer one, if that will do.
    pub(super) fn settle(&self, want: &Want, error: RefreshUnavailable, now: Now) -> Verdict {
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

    fn lease(&self, live: &Live) -> Lease {
        Lease {
            token: live.tokens.access_token().clone(),
            generation: self.generation,
        }
    }

    pub(super) fn is_current(&self, flight: FlightId) -> bool {
        self.flight == Some(flight)
    }

    /// What `flight` is to replace, if it still is.
    pub(super) fn parent(&self, flight: FlightId) -> Option<TokenSet> {
        match &self.session {
            Session::Live(live) if self.is_current(flight) => Some(live.tokens.clone()),
            _ => None,
        }
    }

    /// Takes back a flight that nobody carries out.
    pub(super) fn abandon(&mut self, flight: FlightId) {
        if self.is_current(flight) {
            self.flight = None;
        }
    }

    /// New tokens from the server.
    pub(super) fn renew(&mut self, tokens: TokenSet, asked: Now, is_saved: bool) {
        let generation = tokens.generation();
        let unsaved = match (is_saved, self.unsaved) {
            (true, _) => Unsaved::Nothing,
            (false, Unsaved::SignIn) => Unsaved::SignIn,
            (false, Unsaved::Begin) => Unsaved::Begin,
            (false, _) => Unsaved::Refresh,
        };
        self.become_live(tokens, asked, self.flight);
        self.unsaved = unsaved;
        self.news.push(Event::Refreshed { generation });
    }

    /// Tokens that the store knows, and the key of their refresh if it has begun.
    pub(super) fn adopt(&mut self, stored: &StoredTokens, now: Now) {
        self.become_live(stored.tokens().clone(), now, None);
        self.key = stored.idempotency_key().cloned();
    }

    /// Tokens that the store will know, unless it has got newer ones by then.
    pub(super) fn begin(&mut self, tokens: TokenSet, now: Now) {
        self.become_live(tokens, now, None);
        self.unsaved = Unsaved::Begin;
    }

    /// The time is a generation that no earlier session has reached, wherever it was: one grows by a
    /// refresh, which takes longer than a millisecond.
    pub(super) fn sign_in(&mut self, tokens: TokenSet, now: Now) {
        let tokens = tokens.with_generation(now.millis().max(self.generation + 1));
        self.become_live(tokens, now, None);
        self.budget = Budget::default();
        self.unsaved = Unsaved::SignIn;
    }

    /// Moves tokens that have been signed in with above what the store holds.
    pub(super) fn outrank(&mut self, stored: u64) {
        if let Session::Live(live) = &self.session {
            self.generation = self.generation.max(stored.saturating_add(1));
            self.session = Session::Live(Arc::new(Live {
                tokens: live.tokens.clone().with_generation(self.generation),
                validity: live.validity,
                since: live.since,
                flight: live.flight,
            }));
        }
    }

    /// The session is over, if there is one.
    pub(super) fn end(&mut self, reason: EndReason, unsaved: Unsaved) {
        if matches!(self.session, Session::Live(_) | Session::Unloaded(_)) {
            self.change(Session::Ended(reason), self.generation + 1);
            self.unsaved = unsaved;
            self.news.push(Event::SessionEnded { reason });
        }
    }

    /// The store is empty.
    pub(super) fn empty(&mut self) {
        self.change(Session::Empty, self.generation);
    }

    pub(super) fn fail(
        &mut self,
        flight: FlightId,
        error: RefreshUnavailable,
        wish: Option<Duration>,
        now: Now,
    ) {
        let former = self.failure.take();
        let in_a_row = former.as_ref().map_or(0, |it| it.in_a_row) + 1;
        self.discarded.extend(former);
        let delay = backoff::delay(in_a_row, wish, clock::jitter());
        self.flight = None;
        self.failure = Some(Failure {
            flight,
            error: error.for_a_while(delay),
            in_a_row,
            retry_at: now.monotonic + delay,
        });
    }

    /// The key that counts for a refresh of this generation.
    pub(super) fn keep_key(&mut self, generation: u64, key: Option<IdempotencyKey>) {
        if self.generation == generation {
            self.key = key;
        }
    }

    pub(super) fn count_superseded(&mut self) -> u32 {
        self.superseded += 1;
        self.superseded
    }

    fn become_live(&mut self, tokens: TokenSet, obtained: Now, flight: Option<FlightId>) {
        let mut lifetime = tokens.lifetime(obtained.wall);
        if !tokens.access_token().is_valid() {
            lifetime = Some(Duration::ZERO);
        }
        let generation = tokens.generation();
        let live = Live {
            validity: Validity::new(obtained, lifetime, clock::jitter()),
            tokens: tokens.pinned(obtained.wall),
            since: generation,
            flight,
        };
        self.change(Session::Live(Arc::new(live)), generation);
    }

    fn change(&mut self, session: Session, generation: u64) {
        self.session = session;
        self.generation = generation;
        self.flight = None;
        self.discarded.extend(self.failure.take());
        self.superseded = 0;
        self.key = None;
        self.has_unsaved_key = false;
        self.unsaved = Unsaved::Nothing;
    }
}

#[cfg(test)]
mod tests;

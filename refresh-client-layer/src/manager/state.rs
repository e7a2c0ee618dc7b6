use std::cmp::Ordering;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::backoff;
use super::budget::Budget;
use super::endings::{Ending, Endings};
use super::error::{RefreshUnavailable, SessionEnded, UnavailableKind};
use super::news::News;
use super::want::{Epoch, FlightId, Lease, Opening, Step, Verdict, Want};
use super::write::Write;
use crate::clock::{self, Now};
use crate::event::{EndReason, Event};
use crate::schedule::{Lifespan, Phase, Validity};
use crate::store::{SignInId, StoredTokens};
use crate::tokens::{IdempotencyKey, TokenSet};

/// Everything about the session that changes together. It takes the time as an argument and runs no
/// foreign code, so that it can live behind a lock.
#[derive(Debug)]
pub(super) struct State {
    /// Grows when a session ends and when another sign-in takes its place, and neither with a refresh nor
    /// with a load.
    pub(super) epoch: Epoch,
    /// Grows with each refresh of a sign-in.
    pub(super) generation: u64,
    /// The sign-ins that are over, whatever the store may hold of them.
    endings: Endings,
    /// Signed out before the store was looked into: what it holds is about to end.
    pub(super) is_leaving: bool,
    /// When the store of a session that is over was last looked into.
    looked_at: Option<Instant>,
    /// The store may get a session from elsewhere.
    pub(super) is_shared: bool,
    /// No refresh is to start any more.
    pub(super) is_closed: bool,
    pub(super) session: Session,
    /// The one refresh that may change the session. Whatever changes it otherwise grounds this
    /// flight: it runs on, but nobody listens to its end.
    flight: Option<Flight>,
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
    sign_in: SignInId,
    validity: Validity,
    /// The generation it began with: whoever has carried one from then on has carried this token.
    since: u64,
    /// The refresh that brought it: those who waited for it use it, however short-lived it is.
    flight: Option<FlightId>,
}

impl Live {
    fn record(&self, key: Option<IdempotencyKey>) -> StoredTokens {
        StoredTokens::of(self.sign_in, self.tokens.clone(), key)
    }
}

/// A refresh that runs, or is to run.
#[derive(Debug)]
struct Flight {
    id: FlightId,
    /// When a waiter may carry it out itself, as its task has made no progress. None: never, since a plain
    /// server would take the second request for a stolen token.
    overdue: Option<Instant>,
    /// The refresher has been called.
    has_asked: bool,
    /// A try failed, and another one is due in a moment.
    is_repeating: bool,
}

impl Flight {
    fn new(id: FlightId, now: Now) -> Self {
        Self {
            id,
            overdue: Some(now.monotonic + QUEUE_PATIENCE),
            has_asked: false,
            is_repeating: false,
        }
    }
}

/// How long a refresh may wait for the first poll of its task, and for an answer, before a waiter on another
/// runtime takes it over.
const QUEUE_PATIENCE: Duration = Duration::from_secs(1);
const ASKING_PATIENCE: Duration = Duration::from_secs(5);

/// How often a session that is over looks for a new sign-in in the store.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// A caller without a usable token waits this long for the end of a backoff.
const WORTH_WAITING: Duration = Duration::from_secs(1);

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
    /// The end of a session.
    End(Ending),
}

/// Which sign-in, and which of its tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position {
    epoch: Epoch,
    generation: u64,
}

impl Position {
    pub(super) fn generation(self) -> u64 {
        self.generation
    }
}

/// How a stored record stands to the session here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Same,
    /// Another process has refreshed.
    Newer,
    /// A backup that was restored.
    Older,
    /// Of another sign-in, which is over.
    Ended,
    /// Of another sign-in.
    Foreign,
}

#[derive(Debug)]
pub(super) struct Failure {
    flight: FlightId,
    error: RefreshUnavailable,
    in_a_row: u32,
    retry_at: Instant,
    /// It failed ahead of the mandatory window, which it must not delay.
    is_ahead: bool,
}

impl State {
    pub(super) fn new(session: Session) -> Self {
        Self {
            epoch: 0,
            generation: 0,
            endings: Endings::default(),
            is_leaving: false,
            looked_at: None,
            is_shared: false,
            is_closed: false,
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
    pub(super) fn fresh(&self, epoch: Epoch, now: Now) -> Option<Lease> {
        match &self.session {
            Session::Live(live)
                if epoch == self.epoch && live.validity.phase(now) == Phase::Fresh =>
            {
                Some(self.lease(live))
            }
            _ => None,
        }
    }

    /// What a request that is ready to be sent carries: `lease`, or the newer token of the same sign-in.
    pub(super) fn newest(&self, epoch: Epoch, lease: Lease) -> Result<Lease, SessionEnded> {
        self.check_epoch(epoch)?;
        Ok(match &self.session {
            Session::Live(live) if self.generation > lease.generation => self.lease(live),
            _ => lease,
        })
    }

    /// Errs if the sign-in of that epoch is no longer the present one.
    pub(super) fn check_epoch(&self, epoch: Epoch) -> Result<(), SessionEnded> {
        match &self.session {
            _ if epoch == self.epoch => Ok(()),
            Session::Ended(reason) => Err(SessionEnded::new(*reason)),
            _ => Err(SessionEnded::new(EndReason::Replaced)),
        }
    }

    pub(super) fn open(&self, epoch: Epoch, now: Now) -> Result<Opening, SessionEnded> {
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

    pub(super) fn step(&mut self, want: &mut Want, now: Now) -> Step {
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
    pub(super) fn tokens_are_idempotent(&self) -> bool {
        matches!(&self.session, Session::Live(live) if live.tokens.is_idempotent())
    }

    /// A second request with the present refresh token is a repeat to the server, and no reuse.
    pub(super) fn is_repeatable(&self) -> bool {
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
    fn is_due(&self, now: Now) -> bool {
        match &self.session {
            Session::Live(live) => live.validity.phase(now) >= Phase::Mandatory,
            _ => true,
        }
    }

    /// The present token instead of a newer one, if that will do.
    pub(super) fn settle(&self, want: &Want, error: RefreshUnavailable, now: Now) -> Verdict {
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

    fn lease(&self, live: &Live) -> Lease {
        Lease {
            token: live.tokens.access_token().clone(),
            generation: self.generation,
        }
    }

    pub(super) fn is_current(&self, flight: FlightId) -> bool {
        self.flight
            .as_ref()
            .is_some_and(|running| running.id == flight)
    }

    /// The refresh that runs.
    pub(super) fn current(&self) -> Option<FlightId> {
        self.flight.as_ref().map(|running| running.id)
    }

    /// Notes that the task of `flight` runs, and has this long for its next step; false if it is not to run
    /// any more.
    pub(super) fn progress(&mut self, flight: FlightId, now: Now, patience: Duration) -> bool {
        self.note(flight, |running| {
            running.overdue = now.monotonic.checked_add(patience);
        })
    }

    /// Notes that the refresher is about to be called; false if it must not be called any more.
    pub(super) fn ask(&mut self, flight: FlightId, now: Now) -> bool {
        let is_repeatable = self.is_repeatable();
        self.note(flight, |running| {
            if !running.has_asked {
                running.overdue = is_repeatable.then(|| now.monotonic + ASKING_PATIENCE);
                running.has_asked = true;
            }
        })
    }

    /// Notes that a try failed and another follows: requests whose token is still alive need not wait.
    pub(super) fn repeat(&mut self, flight: FlightId) -> bool {
        self.note(flight, |running| running.is_repeating = true)
    }

    fn note(&mut self, flight: FlightId, note: impl FnOnce(&mut Flight)) -> bool {
        let running = self.flight.as_mut().filter(|running| running.id == flight);
        running.map(note).is_some()
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
        let Session::Live(live) = &self.session else {
            return;
        };
        self.become_live(tokens, live.sign_in, asked, self.current());
        self.unsaved = unsaved;
        self.news.push(Event::Refreshed { generation });
    }

    /// Tokens that the store knows, and the key of their refresh if it has begun.
    pub(super) fn adopt(&mut self, stored: &StoredTokens, now: Now) {
        self.give_way_to(stored.sign_in());
        self.become_live(stored.tokens().clone(), stored.sign_in(), now, None);
        self.key = stored.idempotency_key().cloned();
    }

    /// Tokens that the store will know, unless it has got newer ones by then.
    pub(super) fn begin(&mut self, tokens: TokenSet, now: Now) {
        let sign_in = SignInId::of(&tokens);
        self.become_live(tokens, sign_in, now, None);
        self.unsaved = Unsaved::Begin;
    }

    /// The generation is the time, so that one can see in a record when its user signed in.
    pub(super) fn sign_in(&mut self, tokens: TokenSet, now: Now) {
        let tokens = tokens.with_generation(now.millis().max(self.generation + 1));
        let sign_in = SignInId::of(&tokens);
        if !self.give_way_to(sign_in) {
            self.epoch += 1;
        }
        self.endings.forget(sign_in);
        self.become_live(tokens, sign_in, now, None);
        self.budget = Budget::default();
        self.unsaved = Unsaved::SignIn;
    }

    /// Another sign-in takes the place of the live one, which is over; false if there is none.
    fn give_way_to(&mut self, sign_in: SignInId) -> bool {
        match &self.session {
            Session::Live(live) if live.sign_in != sign_in => {
                self.endings.add(Ending::of(live.sign_in));
                self.epoch += 1;
                true
            }
            _ => false,
        }
    }

    /// The session is over, if there is one. The store forgets it, unless it has done so already.
    pub(super) fn end(&mut self, reason: EndReason, clears: bool) {
        let sign_in = match &self.session {
            Session::Live(live) => Some(live.sign_in),
            Session::Unloaded(given) => given.as_ref().map(SignInId::of),
            Session::Empty | Session::Ended(_) => return,
        };
        let ending = sign_in.map(|sign_in| match reason {
            EndReason::Refused => Ending::up_to(sign_in, self.generation),
            _ => Ending::of(sign_in),
        });
        // What the sign-in was to take the place of goes with it.
        let replaced = (self.unsaved == Unsaved::SignIn).then(|| Ending::until(self.generation));
        self.epoch += 1;
        self.is_leaving = matches!(self.session, Session::Unloaded(_));
        self.change(Session::Ended(reason), 0);
        if let Some(ending) = ending {
            self.end_record(ending, clears);
        }
        if let Some(replaced) = replaced.filter(|_| clears) {
            self.unsaved = Unsaved::End(replaced);
        }
        self.news.push(Event::SessionEnded { reason });
    }

    /// Remembers that a record is not used again, and has the store forget it.
    pub(super) fn end_record(&mut self, ending: Ending, clears: bool) {
        self.endings.add(ending);
        if clears {
            self.unsaved = Unsaved::End(ending);
        }
    }

    /// The store is empty.
    pub(super) fn empty(&mut self) {
        self.change(Session::Empty, self.generation);
    }

    pub(super) fn position(&self) -> Position {
        Position {
            epoch: self.epoch,
            generation: self.generation,
        }
    }

    pub(super) fn standing(&self, stored: &StoredTokens) -> Standing {
        match &self.session {
            Session::Live(live) if live.sign_in == stored.sign_in() => {
                match stored.tokens().generation().cmp(&self.generation) {
                    Ordering::Less => Standing::Older,
                    Ordering::Equal => Standing::Same,
                    Ordering::Greater => Standing::Newer,
                }
            }
            _ if self.endings.cover(stored) => Standing::Ended,
            _ if matches!(self.unsaved, Unsaved::End(it) if it.covers(stored)) => Standing::Ended,
            _ => Standing::Foreign,
        }
    }

    /// The session gives way to this record, unless somebody has just signed in here.
    pub(super) fn gives_way(&self, stored: &StoredTokens) -> bool {
        let standing = self.standing(stored);
        matches!(standing, Standing::Newer | Standing::Foreign) && self.unsaved != Unsaved::SignIn
    }

    /// What the store does not know yet.
    pub(super) fn next_write(&self) -> Option<Write> {
        match (self.unsaved, &self.session) {
            (Unsaved::End(ending), _) => Some(Write::Clear(ending, self.endings.clone())),
            (Unsaved::Nothing, Session::Live(live)) if self.has_unsaved_key => {
                Some(self.announcing(live, self.key.clone()))
            }
            (_, Session::Live(live)) => self.saving(live.record(self.key.clone())),
            (_, _) => None,
        }
    }

    /// The write that announces a refresh of the live session.
    pub(super) fn begin_write(&self, key: Option<IdempotencyKey>) -> Option<Write> {
        match &self.session {
            Session::Live(live) => Some(self.announcing(live, key)),
            _ => None,
        }
    }

    /// The write that stores the children of the live session.
    pub(super) fn child_write(&self, tokens: &TokenSet, was_stored: bool) -> Option<Write> {
        let Session::Live(live) = &self.session else {
            return None;
        };
        let record = StoredTokens::of(live.sign_in, tokens.clone(), None);
        match was_stored || self.unsaved == Unsaved::Nothing {
            true => Some(Write::Refresh(record, self.endings.clone())),
            false => self.saving(record),
        }
    }

    fn announcing(&self, live: &Live, key: Option<IdempotencyKey>) -> Write {
        Write::Key(live.record(key), self.endings.clone())
    }

    fn saving(&self, record: StoredTokens) -> Option<Write> {
        match self.unsaved {
            Unsaved::SignIn => Some(Write::SignIn(record)),
            Unsaved::Begin => Some(Write::Begin(record)),
            Unsaved::Refresh => Some(Write::Refresh(record, self.endings.clone())),
            Unsaved::Nothing | Unsaved::End(_) => None,
        }
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
        let is_ahead = !self.is_due(now);
        self.flight = None;
        self.failure = Some(Failure {
            flight,
            error: error.for_a_while(delay),
            in_a_row,
            retry_at: now.monotonic + delay,
            is_ahead,
        });
    }

    /// The key that counts for a refresh of these tokens.
    pub(super) fn keep_key(&mut self, position: Position, key: Option<IdempotencyKey>) {
        if self.position() == position {
            self.key = key;
        }
    }

    pub(super) fn count_superseded(&mut self) -> u32 {
        self.superseded += 1;
        self.superseded
    }

    fn become_live(
        &mut self,
        tokens: TokenSet,
        sign_in: SignInId,
        obtained: Now,
        flight: Option<FlightId>,
    ) {
        let tokens = tokens.pinned(obtained.wall);
        let lifespan = match tokens.access_token().is_valid() {
            true => Lifespan::of(&tokens, obtained),
            false => Some(Lifespan::default()),
        };
        let generation = tokens.generation();
        let live = Live {
            validity: Validity::new(obtained, lifespan, clock::jitter()),
            tokens,
            sign_in,
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

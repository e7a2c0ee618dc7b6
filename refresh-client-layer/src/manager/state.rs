mod flights;
mod records;
mod steps;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

pub(super) use self::records::Standing;

use self::flights::Flight;

use super::backoff;
use super::budget::Budget;
use super::endings::{Ending, Endings};
use super::error::{RefreshUnavailable, SessionEnded};
use super::news::News;
use super::want::{Epoch, FlightId, Lease};
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

    fn lease(&self, live: &Live) -> Lease {
        Lease {
            token: live.tokens.access_token().clone(),
            generation: self.generation,
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
        let is_other = self.retire_other_than(stored.sign_in());
        self.epoch += u64::from(is_other);
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
        self.retire_other_than(sign_in);
        self.epoch += 1;
        self.endings.forget(sign_in);
        self.become_live(tokens, sign_in, now, None);
        self.budget = Budget::default();
        self.unsaved = Unsaved::SignIn;
    }

    /// The live sign-in is over if it is another one than this; false if there is none.
    fn retire_other_than(&mut self, sign_in: SignInId) -> bool {
        match &self.session {
            Session::Live(live) if live.sign_in != sign_in => {
                self.endings.add(Ending::of(live.sign_in));
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

use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{join_all, select};
use http::{Request, StatusCode};
use http_body_util::Full;
use refresh_client_layer::{
    EndReason, Event, Events, MemoryStore, NotRetried, Outcome, RefreshLayer, RefreshUnavailable,
    SessionEnded, TokenError, TokenManager, TokenStore as _, UnavailableKind,
};
use tokio::time::{Instant, advance};
use tower::{Layer as _, ServiceExt as _};

use super::chance::step_back;
use super::plan::{Actor, Plan};
use super::server::{Name, REQUEST, Server};
use super::shelf::Shelf;

use crate::support::records::Records as _;

/// Everything that an actor touches.
#[derive(Clone)]
pub(crate) struct Stage {
    plan: Plan,
    server: Server,
    memory: MemoryStore,
    managers: Vec<TokenManager>,
    last_word: Arc<Mutex<LastWord>>,
    have_waited: Arc<AtomicU64>,
}

/// Of the user, about this session.
#[derive(Clone, Copy)]
enum LastWord {
    In(usize),
    Out(usize),
}

/// What came of a run.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) faults: Vec<String>,
    pub(crate) draws: u64,
    pub(crate) refreshes: u64,
    /// Several requests waited for a token.
    pub(crate) is_shared: bool,
    pub(crate) endings: u64,
}

impl Stage {
    pub(crate) async fn new(plan: Plan) -> Self {
        let server = Server::new(plan.chance.clone(), plan.rules);
        let memory = MemoryStore::new();
        let shelf = Shelf {
            memory: memory.clone(),
            server: server.clone(),
            lies: plan.store_lies,
        };
        let first = server.book().log_in();
        assert!(memory.save(&first.tokens()).await.unwrap());
        let manager = |_| {
            let builder = TokenManager::builder(server.clone())
                .origin("https://api.example")
                .store(shelf.clone());
            match plan.is_plain {
                true => builder.without_idempotency_key().build().unwrap(),
                false => builder.build().unwrap(),
            }
        };
        let managers: Vec<_> = (0..plan.managers).map(manager).collect();
        // The others begin with a look into the store.
        if plan.chance.one_in(2) {
            for manager in &managers {
                manager.access_token().await.unwrap();
            }
        }
        Self {
            plan,
            server,
            memory,
            managers,
            last_word: Arc::new(Mutex::new(LastWord::In(first.session))),
            have_waited: Arc::default(),
        }
    }

    pub(crate) async fn play(self) -> Report {
        let start = Instant::now();
        let events = self.managers[0].events();
        let actors = self.plan.actors.iter().enumerate().map(|(at, actor)| {
            let manager = self.managers[at % self.managers.len()].clone();
            tokio::spawn(self.clone().act(*actor, manager))
        });
        for done in join_all(actors.collect::<Vec<_>>()).await {
            self.expect(done.is_ok(), "an actor panicked");
        }
        settle().await;
        // Paused time passes by itself only where everybody waits for it.
        let by_itself = start.elapsed() - TICK * self.plan.count(Actor::Clock) as u32;
        // Where messages are lost, callers wait for the next try.
        let is_woken = by_itself.is_zero() || self.plan.rules.loses_messages;
        self.expect(is_woken, "C4: somebody was not woken");
        self.count_rotations();
        self.last_scene().await;
        self.report(events)
    }

    async fn act(self, actor: Actor, manager: TokenManager) {
        self.plan.chance.wait(16).await;
        match actor {
            Actor::Request => self.request(&manager).await,
            Actor::Deserter => {
                let leaves = self.plan.chance.wait(12);
                let request = self.request(&manager);
                let _whoever_was_faster = select(pin!(leaves), pin!(request)).await;
            }
            Actor::Force => self.force(&manager).await,
            Actor::Expiry => self.server.book().expire(),
            Actor::Revocation => self.server.book().revoke(0),
            Actor::SignOut => {
                let (LastWord::In(session) | LastWord::Out(session)) = *self.last_word();
                *self.last_word() = LastWord::Out(session);
                manager.sign_out().await;
            }
            Actor::SignIn => {
                let name = self.server.book().log_in();
                *self.last_word() = LastWord::In(name.session);
                manager.sign_in(name.tokens()).unwrap();
            }
            Actor::Clock => advance(TICK).await,
        }
    }

    async fn request(&self, manager: &TokenManager) {
        let api = RefreshLayer::new(manager.clone()).layer(self.server.clone());
        let request = Request::get("https://api.example/me")
            .header(REQUEST, self.server.book().next_request())
            .body(Full::<Bytes>::default());
        match api.oneshot(request.unwrap()).await {
            Ok(response) => {
                let outcome = response.extensions().get::<Outcome>().unwrap();
                let has_waited = u64::from(outcome.has_waited());
                self.have_waited.fetch_add(has_waited, Ordering::Relaxed);
                let is_fine = response.status() == StatusCode::OK
                    || match outcome.not_retried() {
                        // The new token died on its way.
                        Some(NotRetried::AlreadyRetried) => true,
                        Some(NotRetried::SessionEnded) => self.is_over(),
                        Some(NotRetried::SignInChanged) => self.is_switched(),
                        Some(NotRetried::TooManyRefreshes) => self.plan.rules.api_refuses_all,
                        _ => false,
                    };
                self.expect(is_fine, "C2: a 401 came through");
            }
            Err(error) => match error.downcast_ref::<RefreshUnavailable>() {
                Some(error) => self.unavailable(error.kind()),
                None => self.ended(error.downcast_ref::<SessionEnded>()),
            },
        }
    }

    async fn force(&self, manager: &TokenManager) {
        match manager.force_refresh().await {
            Ok(token) => {
                let is_new = Name::of(token.secret()).number > 0 || self.plan.has(Actor::SignIn);
                self.expect(is_new, "a forced refresh brought the old token");
            }
            Err(TokenError::RefreshUnavailable(error)) => self.unavailable(error.kind()),
            Err(TokenError::SessionEnded(error)) => self.ended(Some(&error)),
            Err(_) => self.ended(None),
        }
    }

    fn unavailable(&self, kind: UnavailableKind) {
        let is_lost = matches!(kind, UnavailableKind::Failed | UnavailableKind::BackingOff);
        let has_reason = is_lost && self.plan.rules.loses_messages;
        self.server
            .book()
            .expect(has_reason, || format!("a caller got {kind:?}"));
    }

    fn ended(&self, error: Option<&SessionEnded>) {
        let has_reason = match error.map(SessionEnded::reason) {
            Some(EndReason::Replaced) => self.is_switched(),
            Some(_) => self.is_over(),
            None => false,
        };
        self.expect(has_reason, "C8: the session ended");
    }

    /// A request may belong to a sign-in before this one.
    fn is_switched(&self) -> bool {
        self.plan.has(Actor::SignIn)
    }

    /// Somebody may have ended the session.
    fn is_over(&self) -> bool {
        self.plan.has(Actor::SignOut) || self.plan.has(Actor::Revocation)
    }

    /// Law C3, and C9 where the API refuses whatever it is sent.
    fn count_rotations(&self) {
        let rotations = self.server.book().rotations();
        let most = match self.plan.rules.api_refuses_all {
            true => BUDGET,
            false => self.plan.count(Actor::Expiry) + self.plan.count(Actor::Force),
        };
        self.server
            .book()
            .expect(rotations <= most, || format!("C3: {rotations} refreshes"));
    }

    /// The network is well again: is the session what it should be?
    async fn last_scene(&self) {
        self.server.book().rules.loses_messages = false;
        advance(Duration::from_secs(120)).await;
        let last_word = *self.last_word();
        match last_word {
            LastWord::Out(session) => {
                let is_revoked = self.server.book().is_revoked(session);
                self.expect(is_revoked, "C8: a session survived its sign-out");
                let is_over = self.managers[0].access_token().await.is_err();
                self.expect(is_over, "C8: a session was resurrected");
                let is_empty = self.memory.load().await.unwrap().is_none();
                self.expect(is_empty, "C8: tokens were left in the store");
            }
            LastWord::In(session) if self.server.book().is_revoked(session) => {
                let is_over = self.managers[0].force_refresh().await.is_err();
                self.expect(is_over, "C10: a revoked session lives");
            }
            LastWord::In(session) => {
                // Where an answer was lost, some have yet to learn what is in the store.
                let all = self.managers.iter().chain(self.managers.last());
                let mut token = None;
                for manager in all {
                    token = manager.force_refresh().await.ok();
                }
                let name = token.map(|token| Name::of(token.secret()));
                self.expect_newest(name, session, "in memory");
                let stored = self.memory.load().await.unwrap();
                let stored = stored.map(|it| Name::of(it.tokens().access_token().secret()));
                self.expect_newest(stored, session, "in the store");
            }
        }
        settle().await;
    }

    fn expect_newest(&self, name: Option<Name>, session: usize, place: &str) {
        let number = self.server.book().newest(session);
        let newest = Name { session, number };
        self.server.book().expect(name == Some(newest), || {
            format!("{name:?} {place} instead of {newest:?}")
        });
    }

    fn report(&self, mut events: Events) -> Report {
        let events = std::iter::from_fn(|| events.try_recv());
        let is_end = |event: &Event| matches!(event, Event::SessionEnded { .. });
        let endings = events.filter(is_end).count();
        let sessions = 1 + self.plan.count(Actor::SignIn);
        self.expect(endings <= sessions, "C10: a session ended twice");
        let mut book = self.server.book();
        Report {
            refreshes: book.rotations() as u64,
            faults: std::mem::take(&mut book.faults),
            draws: self.plan.chance.draws(),
            is_shared: self.have_waited.load(Ordering::Relaxed) > 1,
            endings: endings as u64,
        }
    }

    fn expect(&self, is_so: bool, law: &str) {
        self.server.book().expect(is_so, || law.to_owned());
    }

    fn last_word(&self) -> MutexGuard<'_, LastWord> {
        self.last_word.lock().unwrap()
    }
}

/// Whatever is on its way arrives.
async fn settle() {
    for _ in 0..30 {
        step_back().await;
    }
}

const TICK: Duration = Duration::from_secs(2);
const BUDGET: usize = 5;

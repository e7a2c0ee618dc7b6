//! What runs beside an issuer: it begins by itself, ends with it, and holds nobody up.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use auth_layer::issue::{IssuerConfigError, NewSession};
use auth_layer::store::{
    FeedListener, FeedStatus, MemoryStore, RevokedBy, Rotated, Rotation, Selection, Session,
    SessionStore, StoreError, StoreErrorKind,
};
use auth_layer::verify::VerifyErrorKind;
use auth_layer::{Revocations, Timestamp, TokenIssuer};
use tokio::runtime::{Builder, Runtime};
use tokio::time::{Instant, sleep};

use crate::support::issue::*;

const HOUR: Duration = Duration::from_secs(3600);

/// Counts what is cleaned up, and by how many calls.
#[derive(Clone, Default)]
struct Counting {
    store: MemoryStore,
    calls: Arc<AtomicUsize>,
    is_down: Arc<AtomicUsize>,
}

impl Counting {
    fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

impl SessionStore for Counting {
    async fn insert(&self, session: Session, epoch: Option<u64>) -> Result<(), StoreError> {
        self.store.insert(session, epoch).await
    }

    async fn epoch(&self, subject: &str) -> Result<u64, StoreError> {
        self.store.epoch(subject).await
    }

    async fn rotate(&self, rotation: Rotation) -> Result<Rotated, StoreError> {
        self.store.rotate(rotation).await
    }

    async fn revoke(
        &self,
        selection: Selection,
        by: RevokedBy,
        now: Timestamp,
    ) -> Result<Vec<Session>, StoreError> {
        self.store.revoke(selection, by, now).await
    }

    async fn list(&self, selection: Selection, now: Timestamp) -> Result<Vec<Session>, StoreError> {
        self.store.list(selection, now).await
    }

    async fn delete_expired(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        if self.is_down.load(Ordering::SeqCst) > 0 {
            return Err(StoreErrorKind::Unavailable.into());
        }
        self.store.delete_expired(before, limit).await
    }

    async fn feed(&self, to: &FeedListener) -> Result<(), StoreError> {
        self.store.feed(to).await
    }
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

async fn current(issuer: &TokenIssuer) {
    while issuer.feed_status() != FeedStatus::Following {
        tokio::task::yield_now().await;
    }
}

/// R11: in bounded batches, by itself, every hour or so.
#[tokio::test(start_paused = true)]
async fn sessions_that_nobody_needs_are_forgotten_within_two_hours() {
    let store = Counting::default();
    let server = Server::new(store.clone());
    for _ in 0..2_500 {
        server.issuer.start(NewSession::new("bob")).await.unwrap();
    }
    server.clock.advance(91 * 24 * HOUR);
    sleep(HOUR / 3).await;
    assert_eq!(store.calls(), 0, "not all servers at once when they start");
    sleep(2 * HOUR).await;
    assert!(format!("{:?}", store.store).contains("sessions: 0"));
    let by_now = store.calls();
    assert!((3..=6).contains(&by_now), "{by_now} calls");
    sleep(100 * HOUR).await;
    let more = store.calls() - by_now;
    assert!((70..=140).contains(&more), "{more} in 100 hours");
}

#[tokio::test(start_paused = true)]
async fn cleanup_that_fails_is_tried_again_the_next_time() {
    let store = Counting::default();
    let server = Server::new(store.clone());
    server.issuer.start(NewSession::new("bob")).await.unwrap();
    server.clock.advance(91 * 24 * HOUR);
    store.is_down.store(1, Ordering::SeqCst);
    sleep(5 * HOUR).await;
    assert!(store.calls() > 1);
    store.is_down.store(0, Ordering::SeqCst);
    sleep(2 * HOUR).await;
    assert!(format!("{:?}", store.store).contains("sessions: 0"));
}

#[tokio::test(start_paused = true)]
async fn cleanup_can_be_left_to_somebody_else_or_come_more_often() {
    let (left, often) = (Counting::default(), Counting::default());
    let _left = builder(left.clone()).without_cleanup().build().unwrap();
    let _often = builder(often.clone())
        .cleanup_every(MINUTE)
        .build()
        .unwrap();
    sleep(HOUR).await;
    assert_eq!(left.calls(), 0);
    assert!((40..=120).contains(&often.calls()), "{}", often.calls());
    let never = builder(left).cleanup_every(Duration::ZERO).build();
    assert_eq!(never.unwrap_err(), IssuerConfigError::CleanupTooOften);
}

/// A verifier that starts now wants to hear of it, as long as an access token may be taken for alive.
#[tokio::test]
async fn what_was_revoked_stays_as_long_as_an_access_token_of_it() {
    let store = MemoryStore::new();
    let server = Server::new(store.clone());
    let pair = server.issuer.start(NewSession::new("alice")).await.unwrap();
    server.issuer.revoke(pair.refresh_token()).await.unwrap();
    server.clock.advance(90 * 24 * HOUR + 5 * MINUTE);
    assert_eq!(server.issuer.delete_expired().await.unwrap(), 0);
    server.clock.advance(6 * MINUTE);
    assert_eq!(server.issuer.delete_expired().await.unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_runs_beside_an_issuer_ends_with_its_last_handle() {
    let store = Counting::default();
    let issuer = builder(store.clone()).build().unwrap();
    let other = issuer.clone();
    current(&issuer).await;
    drop(issuer);
    sleep(3 * HOUR).await;
    let calls = store.calls();
    assert!(calls > 0, "a clone is a handle");
    drop(other);
    sleep(3 * HOUR).await;
    assert_eq!((store.calls(), Arc::strong_count(&store.calls)), (calls, 1));
}

#[test]
fn an_issuer_that_was_built_outside_a_runtime_begins_at_its_first_use() {
    let store = MemoryStore::new();
    let issuer = builder(store.clone()).build().unwrap();
    assert_eq!(issuer.feed_status(), FeedStatus::Starting);
    let pair = runtime().block_on(async {
        current(&issuer).await;
        issuer.start(NewSession::new("alice")).await.unwrap()
    });
    assert!(matches!(issuer.feed_status(), FeedStatus::Lagging { .. }));

    // Its runtime has ended: the next one takes over, and is told what was missed.
    runtime().block_on(async {
        let session = Selection::One(pair.session());
        let revoked = store.revoke(session, RevokedBy::Application, now()).await;
        assert_eq!(revoked.unwrap().len(), 1);
        current(&issuer).await;
        let verdict = verified(&issuer.verifier(), &pair).await;
        assert_eq!(verdict.unwrap_err(), VerifyErrorKind::Revoked);
    });
}

fn now() -> Timestamp {
    use auth_layer::{Clock as _, SystemClock};
    SystemClock.now()
}

/// R9: who listens is not who did it, so it is no event here.
#[tokio::test]
async fn what_others_revoke_kills_access_tokens_and_is_told_by_them() {
    let store = MemoryStore::new();
    let (here, there) = (Server::new(store.clone()), Server::new(store));
    let pair = here.issuer.start(NewSession::new("alice")).await.unwrap();
    current(&there.issuer).await;
    here.issuer.revoke_all("alice").await.unwrap();
    let begin = Instant::now();
    while !there
        .issuer
        .revocations()
        .is_revoked(&claims(&here, &pair).await)
    {
        assert!(begin.elapsed() < Duration::from_secs(1));
        tokio::task::yield_now().await;
    }
    assert_eq!(there.events.all(), []);
}

/// The claims of a token, read by a verifier that knows of no revocation.
async fn claims(server: &Server, pair: &auth_layer::issue::TokenPair) -> auth_layer::Claims {
    let forgetful = Revocations::new(MINUTE);
    let verifier = server.issuer.verifier_builder().revocations(forgetful);
    verified(&verifier.build().unwrap(), pair).await.unwrap()
}

#[test]
fn revocations_that_forget_before_a_token_ends_are_refused() {
    let short = builder(MemoryStore::new()).revocations(Revocations::new(MINUTE));
    let error = short.build().unwrap_err();
    assert_eq!(error, IssuerConfigError::RevocationsForgetTooSoon);
    assert!(error.to_string().contains("at least `access_ttl`"));
}

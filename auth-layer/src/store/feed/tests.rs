use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;

use super::*;
use crate::claims::Claims;
use crate::clock::{Clock as _, ManualClock, Timestamp};
use crate::refresh_token::SessionId;
use crate::revocation::Revocations;
use crate::store::{
    ErasedStore, RevokedBy, Rotated, Rotation, Selection, Session, SessionStore, StoreError,
    StoreErrorKind,
};

const NOW: Timestamp = Timestamp::from_secs(100_000);
const LONGEST: Duration = Duration::from_secs(1_200);
const MINUTE: Duration = Duration::from_secs(60);

/// A store whose feed does what it is told, and which notes from when on it was asked.
struct Played {
    acts: tokio::sync::Mutex<mpsc::UnboundedReceiver<Act>>,
    asked: mpsc::UnboundedSender<Timestamp>,
    calls: AtomicUsize,
}

enum Act {
    CatchUp,
    Tell(u8),
    Fail,
    Panic,
}

impl SessionStore for Played {
    async fn insert(&self, _: Session, _: Option<u64>) -> Result<(), StoreError> {
        unreachable!()
    }

    async fn epoch(&self, _: &str) -> Result<u64, StoreError> {
        unreachable!()
    }

    async fn rotate(&self, _: Rotation) -> Result<Rotated, StoreError> {
        unreachable!()
    }

    async fn revoke(
        &self,
        _: Selection,
        _: RevokedBy,
        _: Timestamp,
    ) -> Result<Vec<Session>, StoreError> {
        unreachable!()
    }

    async fn list(&self, _: Selection, _: Timestamp) -> Result<Vec<Session>, StoreError> {
        unreachable!()
    }

    async fn feed(&self, to: &FeedListener) -> Result<(), StoreError> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        while let Some(act) = self.acts.lock().await.recv().await {
            match act {
                Act::CatchUp => {
                    let catch_up = to.catch_up();
                    self.asked.send(catch_up.since()).unwrap();
                    catch_up.done();
                }
                Act::Tell(number) => to.revoked(SessionId::from_bytes([number; 16])),
                Act::Fail => return Err(StoreErrorKind::Unavailable.into()),
                Act::Panic => panic!("as if a store were wrong"),
            }
        }
        Ok(())
    }
}

struct Stage {
    store: Arc<Played>,
    acts: mpsc::UnboundedSender<Act>,
    asked: mpsc::UnboundedReceiver<Timestamp>,
    clock: ManualClock,
    revocations: Revocations,
    feed: RevocationFeed,
}

impl Stage {
    fn new() -> Self {
        let (acts, received) = mpsc::unbounded_channel();
        let (asks, asked) = mpsc::unbounded_channel();
        let store = Arc::new(Played {
            acts: received.into(),
            asked: asks,
            calls: AtomicUsize::new(0),
        });
        let (clock, revocations) = (ManualClock::at(NOW), Revocations::new(LONGEST));
        let feed = RevocationFeed::follow_by(store.clone(), revocations.clone(), clock.clone());
        Self {
            store,
            acts,
            asked,
            clock,
            revocations,
            feed,
        }
    }

    fn act(&self, act: Act) {
        assert!(self.acts.send(act).is_ok());
    }

    async fn since(&mut self) -> Timestamp {
        self.act(Act::CatchUp);
        self.asked.recv().await.unwrap()
    }

    async fn becomes(&self, status: FeedStatus) {
        let mut it = self.feed.status.clone();
        it.wait_for(|it| *it == status).await.unwrap();
    }

    fn knows(&self, number: u8) -> bool {
        let sid = SessionId::from_bytes([number; 16]);
        let claims: Claims = Claims::read(format!(r#"{{"sid":"{sid}"}}"#).as_bytes()).unwrap();
        self.revocations.is_revoked(&claims)
    }
}

#[tokio::test(start_paused = true)]
async fn it_is_current_once_it_knows_what_was_revoked_within_the_life_of_a_token() {
    let mut stage = Stage::new();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(stage.feed.status(), FeedStatus::Starting);
    assert!(!stage.feed.status().is_current());
    stage.act(Act::Tell(1));
    assert_eq!(stage.since().await, NOW.minus(LONGEST + MINUTE));
    stage.feed.current().await;
    assert_eq!(stage.feed.status(), FeedStatus::Following);
    assert!(stage.knows(1) && !stage.knows(2));
}

#[tokio::test(start_paused = true)]
async fn after_an_outage_it_asks_from_a_minute_before_it_was_last_current() {
    let mut stage = Stage::new();
    stage.since().await;
    stage.becomes(FeedStatus::Following).await;
    stage.clock.advance(MINUTE);
    stage.act(Act::Fail);
    stage.becomes(FeedStatus::Lagging { since: NOW }).await;
    stage.clock.advance(MINUTE);
    stage.act(Act::Fail);
    assert_eq!(stage.since().await, NOW.minus(MINUTE));
    stage.becomes(FeedStatus::Following).await;

    stage.clock.set(NOW.minus(MINUTE));
    assert_eq!(stage.since().await, NOW.minus(MINUTE * 2), "clocks go back");
    stage.clock.advance(LONGEST * 5);
    let oldest = stage.clock.now().minus(LONGEST + MINUTE);
    assert_eq!(stage.since().await, oldest, "no token is older");
}

#[tokio::test(start_paused = true)]
async fn it_asks_again_soon_then_more_rarely_and_soon_again_once_it_was_current() {
    let mut stage = Stage::new();
    let begin = tokio::time::Instant::now();
    for _ in 0..20 {
        stage.act(Act::Fail);
    }
    stage.since().await;
    let took = begin.elapsed();
    assert!(took > Duration::from_secs(60), "{took:?}");
    assert!(took < Duration::from_secs(100), "{took:?}");
    let again = tokio::time::Instant::now();
    stage.act(Act::Fail);
    stage.since().await;
    assert!(again.elapsed() < Duration::from_millis(100));
}

#[tokio::test(start_paused = true)]
async fn a_store_without_a_feed_is_asked_once_and_is_current() {
    let stage = Stage::new();
    drop(stage.acts);
    stage.feed.current().await;
    assert_eq!(stage.feed.status(), FeedStatus::Absent);
    tokio::time::sleep(MINUTE).await;
    assert_eq!(stage.store.calls.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn dropping_it_ends_it_and_lets_go_of_the_store() {
    let Stage { store, feed, .. } = Stage::new();
    tokio::task::yield_now().await;
    drop(feed);
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(Arc::strong_count(&store), 1);
}

#[tokio::test(start_paused = true)]
async fn a_feed_that_panics_promises_nothing_more() {
    let mut stage = Stage::new();
    stage.since().await;
    stage.becomes(FeedStatus::Following).await;
    stage.act(Act::Panic);
    stage.becomes(FeedStatus::Lagging { since: NOW }).await;
}

/// R9: at once, as both are in one process.
#[tokio::test]
async fn an_erased_store_is_followed_too() {
    let store = crate::store::MemoryStore::new();
    let erased: Arc<dyn ErasedStore> = Arc::new(store.clone());
    let listener = FeedListener::new(Revocations::new(LONGEST), Arc::new(ManualClock::at(NOW)));
    let mut status = listener.status();
    let task = tokio::spawn(follow(erased, listener));
    status.wait_for(|it| it.is_current()).await.unwrap();
    assert_eq!(*status.borrow(), FeedStatus::Following);
    task.abort();
}

#[cfg(any(feature = "postgres", feature = "sqlite"))]
#[test]
fn a_full_page_is_followed_by_the_next_and_only_the_last_one_counts() {
    use super::pages::{Pages, Revoked};

    let listener = FeedListener::new(Revocations::new(LONGEST), Arc::new(ManualClock::at(NOW)));
    let pages = Pages::new(&listener);
    let oldest = listener.catch_up().since();
    assert!(
        pages.after.at < oldest,
        "what was revoked just then is read"
    );
    let page: Vec<_> = (0..Pages::SIZE as usize)
        .map(|number| Revoked {
            at: oldest,
            id: SessionId::from_bytes((number as u128).to_be_bytes()),
        })
        .collect();
    let pages = pages.tell(&page).unwrap();
    assert_eq!(pages.after.id, page[page.len() - 1].id);
    assert!(listener.has_heard_nothing());
    assert!(pages.tell(&page[1..]).is_none());
    assert!(!listener.has_heard_nothing());
}

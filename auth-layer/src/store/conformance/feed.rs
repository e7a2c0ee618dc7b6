use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::dice::{ABSOLUTE, NOW, first_token, refresh, session, session_id};
use crate::claims::Claims;
use crate::clock::ManualClock;
use crate::refresh_token::SessionId;
use crate::revocation::Revocations;
use crate::store::{FeedStatus, Outcome, RevocationFeed, RevokedBy, Rotated, Selection};
use crate::store::{Session, SessionStore};

/// Whoever listens hears of each session that is revoked, by whichever verb, before or after it
/// began, and of no other. For stores without a feed it says nothing.
pub async fn revocations_reach_whoever_listens<S: SessionStore>(store: &Arc<S>) {
    let sessions = sessions(store, 20, "is told of").await;
    let [before, one, reused, kept, .., last] = sessions.map(|it| it.id);
    revoke(store, Selection::One(before)).await;
    let Some(ear) = Ear::new(store).await else {
        return;
    };
    assert!(ear.knows(before), "current, but not told of {before}");
    revoke(store, Selection::One(one)).await;
    ear.hears(one).await;
    reuse(store, reused).await;
    ear.hears(reused).await;
    rotate(store, kept).await;
    let subject = "is told of".to_owned();
    revoke(
        store,
        Selection::Others {
            subject,
            keep: kept,
        },
    )
    .await;
    ear.hears(last).await;
    assert!(!ear.knows(kept), "told of a session that goes on");
    revoke(store, Selection::Subject("is told of".to_owned())).await;
    ear.hears(kept).await;
}

/// Who did not listen for a while is told all that was missed, and so is who begins late.
pub async fn a_listener_that_was_away_catches_up<S: SessionStore>(store: &Arc<S>) {
    let [away, reused, late, ..] = sessions(store, 21, "catches up").await.map(|it| it.id);
    let Some(ear) = Ear::new(store).await else {
        return;
    };
    let revocations = ear.revocations.clone();
    drop(ear);
    revoke(store, Selection::One(away)).await;
    reuse(store, reused).await;
    let back = Ear::of(store, revocations).await;
    let new = Ear::new(store).await.expect("it had a feed");
    for ear in [&back, &new] {
        assert!(ear.knows(away) && ear.knows(reused) && !ear.knows(late));
    }
    revoke(store, Selection::One(late)).await;
    back.hears(late).await;
    new.hears(late).await;
}

/// However many are revoked at once and in whatever order, while a listener starts: none is missed.
pub async fn a_listener_that_starts_in_a_storm_misses_nothing<S: SessionStore>(store: &Arc<S>) {
    for round in 0..4 {
        let sessions = sessions(store, 22 + round, "is in a storm").await;
        let mut storm = JoinSet::new();
        for (number, session) in sessions.iter().enumerate() {
            let (store, id) = (store.clone(), session.id);
            storm.spawn(async move {
                if number % 2 == 0 {
                    reuse(&store, id).await;
                } else {
                    revoke(&store, Selection::One(id)).await;
                }
            });
        }
        let Some(ear) = Ear::new(store).await else {
            return;
        };
        storm.join_all().await;
        for session in sessions {
            ear.hears(session.id).await;
        }
    }
}

/// A process that listens.
struct Ear {
    revocations: Revocations,
    _feed: RevocationFeed,
}

impl Ear {
    /// None if the store has no feed.
    async fn new<S: SessionStore>(store: &Arc<S>) -> Option<Self> {
        let ear = Self::of(store, Revocations::new(ABSOLUTE)).await;
        (ear._feed.status() != FeedStatus::Absent).then_some(ear)
    }

    async fn of<S: SessionStore>(store: &Arc<S>, revocations: Revocations) -> Self {
        let clock = ManualClock::at(NOW);
        let feed = RevocationFeed::follow_by(store.clone(), revocations.clone(), clock);
        let current = tokio::time::timeout(PATIENCE, feed.current()).await;
        current.expect("a feed that catches up");
        Self {
            revocations,
            _feed: feed,
        }
    }

    async fn hears(&self, id: SessionId) {
        let heard = tokio::time::timeout(PATIENCE, async {
            while !self.knows(id) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        assert!(heard.await.is_ok(), "nobody told of {id}");
    }

    fn knows(&self, id: SessionId) -> bool {
        let claims: Claims =
            Claims::read(format!(r#"{{"sid":"{id}"}}"#).as_bytes()).expect("claims");
        self.revocations.is_revoked(&claims)
    }
}

/// Long enough for a machine that is busy; in peace it is a second at most.
const PATIENCE: Duration = Duration::from_secs(10);

async fn sessions<S: SessionStore>(store: &Arc<S>, law: u64, subject: &str) -> [Session; 40] {
    let sessions = std::array::from_fn(|it| session(session_id(law, it as u64), subject));
    for session in &sessions {
        store.insert(session.clone(), None).await.expect("inserted");
    }
    sessions
}

async fn revoke<S: SessionStore>(store: &Arc<S>, which: Selection) {
    let revoked = store.revoke(which, RevokedBy::Application, NOW).await;
    assert!(!revoked.expect("revoked").is_empty());
}

async fn rotate<S: SessionStore>(store: &Arc<S>, id: SessionId) {
    let rotated = store.rotate(refresh(id, 0, first_token(id), 1)).await;
    assert!(matches!(
        rotated,
        Ok(Rotated::Decided(Outcome::Advanced, _))
    ));
}

async fn reuse<S: SessionStore>(store: &Arc<S>, id: SessionId) {
    rotate(store, id).await;
    let reused = store.rotate(refresh(id, 0, first_token(id), 2)).await;
    assert!(matches!(reused, Ok(Rotated::Decided(Outcome::Forked, _))));
}

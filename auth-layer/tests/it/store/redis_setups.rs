//! Redis in set-ups that need servers of their own: a fail-over, and a cluster's node.

use std::fmt::Display;
use std::time::Duration;

use auth_layer::issue::{NewSession, RefreshErrorKind, SessionEvent};
use auth_layer::refresh_token::{SessionId, TokenHash};
use auth_layer::store::{
    FeedStatus, Outcome, RedisOpenErrorKind, RedisStore, RevocationFeed, RevokedBy, Rotated,
    Rotation, Selection, Session, SessionStore as _, conformance,
};
use auth_layer::{Revocations, Verify as _};
use tokio::time::Instant;

use crate::support::issue::*;
use crate::support::redis::{Detour, Redis};

/// A replica that lagged becomes the primary: tokens that it has never seen are told as such. Nobody
/// is taken for a thief, and whoever did not refresh meanwhile goes on.
#[tokio::test]
#[ignore = "needs Redis: tests/run test"]
async fn after_a_fail_over_that_lost_rotations_the_store_is_behind_and_nobody_is_a_thief() {
    let primary = Redis::start(&[]).await;
    let replica = Redis::start(&["--replicaof", "127.0.0.1", &primary.port.to_string()]).await;
    replica
        .says("INFO replication", "master_link_status:up")
        .await;
    let before = Server::new(RedisStore::connect(&primary.url()).await.unwrap());
    let start = async || before.issuer.start(NewSession::new("alice")).await.unwrap();
    let (busy, quiet) = (start().await, start().await);
    let busy = before.issuer.refresh(keyed(&busy, 1)).await.unwrap();
    for (pair, generation) in [(&busy, "1"), (&quiet, "0")] {
        let session = format!("HGET auth_session:{{{}}} generation", pair.session());
        replica.says(&session, generation).await;
    }
    replica.says("REPLICAOF NO ONE", "OK").await;
    let lost = before.issuer.refresh(keyed(&busy, 2)).await.unwrap();
    let lost = before.issuer.refresh(keyed(&lost, 3)).await.unwrap();
    drop(primary);

    let after = Server::new(RedisStore::connect(&replica.url()).await.unwrap());
    assert_eq!(
        kind(&after, keyed(&lost, 4)).await,
        RefreshErrorKind::StoreBehind
    );
    let is_behind = |it: &SessionEvent| matches!(it, SessionEvent::StoreBehind { .. });
    assert_eq!(
        (after.events.count(is_behind), after.events.reuses()),
        (1, 0)
    );
    assert_eq!(after.issuer.list("alice").await.unwrap().len(), 2);
    for goes_on in [busy, quiet] {
        after.issuer.refresh(keyed(&goes_on, 5)).await.unwrap();
    }
}

/// A cluster's node refuses whatever touches two slots: no verb does. (`RedisStore` itself talks to
/// one server and follows no redirects.)
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Redis: tests/run test"]
async fn each_verb_keeps_to_one_slot() {
    let node = Redis::start(&["--cluster-enabled", "yes"]).await;
    node.says("CLUSTER ADDSLOTSRANGE 0 16383", "OK").await;
    node.says("CLUSTER INFO", "cluster_state:ok").await;
    conformance::all(RedisStore::connect(&node.url()).await.unwrap()).await;
}

/// A host that is gone ends no connection: who waits for an answer on it gets one on another.
#[tokio::test]
#[ignore = "needs Redis: tests/run test"]
async fn a_connection_that_leads_nowhere_is_replaced() {
    let redis = Redis::start(&[]).await;
    let detour = Detour::to(redis.port).await;
    let server = Server::new(RedisStore::connect(&detour.url()).await.unwrap());
    let pair = server.issuer.start(NewSession::new("alice")).await.unwrap();
    becomes(&server, FeedStatus::is_current).await;

    detour.swallow();
    let begin = Instant::now();
    let pair = server.issuer.refresh(keyed(&pair, 1)).await.unwrap();
    server.issuer.refresh(keyed(&pair, 2)).await.unwrap();
    assert!(begin.elapsed() < SECONDS, "{:?}", begin.elapsed());
    becomes(&server, |it| matches!(it, FeedStatus::Lagging { .. })).await;
    becomes(&server, FeedStatus::is_current).await;
}

/// A primary that is demoted keeps its connections, and knows less and less. It decides nothing.
#[tokio::test]
#[ignore = "needs Redis: tests/run test"]
async fn a_primary_that_was_demoted_is_left_for_the_new_one() {
    let old = Redis::start(&[]).await;
    let new = Redis::start(&["--replicaof", "127.0.0.1", &old.port.to_string()]).await;
    new.says("INFO replication", "master_link_status:up").await;
    let detour = Detour::to(old.port).await;
    let before = Server::new(RedisStore::connect(&detour.url()).await.unwrap());
    let [inserts, revokes, listens] = [
        RedisStore::connect(&detour.url()).await.unwrap(),
        RedisStore::connect(&detour.url()).await.unwrap(),
        RedisStore::connect(&detour.url()).await.unwrap(),
    ];
    let revocations = Revocations::new(Duration::from_secs(1_200));
    let feed = RevocationFeed::follow_by(listens, revocations.clone(), before.clock.clone());
    feed.current().await;

    new.says("REPLICAOF NO ONE", "OK").await;
    old.says("REPLICAOF 127.0.0.1 1", "OK").await;
    detour.lead_to(new.port);
    let direct = RedisStore::connect(&new.url()).await.unwrap();
    let after = Server::new(direct);
    let [unknown, revoked] = [
        after.issuer.start(NewSession::new("bob")).await.unwrap(),
        after.issuer.start(NewSession::new("bob")).await.unwrap(),
    ];
    let first = works_again(async || before.issuer.refresh(keyed(&unknown, 1)).await).await;
    assert_eq!(first.unwrap().kind(), RefreshErrorKind::Unavailable);
    let inserts = async || inserts.insert(session(1), None).await;
    works_again(inserts).await.unwrap();
    let one = || Selection::One(session(1).id);
    let revokes = async || revokes.revoke(one(), RevokedBy::Token, NOW).await;
    works_again(revokes).await.unwrap();

    after
        .issuer
        .revoke_session(revoked.session())
        .await
        .unwrap();
    let verifier = after.issuer.verifier_builder().revocations(revocations);
    let verifier = verifier.build().unwrap();
    let heard = async {
        while verifier.verify(revoked.access_token()).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let heard = tokio::time::timeout(SECONDS, heard).await;
    heard.expect("the feed stays with the server that was demoted");
}

/// Repeats it until it is done, and returns why it was not at first.
async fn works_again<T, E: Display>(work: impl AsyncFn() -> Result<T, E>) -> Option<E> {
    let (begin, mut first) = (Instant::now(), None);
    while let Err(error) = work().await {
        assert!(begin.elapsed() < SECONDS, "{error}");
        first = first.or(Some(error));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    first
}

fn session(number: u8) -> Session {
    let (id, hash) = (
        SessionId::from_bytes([number; 16]),
        TokenHash::from_bytes([0; 32]),
    );
    Session::new(id, "carol", hash, NOW, (SECONDS, SECONDS))
}

async fn becomes(server: &Server, is: impl Fn(FeedStatus) -> bool) {
    let begin = Instant::now();
    while !is(server.issuer.feed_status()) {
        let status = server.issuer.feed_status();
        assert!(begin.elapsed() < SECONDS, "it is {status:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

const SECONDS: Duration = Duration::from_secs(20);

#[tokio::test]
#[ignore = "needs Redis: tests/run test"]
async fn scripts_that_the_server_forgot_are_sent_again() {
    let redis = Redis::start(&[]).await;
    let store = RedisStore::connect(&redis.url()).await.unwrap();
    let (it, hash) = (session(1), TokenHash::from_bytes([0; 32]));
    redis.says("SCRIPT FLUSH", "OK").await;
    store.insert(it.clone(), None).await.unwrap();
    redis.says("SCRIPT FLUSH", "OK").await;
    let rotated = store.rotate(Rotation::new(it.id, 0, hash, hash, NOW)).await;
    assert!(matches!(
        rotated,
        Ok(Rotated::Decided(Outcome::Advanced, _))
    ));
    redis.says("SCRIPT FLUSH", "OK").await;
    let all = Selection::Subject(it.subject);
    let revoked = store.revoke(all, RevokedBy::Token, NOW).await;
    assert_eq!(revoked.unwrap().len(), 1);
}

#[tokio::test]
#[ignore = "needs Redis: tests/run test"]
async fn a_replica_is_good_for_reading_alone() {
    let primary = Redis::start(&[]).await;
    let replica = Redis::start(&["--replicaof", "127.0.0.1", &primary.port.to_string()]).await;
    replica
        .says("INFO replication", "master_link_status:up")
        .await;
    let error = RedisStore::connect(&replica.url()).await.unwrap_err();
    assert_eq!(error.kind(), RedisOpenErrorKind::Replica, "{error:?}");
    let store = RedisStore::connect_to_read(&replica.url()).await.unwrap();
    let feed = RevocationFeed::follow(store, Revocations::new(SECONDS));
    feed.current().await;
    assert_eq!(feed.status(), FeedStatus::Following);
}

/// R12: what ends a session needs no memory, and a rotation hardly any. A sign-in does, and fails.
#[tokio::test]
#[ignore = "needs Redis: tests/run test"]
async fn a_full_redis_still_refreshes_revokes_and_detects_reuse() {
    let redis = Redis::start(&["--maxmemory-policy", "noeviction"]).await;
    let server = Server::new(RedisStore::connect(&redis.url()).await.unwrap());
    let reused = signed_in(&server).await;
    let child = server.refresh(&reused, Some(&key(1))).await.refresh_token();
    let left = sign_in(&server, NewSession::new("bob")).await;
    sign_in(&server, NewSession::new("carol")).await;
    redis.says("CONFIG SET maxmemory 1", "OK").await;

    let sign_in = server.issuer.start(NewSession::new("dave")).await;
    assert!(sign_in.is_err(), "it is full");
    server.refresh(&child, Some(&key(2))).await.refresh_token();
    assert_eq!(server.refresh(&reused, Some(&key(3))).await.status, 401);
    assert_eq!(server.events.reuses(), 1);
    server.issuer.revoke(&left.as_str().into()).await.unwrap();
    assert_eq!(server.issuer.revoke_all("carol").await.unwrap(), 1);
    for user in ["alice", "bob", "carol"] {
        assert!(server.issuer.list(user).await.unwrap().is_empty(), "{user}");
    }
}

use super::*;
use crate::claims::Claims;

/// What is kept for who does not listen stays bounded.
#[tokio::test]
#[ignore = "needs Redis: tests/run test"]
async fn the_set_of_what_was_revoked_forgets_the_oldest_as_it_grows() {
    let store = RedisStore::connect(&url()).await.unwrap();
    let client = Client::open(url()).unwrap();
    let mut raw = client.get_multiplexed_async_connection().await.unwrap();
    let old: Vec<_> = (0..20).map(|it| (it, format!("old {it}"))).collect();
    let mut fill = cmd("ZADD");
    fill.arg("auth_revoked").arg(old);
    fill.query_async::<()>(&mut raw).await.unwrap();
    for _ in 0..10 {
        let it = session("is kept");
        store.insert(it.clone(), None).await.unwrap();
        store
            .revoke(Selection::One(it.id), RevokedBy::Token, NOW)
            .await
            .unwrap();
        let kept: Option<i64> = cmd("ZSCORE")
            .arg("auth_revoked")
            .arg(it.id.to_string())
            .query_async(&mut raw)
            .await
            .unwrap();
        assert_eq!(kept, Some(NOW.as_millis()));
    }
    let left: u32 = cmd("ZCOUNT")
        .arg(&["auth_revoked", "0", "20"])
        .query_async(&mut raw)
        .await
        .unwrap();
    assert_eq!(left, 0);
    let expires: i64 = cmd("TTL")
        .arg("auth_revoked")
        .query_async(&mut raw)
        .await
        .unwrap();
    assert!((1..=25 * 3600).contains(&expires), "{expires}");
}

fn knows(revocations: &Revocations, id: SessionId) -> bool {
    let claims: Claims = Claims::read(format!(r#"{{"sid":"{id}"}}"#).as_bytes()).unwrap();
    revocations.is_revoked(&claims)
}

async fn hears(revocations: &Revocations, id: SessionId) {
    let heard = async {
        while !knows(revocations, id) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let heard = tokio::time::timeout(Duration::from_secs(10), heard).await;
    heard.unwrap_or_else(|_| panic!("nobody told of {id}"));
}

/// R9, whatever is lost: the repeat that finds the session revoked tells those that did not listen.
#[tokio::test]
#[ignore = "needs Redis: tests/run test"]
async fn a_revocation_whose_answer_was_lost_is_heard_of_once_it_is_repeated() {
    let (through, swallow) = swallowing().await;
    let store = RedisStore::connect(&through).await.unwrap();
    let [ended, reused, marker] = ["ends", "is reused", "marks"].map(session);
    for it in [&ended, &reused, &marker] {
        store.insert(it.clone(), None).await.unwrap();
    }
    assert_outcome(store.rotate(keyed(reused.id, 0)).await, Outcome::Advanced);

    // One that asks, and so never listens.
    let manager = ConnectionManager::new(Client::open(url()).unwrap())
        .await
        .unwrap();
    let (revocations, clock) = (Revocations::new(DAY), ManualClock::at(NOW));
    let asks = RedisStore::from_manager(manager);
    let feed = RevocationFeed::follow_by(asks, revocations.clone(), clock.clone());
    feed.current().await;

    swallow.store(2, Ordering::SeqCst);
    let revoke = |id, now| store.revoke(Selection::One(id), RevokedBy::Token, now);
    revoke(ended.id, NOW).await.unwrap_err();
    swallow.store(2, Ordering::SeqCst);
    store.rotate(competing(reused.id, 9)).await.unwrap_err();

    // It has long read what was revoked at that time.
    let later = NOW.plus(Duration::from_secs(600));
    clock.set(later);
    assert_eq!(revoke(marker.id, later).await.unwrap().len(), 1);
    hears(&revocations, marker.id).await;
    assert!(!knows(&revocations, ended.id) && !knows(&revocations, reused.id));

    assert_eq!(revoke(ended.id, later).await.unwrap(), [], "over already");
    let mut again = competing(reused.id, 9);
    again.now = later;
    assert_eq!(
        store.rotate(again).await.unwrap(),
        Rotated::Dead(Dead::Revoked)
    );
    hears(&revocations, ended.id).await;
    hears(&revocations, reused.id).await;
}

/// What is found revoked again stays in its place, and what no access token can be left of is not
/// told again.
#[tokio::test]
#[ignore = "needs Redis: tests/run test"]
async fn a_repeat_tells_nobody_who_may_know() {
    let store = RedisStore::connect(&url()).await.unwrap();
    let it = session("is repeated");
    store.insert(it.clone(), None).await.unwrap();
    let revoke = |now| store.revoke(Selection::One(it.id), RevokedBy::Token, now);
    let kept = async || {
        let mut kept = cmd("ZSCORE");
        kept.arg("auth_revoked").arg(it.id.to_string());
        kept.query_async::<Option<i64>>(&mut raw(0).await)
            .await
            .unwrap()
    };
    revoke(NOW).await.unwrap();
    revoke(NOW.plus(DAY)).await.unwrap();
    assert_eq!(kept().await, Some(NOW.as_millis()));
    let forget = cmd("ZREM")
        .arg("auth_revoked")
        .arg(it.id.to_string())
        .to_owned();
    forget.query_async::<()>(&mut raw(0).await).await.unwrap();
    revoke(NOW.plus(DAY * 2)).await.unwrap();
    assert_eq!(kept().await, None);
}

#[tokio::test]
#[ignore = "needs Redis: tests/run test"]
async fn what_was_revoked_before_a_failure_is_kept_for_those_who_do_not_listen() {
    let store = RedisStore::connect(&url()).await.unwrap();
    let subject = session("has many").subject;
    let mut sessions: Vec<_> = (0..300).map(|_| session("has many")).collect();
    for it in &mut sessions {
        it.subject.clone_from(&subject);
        store.insert(it.clone(), None).await.unwrap();
    }
    let mut raw = raw(0).await;
    let (first, last) = (sessions[0].id, sessions[299].id);
    let key = format!("auth_session:{{{last}}}");
    let breaks = cmd("SET").arg(&[&key, "no session"]).to_owned();
    breaks.query_async::<()>(&mut raw).await.unwrap();
    let revoked = store.revoke(Selection::Subject(subject), RevokedBy::Application, NOW);
    revoked.await.unwrap_err();
    let kept = cmd("ZSCORE")
        .arg("auth_revoked")
        .arg(first.to_string())
        .to_owned();
    let kept: Option<i64> = kept.query_async(&mut raw).await.unwrap();
    assert_eq!(kept, Some(NOW.as_millis()));
}

/// Also where more than a page were revoked at the same time.
#[tokio::test]
#[ignore = "needs Redis: tests/run test"]
async fn catching_up_reads_page_by_page_and_skips_nobody() {
    let mut raw = raw(6).await;
    cmd("FLUSHDB").query_async::<()>(&mut raw).await.unwrap();
    let store = RedisStore::connect(&in_database(6)).await.unwrap();
    let id = |number: u32| SessionId::from_bytes(u128::from(number).to_be_bytes());
    let at = |number| match number {
        0..3_000 => NOW.as_millis() - i64::from(3_000 - number),
        3_000..14_000 => NOW.as_millis(),
        _ => NOW.as_millis() + i64::from(number),
    };
    let mut fill = cmd("ZADD");
    fill.arg("auth_revoked");
    fill.arg(
        (0..17_000)
            .map(|it| (at(it), id(it).to_string()))
            .collect::<Vec<_>>(),
    );
    fill.query_async::<()>(&mut raw).await.unwrap();

    let page = store.scripts.recent.page(NOW, 9_000, 4_096).await.unwrap();
    assert_eq!(page.len(), 4_096);
    let revocations = Revocations::new(DAY);
    let feed = RevocationFeed::follow_by(store, revocations.clone(), ManualClock::at(NOW));
    let current = tokio::time::timeout(Duration::from_secs(20), feed.current());
    current.await.expect("it reads on and on");
    let missed = (0..17_000).filter(|it| !knows(&revocations, id(*it)));
    assert_eq!(missed.count(), 0);
}

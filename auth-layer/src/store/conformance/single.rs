use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;

use super::dice::{ABSOLUTE, NOW, first_token, refresh, session, session_id};
use crate::claims::Thumbprint;
use crate::clock::Timestamp;
use crate::store::{CustomClaims, Outcome, Rotated, Selection, SessionStore, StoreErrorKind};

/// What was inserted is what is listed.
pub async fn everything_of_a_session_comes_back(store: &impl SessionStore) {
    let mut full = session(session_id(1, 0), "somebody with \"quotes\" and ünïcödé");
    full.client_id = Some("client".to_owned());
    full.jkt = Some(Thumbprint::from_bytes([7; 32]));
    full.scopes = "read write".parse().expect("two scopes");
    full.label = Some("Firefox on Linux".to_owned());
    let claims = serde_json::json!({ "role": "admin", "n": [1, 2.5, null] });
    full.claims = CustomClaims::new(&claims).expect("an object");
    full.auth_time = Timestamp::from_millis(-1);
    full.chain.tag_key_id = Some(u32::MAX);
    full.ip = Some([0xfd00, 0, 0, 0, 0, 0, 0, 1].into());
    full.user_agent = Some("curl/8".to_owned());
    let bare = session(session_id(1, 1), "somebody else");
    for one in [full, bare] {
        let which = Selection::Subject(one.subject.clone());
        store.insert(one.clone(), None).await.expect("inserted");
        assert_eq!(store.list(which, NOW).await.expect("listed"), [one]);
    }
}

/// A second session of the same id is refused, and the first stays as it was.
pub async fn a_taken_id_harms_nobody(store: &impl SessionStore) {
    let first = session(session_id(2, 0), "the first");
    let second = session(session_id(2, 0), "the second");
    store.insert(first.clone(), None).await.expect("inserted");
    let error = store
        .insert(second, None)
        .await
        .expect_err("the id is taken");
    assert_eq!(error.kind(), StoreErrorKind::Conflict);
    let which = Selection::One(first.id);
    assert_eq!(store.list(which, NOW).await.expect("listed"), [first]);
}

/// A caller that goes away leaves a session that its repeat can go on with (invariant 7).
pub async fn a_dropped_rotation_is_whole_or_nothing(store: &impl SessionStore) {
    for number in 0..20 {
        let id = session_id(3, number);
        store
            .insert(session(id, "hangs up"), None)
            .await
            .expect("inserted");
        let rotation = refresh(id, 0, first_token(id), 1);
        {
            let mut dropped = pin!(store.rotate(rotation.clone()));
            let mut context = Context::from_waker(Waker::noop());
            let _ = dropped.as_mut().poll(&mut context);
        }
        match store.rotate(rotation).await.expect("rotated") {
            Rotated::Decided(Outcome::Advanced | Outcome::Replayed, after) => {
                assert_eq!(after.chain.generation, 1);
            }
            other => panic!("a repeat after a dropped call is honest, but was {other:?}"),
        }
    }
}

/// What is past its absolute deadline can be forgotten, not more than asked for at a time. Wants an
/// empty store, and leaves it so.
pub async fn expired_sessions_go_in_bounded_batches(store: &impl SessionStore) {
    for number in 0..5 {
        store
            .insert(session(session_id(4, number), "expires"), None)
            .await
            .expect("inserted");
    }
    let ends = NOW.plus(ABSOLUTE);
    assert_eq!(store.delete_expired(ends, 100).await.expect("deleted"), 0);
    let after = ends.plus(Duration::from_millis(1));
    let mut deleted = Vec::new();
    for _ in 0..4 {
        deleted.push(store.delete_expired(after, 2).await.expect("deleted"));
    }
    let expires_by_itself = deleted == [0; 4];
    assert!(deleted == [2, 2, 1, 0] || expires_by_itself, "{deleted:?}");
    let left = store
        .list(Selection::Subject("expires".to_owned()), after)
        .await;
    assert_eq!(left.expect("listed"), []);
}

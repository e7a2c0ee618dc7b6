use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::dice::{NOW, child_of, first_token, refresh, session, session_id};
use crate::claims::Thumbprint;
use crate::store::{
    Dead, Outcome, RevokedBy, Rotated, Rotation, Selection, SessionStore, StoreErrorKind,
};

const CROWD: u64 = 100;

/// A hundred repeats of one refresh at once: one advances, all others get the same child
/// (invariants 1 and 2).
pub async fn repeats_of_one_refresh_get_one_child<S: SessionStore>(store: &Arc<S>) {
    let id = session_id(5, 0);
    store
        .insert(session(id, "repeats"), None)
        .await
        .expect("inserted");
    let rotation = refresh(id, 0, first_token(id), 1);
    let answers = at_once(store, (0..CROWD).map(|_| rotation.clone())).await;
    let advanced = |it: &&Rotated| matches!(it, Rotated::Decided(Outcome::Advanced, _));
    assert_eq!(answers.iter().filter(advanced).count(), 1);
    for answer in &answers {
        let Rotated::Decided(Outcome::Advanced | Outcome::Replayed, after) = answer else {
            panic!("a repeat is honest, but was {answer:?}");
        };
        assert_eq!(
            (after.chain.generation, after.chain.current),
            (1, rotation.child)
        );
    }
}

/// A hundred refreshes of one token with keys of their own: one advances, one is found out, and
/// nobody gets anything any more (invariants 1, 4 and 8).
pub async fn competing_keys_leave_one_child_and_a_revoked_session<S: SessionStore>(store: &Arc<S>) {
    let id = session_id(6, 0);
    store
        .insert(session(id, "competes"), None)
        .await
        .expect("inserted");
    let token = first_token(id);
    let answers = at_once(store, (1..=CROWD).map(|key| refresh(id, 0, token, key))).await;
    let count = |is: fn(&Rotated) -> bool| answers.iter().filter(|it| is(it)).count();
    assert_eq!(
        count(|it| matches!(it, Rotated::Decided(Outcome::Advanced, _))),
        1
    );
    assert_eq!(
        count(|it| matches!(it, Rotated::Decided(Outcome::Forked, _))),
        1
    );
    assert_eq!(count(|it| matches!(it, Rotated::Dead(Dead::Revoked))), 98);
    for key in 1..=CROWD {
        let leaf = refresh(id, 1, child_of(token, key), 1);
        let answer = store.rotate(leaf).await.expect("answered");
        assert_eq!(answer, Rotated::Dead(Dead::Revoked));
    }
}

/// A token that is bound to a key, and need not be replaced, serves a hundred at once; who cannot prove
/// that key gets nothing and does no harm.
pub async fn a_kept_token_serves_all_who_prove_its_key<S: SessionStore>(store: &Arc<S>) {
    let id = session_id(10, 0);
    let [owner, thief] = [1, 2].map(|it| Thumbprint::from_bytes([it; 32]));
    let mut bound = session(id, "is bound");
    bound.jkt = Some(owner);
    store.insert(bound, None).await.expect("inserted");
    let with = |jkt, key| Rotation {
        jkt,
        keep_bound: true,
        ..refresh(id, 0, first_token(id), key)
    };
    let keys = [Some(owner), Some(thief), None];
    let answers = at_once(
        store,
        (0..CROWD).flat_map(|key| keys.map(|it| with(it, key))),
    )
    .await;
    for answer in &answers {
        match answer {
            Rotated::Decided(Outcome::Kept, after) => {
                assert_eq!(
                    (after.chain.generation, after.chain.current),
                    (0, first_token(id))
                );
            }
            Rotated::Dead(Dead::OtherKey | Dead::Unproved) => {}
            other => panic!("nothing is replaced and nobody found out, but was {other:?}"),
        }
    }
    let count = |dead| {
        let is = |it: &&Rotated| **it == Rotated::Dead(dead);
        answers.iter().filter(is).count() as u64
    };
    assert_eq!(count(Dead::OtherKey), CROWD);
    assert_eq!(count(Dead::Unproved), CROWD);
}

/// A rotation whose caller was refused, as it waited for too long, is not carried out later: the caller's next refresh, which
/// has no key, would be taken for reuse (R13).
pub async fn a_refused_rotation_is_not_carried_out<S: SessionStore>(store: &Arc<S>) {
    let mut answers = JoinSet::new();
    for number in 0..CROWD {
        let id = session_id(12, number);
        store
            .insert(session(id, "is impatient"), None)
            .await
            .expect("inserted");
        let impatient = Rotation {
            timeout: Duration::from_micros(number * 50),
            ..refresh(id, 0, first_token(id), 0)
        };
        let store = store.clone();
        answers.spawn(async move { (id, store.rotate(impatient).await) });
    }
    let answers = answers.join_all().await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    for (id, answer) in answers {
        let next = match answer {
            Ok(Rotated::Decided(Outcome::Advanced, after)) => {
                refresh(id, 1, after.chain.current, 0)
            }
            Err(error) if error.kind() == StoreErrorKind::Unavailable => {
                refresh(id, 0, first_token(id), 0)
            }
            other => panic!("neither carried out nor refused, but {other:?}"),
        };
        let next = store.rotate(next).await.expect("answered");
        assert!(
            matches!(next, Rotated::Decided(Outcome::Advanced, _)),
            "{next:?}"
        );
    }
}

/// However a log-out and refreshes race, it wins in the end, and is told once (invariant 3).
pub async fn revocation_wins_over_rotations<S: SessionStore>(store: &Arc<S>) {
    for number in 0..20 {
        let id = session_id(7, number);
        store
            .insert(session(id, "logs out"), None)
            .await
            .expect("inserted");
        let rotation = refresh(id, 0, first_token(id), 1);
        let mut ended = JoinSet::new();
        for _ in 0..2 {
            let store = store.clone();
            ended.spawn(async move {
                store
                    .revoke(Selection::One(id), RevokedBy::Token, NOW)
                    .await
                    .expect("revoked")
            });
        }
        at_once(store, (0..5).map(|_| rotation.clone())).await;
        let told: usize = ended.join_all().await.iter().map(Vec::len).sum();
        assert_eq!(told, 1);
        for rotation in [rotation.clone(), refresh(id, 1, rotation.child, 1)] {
            let answer = store.rotate(rotation).await.expect("answered");
            assert_eq!(answer, Rotated::Dead(Dead::Revoked));
        }
    }
}

async fn at_once<S: SessionStore>(
    store: &Arc<S>,
    rotations: impl Iterator<Item = Rotation>,
) -> Vec<Rotated> {
    let mut answers = JoinSet::new();
    for rotation in rotations {
        let store = store.clone();
        answers.spawn(async move { store.rotate(rotation).await.expect("answered") });
    }
    answers.join_all().await
}

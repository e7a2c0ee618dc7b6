use std::sync::Arc;

use tokio::task::JoinSet;

use super::dice::{NOW, session, session_id};
use crate::refresh_token::SessionId;
use crate::store::{RevokedBy, Selection, SessionStore, StoreErrorKind};

/// A session whose sign-in began before all sessions of its subject were revoked is not added. One revocation of a single
/// session changes nothing for others (R14).
pub async fn a_sign_in_that_began_before_a_revocation_is_refused(store: &impl SessionStore) {
    const SUBJECT: &str = "changes the password";
    let id = |number| session_id(13, number);
    let insert = async |number, epoch| {
        let inserted = store
            .insert(session(id(number), SUBJECT), Some(epoch))
            .await;
        inserted.map_err(|error| error.kind())
    };
    let revoke = async |which| {
        let revoked = store.revoke(which, RevokedBy::Application, NOW).await;
        revoked.expect("revoked").len()
    };
    let epoch = async || store.epoch(SUBJECT).await.expect("read");
    let all = || Selection::Subject(SUBJECT.to_owned());
    let before = epoch().await;
    assert_eq!(before, 0, "its sessions were never revoked");
    insert(0, before).await.expect("nothing came in between");
    assert_eq!(revoke(Selection::One(id(0))).await, 1);
    insert(1, before)
        .await
        .expect("another session was revoked");

    assert_eq!(revoke(all()).await, 1);
    assert_eq!(insert(2, before).await, Err(StoreErrorKind::Revoked));
    let after = epoch().await;
    insert(3, after)
        .await
        .expect("it began after the revocation");
    let others = Selection::Others {
        subject: SUBJECT.to_owned(),
        keep: id(3),
    };
    assert_eq!(revoke(others).await, 0);
    assert_eq!(insert(4, after).await, Err(StoreErrorKind::Revoked));
    assert_eq!(insert(2, before).await, Err(StoreErrorKind::Revoked));

    let alive = store.list(all(), NOW).await.expect("listed");
    let alive: Vec<_> = alive.iter().map(|it| it.id).collect();
    assert_eq!(alive, [id(3)]);
    let unchecked = store.insert(session(id(5), SUBJECT), None).await;
    unchecked.expect("nothing was to be checked");
}

/// However sign-ins and a revocation race: of those that began before it, no session is alive after it (R14).
pub async fn sign_ins_do_not_outrun_a_revocation<S: SessionStore>(store: &Arc<S>) {
    for round in 0..20 {
        let subject = format!("races {round}");
        let all = Selection::Subject(subject.clone());
        let epoch = store.epoch(&subject).await.expect("read");
        let mut race = JoinSet::new();
        for number in 0..16 {
            let (store, subject, all) = (store.clone(), subject.clone(), all.clone());
            race.spawn(async move {
                if number == 8 {
                    let revoked = store.revoke(all, RevokedBy::Application, NOW).await;
                    return drop(revoked.expect("revoked"));
                }
                let new = session(id(round, number), &subject);
                match store.insert(new, Some(epoch)).await {
                    Ok(()) => {}
                    Err(error) => assert_eq!(error.kind(), StoreErrorKind::Revoked),
                }
            });
        }
        race.join_all().await;
        for number in 0..16 {
            let one = Selection::One(id(round, number));
            assert_eq!(store.list(one, NOW).await.expect("listed"), []);
        }
        assert_eq!(store.list(all, NOW).await.expect("listed"), []);
    }
}

fn id(round: u64, number: u64) -> SessionId {
    session_id(14, 100 * round + number)
}

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::dice::{NOW, session, session_id};
use crate::refresh_token::SessionId;
use crate::store::{LIST_LIMIT, RevokedBy, Selection, Session, SessionStore};

/// A list names the newest that are alive, the newest first, and never more than [`LIST_LIMIT`].
pub async fn a_list_names_the_newest_and_is_bounded<S: SessionStore>(store: &Arc<S>) {
    // A session for each second, the newest of all revoked.
    let sessions: Vec<_> = (0..COUNT).map(|it| aged(it * 5 % COUNT)).collect();
    for some in sessions.chunks(64) {
        insert(store, some).await;
    }
    let revoked = store.revoke(Selection::One(id(0)), RevokedBy::Token, NOW);
    assert_eq!(revoked.await.expect("revoked").len(), 1);

    let all = Selection::Subject(SUBJECT.to_owned());
    let listed = store.list(all, NOW).await.expect("listed");
    let listed: Vec<_> = listed.iter().map(|it| it.id).collect();
    let newest: Vec<_> = (1..).take(LIST_LIMIT).map(id).collect();
    assert_eq!(listed, newest);
}

const SUBJECT: &str = "is everywhere";

const COUNT: u64 = LIST_LIMIT as u64 + 11;

/// Neither these nor when they are inserted says how old they are.
fn id(age: u64) -> SessionId {
    session_id(11, age * 7 % COUNT)
}

fn aged(age: u64) -> Session {
    let mut session = session(id(age), SUBJECT);
    session.created_at = NOW.minus(Duration::from_secs(age));
    session
}

async fn insert<S: SessionStore>(store: &Arc<S>, sessions: &[Session]) {
    let mut inserts = JoinSet::new();
    for session in sessions.iter().cloned() {
        let store = store.clone();
        inserts.spawn(async move { store.insert(session, None).await.expect("inserted") });
    }
    inserts.join_all().await;
}

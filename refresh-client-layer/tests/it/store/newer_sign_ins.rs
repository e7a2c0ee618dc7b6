//! Law C24: another process signs in anew, or a backup is restored.

use std::time::Duration;

use refresh_client_layer::{
    EndReason, MemoryStore, RefreshErrorKind, StoredTokens, TokenError, TokenManager,
    TokenStore as _,
};

use crate::support::World;
use crate::support::records::Records as _;

/// A session of Alice's that has been refreshed once.
async fn alice(world: &World, store: &MemoryStore) -> TokenManager {
    let session = world.builder().store(store.clone()).build().unwrap();
    assert_eq!(token(&session).await.unwrap(), "access-1");
    assert_eq!(session.force_refresh().await.unwrap().secret(), "access-2");
    assert!(session.flush(Duration::from_secs(10)).await);
    session
}

async fn token(session: &TokenManager) -> Result<String, TokenError> {
    let token = session.access_token().await?;
    Ok(token.secret().to_owned())
}

async fn put(store: &MemoryStore, record: StoredTokens) {
    let stored = store.load().await.unwrap();
    assert!(store.change(stored, Some(record)).await.unwrap());
}

async fn stored(store: &MemoryStore) -> Option<String> {
    let stored = store.load().await.unwrap()?;
    Some(stored.tokens().access_token().secret().to_owned())
}

/// What a log-in endpoint answers, which has no generation.
fn bob() -> StoredTokens {
    StoredTokens::from_json(br#"{"access_token":"bob","refresh_token":"bob-refresh"}"#).unwrap()
}

#[tokio::test(start_paused = true)]
async fn new_sign_in_elsewhere_survives_and_is_used() {
    for is_refused in [false, true] {
        let (world, store) = (World::new(), MemoryStore::new());
        let session = alice(&world, &store).await;
        world.hold();
        if is_refused {
            world.fail_next(RefreshErrorKind::Refused);
        }
        let refresh = tokio::spawn({
            let session = session.clone();
            async move { session.force_refresh().await }
        });
        world.called(2).await;
        put(&store, bob()).await;
        world.release();
        match refresh.await.unwrap() {
            Err(TokenError::SessionEnded(error)) => assert_eq!(error.reason(), EndReason::Replaced),
            other => panic!("{other:?}"),
        }
        assert_eq!(token(&session).await.unwrap(), "bob");
        assert_eq!(stored(&store).await.as_deref(), Some("bob"));
        // The child of Alice's token belongs to nobody.
        let revoked = if is_refused { 0 } else { 1 };
        assert_eq!(world.revoked().len(), revoked);
        session.force_refresh().await.unwrap();
        assert_eq!(world.refresh_tokens()[2], "bob-refresh");
    }
}

#[tokio::test(start_paused = true)]
async fn restored_backup_is_repaired() {
    let (world, store) = (World::new(), MemoryStore::new());
    let session = world.builder().store(store.clone()).build().unwrap();
    assert_eq!(token(&session).await.unwrap(), "access-1");
    assert!(session.flush(Duration::from_secs(10)).await);
    let backup = store.load().await.unwrap().unwrap();
    session.force_refresh().await.unwrap();
    put(&store, backup).await;
    assert_eq!(session.force_refresh().await.unwrap().secret(), "access-3");
    assert_eq!(world.refresh_tokens(), ["refresh-1", "refresh-2"]);
    assert_eq!(stored(&store).await.as_deref(), Some("access-3"));
}

#[tokio::test(start_paused = true)]
async fn ended_sign_in_is_never_adopted_and_a_new_one_is() {
    let (world, store) = (World::new(), MemoryStore::new());
    let session = alice(&world, &store).await;
    let backup = store.load().await.unwrap().unwrap();
    assert!(session.sign_out().await.is_cleared());
    put(&store, backup).await;
    for _ in 0..2 {
        assert!(token(&session).await.is_err());
        tokio::time::advance(Duration::from_secs(2)).await;
    }
    put(&store, bob()).await;
    assert_eq!(token(&session).await.unwrap(), "bob");
    assert_eq!(world.calls(), 1);
}

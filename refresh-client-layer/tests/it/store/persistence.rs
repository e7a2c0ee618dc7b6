//! The session in a store: crashes, other processes, and stores that fail.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::StatusCode;
use refresh_client_layer::{
    EndReason, Event, MemoryStore, RefreshErrorKind, StoreError, StoredTokens, TokenError,
    TokenSet, TokenStore, Version,
};
use tokio::sync::watch;

use crate::support::records::Records as _;
use crate::support::{Answer, World, drain, send, settle};

/// A memory store that can break down, and can hold its breath after a save.
#[derive(Clone, Default)]
struct Shelf {
    memory: MemoryStore,
    is_broken: Arc<AtomicBool>,
    saves: watch::Sender<u32>,
    holds_saved: watch::Sender<bool>,
}

impl Shelf {
    fn check(&self) -> Result<(), StoreError> {
        match self.is_broken.load(Ordering::SeqCst) {
            true => Err("as the test wants".into()),
            false => Ok(()),
        }
    }

    async fn access_token(&self) -> Option<String> {
        let stored = self.memory.load().await.unwrap()?;
        Some(stored.tokens().access_token().secret().to_owned())
    }
}

impl TokenStore for Shelf {
    async fn load(&self) -> Result<Option<StoredTokens>, StoreError> {
        self.check()?;
        self.memory.load().await
    }

    async fn replace(
        &self,
        seen: Option<&Version>,
        new: Option<&StoredTokens>,
    ) -> Result<Option<StoredTokens>, StoreError> {
        self.check()?;
        let stored = self.memory.replace(seen, new).await;
        if new.is_some_and(|new| new.idempotency_key().is_none()) {
            self.saves.send_modify(|saves| *saves += 1);
            let mut holds = self.holds_saved.subscribe();
            holds.wait_for(|holds| !holds).await?;
        }
        stored
    }
}

async fn stored(tokens: TokenSet) -> MemoryStore {
    let store = MemoryStore::new();
    assert!(store.save(&tokens).await.unwrap());
    store
}

/// Law C2: between "stored" and "published".
#[tokio::test]
async fn a_401_that_lands_while_the_new_token_is_being_stored_does_not_refresh_again() {
    let world = World::new();
    let shelf = Shelf::default();
    let session = world.builder().store(shelf.clone()).build().unwrap();
    let api = world.layered(&session);
    assert_eq!(send(&api).await.unwrap().status(), StatusCode::OK);
    session.flush(Duration::from_secs(60)).await;
    let saves = *shelf.saves.borrow();
    shelf.holds_saved.send_replace(true);
    let refresh = tokio::spawn({
        let session = session.clone();
        async move { session.force_refresh().await }
    });
    let mut seen = shelf.saves.subscribe();
    seen.wait_for(|count| *count > saves).await.unwrap();
    // The server has rotated, so the old token is refused.
    let late = tokio::spawn({
        let api = api.clone();
        async move { send(&api).await.unwrap() }
    });
    settle().await;
    assert_eq!(world.count_api_calls(StatusCode::UNAUTHORIZED), 1);
    shelf.holds_saved.send_replace(false);
    assert_eq!(late.await.unwrap().status(), StatusCode::OK);
    refresh.await.unwrap().unwrap();
    assert_eq!(world.calls(), 1);
}

/// Law C17, the client's part.
#[tokio::test(start_paused = true)]
async fn after_a_crash_the_same_token_and_key_are_sent_again() {
    let world = World::new();
    let store = MemoryStore::new();
    let crashing = world.builder().store(store.clone()).build().unwrap();
    world.answer_next(Answer::Silence);
    crashing.force_refresh().await.unwrap_err();

    let restarted = world.builder().store(store.clone()).build().unwrap();
    restarted.force_refresh().await.unwrap();
    assert_eq!(world.refresh_tokens(), ["refresh-1", "refresh-1"]);
    let keys = world.keys();
    assert!(keys[0].is_some());
    assert_eq!(keys[0], keys[1]);
    // The child is there, and begins anew.
    let kept = store.load().await.unwrap().unwrap();
    assert_eq!(kept.tokens().refresh_token().secret(), "refresh-3");
    assert!(kept.idempotency_key().is_none());
    restarted.force_refresh().await.unwrap();
    assert_ne!(world.keys()[2], keys[0]);
}

#[tokio::test]
async fn the_key_is_stored_before_the_request_leaves() {
    let world = World::new();
    let store = MemoryStore::new();
    let session = world.builder().store(store.clone()).build().unwrap();
    world.hold();
    let refresh = tokio::spawn(async move { session.force_refresh().await });
    world.called(1).await;
    let kept = store.load().await.unwrap().unwrap();
    let key = kept.idempotency_key().map(|key| key.secret().to_owned());
    assert_eq!(vec![key], world.keys());
    world.release();
    refresh.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_repeat_has_the_same_key_even_if_the_store_is_broken() {
    let world = World::new();
    let shelf = Shelf::default();
    let session = world.builder().store(shelf.clone()).build().unwrap();
    session.access_token().await.unwrap();
    shelf.is_broken.store(true, Ordering::SeqCst);
    world.fail_next(RefreshErrorKind::Transient);
    session.force_refresh().await.unwrap_err();
    tokio::time::advance(Duration::from_secs(1)).await;
    session.force_refresh().await.unwrap();
    let keys = world.keys();
    assert!(keys[0].is_some());
    assert_eq!(keys[0], keys[1]);
}

#[tokio::test]
async fn a_refresh_is_written_once() {
    let world = World::new();
    let shelf = Shelf::default();
    let session = world.builder().store(shelf.clone()).build().unwrap();
    session.access_token().await.unwrap();
    session.flush(Duration::from_secs(60)).await;
    let saves = *shelf.saves.borrow();
    session.force_refresh().await.unwrap();
    settle().await;
    assert_eq!(*shelf.saves.borrow(), saves + 1);
}

#[tokio::test]
async fn a_plain_server_is_sent_no_key() {
    let world = World::new();
    let store = MemoryStore::new();
    let session = world
        .builder()
        .store(store.clone())
        .without_idempotency_key();
    session.build().unwrap().force_refresh().await.unwrap();
    assert_eq!(world.keys(), [None]);
}

#[tokio::test]
async fn tokens_of_the_store_win_over_those_of_the_builder() {
    let world = World::new();
    let store = stored(TokenSet::new("stored", "stored").with_generation(4)).await;
    let session = world.builder().store(store).build().unwrap();
    assert_eq!(session.access_token().await.unwrap().secret(), "stored");
}

#[tokio::test]
async fn a_stored_token_that_has_expired_is_refreshed_and_not_sent() {
    let world = World::new();
    let dead = TokenSet::new("stored", "stored").expires_at(std::time::SystemTime::UNIX_EPOCH);
    let session = world.builder().store(stored(dead).await).build().unwrap();
    let response = send(&world.layered(&session)).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(world.count_api_calls(StatusCode::UNAUTHORIZED), 0);
    assert_eq!(world.refresh_tokens(), ["stored"]);
}

#[tokio::test]
async fn an_empty_store_means_that_nobody_is_signed_in() {
    let world = World::new();
    let session = refresh_client_layer::TokenManager::builder(world.clone())
        .origin(crate::support::ORIGIN)
        .store(MemoryStore::new())
        .build()
        .unwrap();
    let error = session.access_token().await.unwrap_err();
    let never = EndReason::NeverSignedIn;
    assert!(matches!(error, TokenError::SessionEnded(error) if error.reason() == never));
}

/// Law C16, as far as it goes without a file.
#[tokio::test]
async fn two_managers_on_one_store_adopt_each_others_tokens() {
    let world = World::new();
    let store = MemoryStore::new();
    let first = world.builder().store(store.clone()).build().unwrap();
    let second = world.builder().store(store.clone()).build().unwrap();
    first.access_token().await.unwrap();
    first.flush(Duration::from_secs(60)).await;
    second.access_token().await.unwrap();
    assert_eq!(first.force_refresh().await.unwrap().secret(), "access-2");
    let api = world.layered(&second);
    assert_eq!(send(&api).await.unwrap().status(), StatusCode::OK);
    assert_eq!(world.calls(), 1);
    assert_eq!(second.access_token().await.unwrap().secret(), "access-2");

    first.sign_out().await;
    let error = second.force_refresh().await.unwrap_err();
    assert!(
        matches!(error, TokenError::SessionEnded(error) if error.reason() == EndReason::SignedOut)
    );
    assert_eq!(world.calls(), 1);
}

#[tokio::test]
async fn a_refusal_looks_into_the_store_before_it_counts() {
    for kind in [RefreshErrorKind::Refused, RefreshErrorKind::Superseded] {
        let world = World::new();
        let store = MemoryStore::new();
        let session = world.builder().store(store.clone()).build().unwrap();
        world.hold();
        world.fail_next(kind);
        let refresh = tokio::spawn({
            let session = session.clone();
            async move { session.force_refresh().await }
        });
        world.called(1).await;
        let newer = TokenSet::new("elsewhere", "elsewhere").with_generation(9);
        assert!(store.save(&newer).await.unwrap());
        world.release();
        assert_eq!(refresh.await.unwrap().unwrap().secret(), "elsewhere");
    }
}

#[tokio::test(start_paused = true)]
async fn a_superseded_token_without_a_newer_one_is_given_up_in_the_end() {
    let world = World::new();
    let session = world.session();
    for _ in 0..4 {
        world.fail_next(RefreshErrorKind::Superseded);
    }
    for _ in 0..3 {
        let error = session.force_refresh().await.unwrap_err();
        assert!(matches!(error, TokenError::RefreshUnavailable(_)));
        tokio::time::advance(Duration::from_secs(10)).await;
    }
    let error = session.force_refresh().await.unwrap_err();
    assert!(matches!(error, TokenError::SessionEnded(_)));
    assert_eq!(world.calls(), 4);
}

#[tokio::test(start_paused = true)]
async fn faults_of_the_network_are_not_taken_for_a_superseded_token() {
    let world = World::new();
    let session = world.session();
    for kind in [
        [RefreshErrorKind::Transient; 3],
        [RefreshErrorKind::Superseded; 3],
    ]
    .as_flattened()
    {
        world.fail_next(*kind);
        let error = session.force_refresh().await.unwrap_err();
        assert!(matches!(error, TokenError::RefreshUnavailable(_)));
        tokio::time::advance(Duration::from_secs(60)).await;
    }
    assert_eq!(session.force_refresh().await.unwrap().secret(), "access-8");
}

#[tokio::test]
async fn a_refused_session_is_cleared_from_the_store() {
    let world = World::new();
    let store = MemoryStore::new();
    let session = world.builder().store(store.clone()).build().unwrap();
    world.fail_next(RefreshErrorKind::Refused);
    session.force_refresh().await.unwrap_err();
    settle().await;
    assert!(store.load().await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_failing_store_is_reported_once_and_tried_again() {
    let world = World::new();
    let shelf = Shelf::default();
    let session = world.builder().store(shelf.clone()).build().unwrap();
    session.access_token().await.unwrap();
    session.flush(Duration::from_secs(60)).await;
    let mut events = session.events();
    shelf.is_broken.store(true, Ordering::SeqCst);
    session.force_refresh().await.unwrap();
    session.force_refresh().await.unwrap();
    settle().await;
    let failed = |events: &[Event]| {
        let is_failed = |event: &&Event| matches!(event, Event::StoreFailed);
        events.iter().filter(is_failed).count()
    };
    assert_eq!(failed(&drain(&mut events)), 1);
    assert_eq!(session.access_token().await.unwrap().secret(), "access-3");
    assert_eq!(shelf.access_token().await.as_deref(), Some("access-1"));

    tokio::time::advance(Duration::from_secs(1)).await;
    settle().await;
    shelf.is_broken.store(false, Ordering::SeqCst);
    tokio::time::advance(Duration::from_secs(5)).await;
    settle().await;
    assert_eq!(shelf.access_token().await.as_deref(), Some("access-3"));
}

/// It breaks the word of the trait, as `UPDATE .. WHERE generation < $1` does.
struct Sieve;

impl TokenStore for Sieve {
    async fn load(&self) -> Result<Option<StoredTokens>, StoreError> {
        Ok(None)
    }

    async fn replace(
        &self,
        _: Option<&Version>,
        _: Option<&StoredTokens>,
    ) -> Result<Option<StoredTokens>, StoreError> {
        Ok(None)
    }
}

#[tokio::test]
async fn a_store_that_takes_nothing_and_has_nothing_is_one_that_fails() {
    let world = World::new();
    let session = world.builder().store(Sieve).build().unwrap();
    let mut events = session.events();
    session.sign_in(TokenSet::new("new", "new")).unwrap();
    assert!(!session.flush(Duration::from_secs(60)).await);
    assert_eq!(drain(&mut events), [Event::StoreFailed]);
    assert_eq!(session.access_token().await.unwrap().secret(), "new");
}

#[tokio::test(start_paused = true)]
async fn tokens_that_are_adopted_while_a_refresh_hangs_end_the_wait_for_it() {
    let world = World::new();
    let shelf = Shelf::default();
    let session = world.builder().store(shelf.clone()).build().unwrap();
    session.access_token().await.unwrap();
    session.flush(Duration::from_secs(60)).await;
    shelf.is_broken.store(true, Ordering::SeqCst);
    session.force_refresh().await.unwrap();
    world.hold();
    let waiter = tokio::spawn({
        let session = session.clone();
        async move { session.force_refresh().await }
    });
    world.called(2).await;

    shelf.is_broken.store(false, Ordering::SeqCst);
    let newer = TokenSet::new("elsewhere", "elsewhere").with_generation(9);
    assert!(shelf.memory.save(&newer).await.unwrap());
    // The store is told again before the refresh is given up.
    let begin = tokio::time::Instant::now();
    assert_eq!(waiter.await.unwrap().unwrap().secret(), "elsewhere");
    assert!(begin.elapsed() < Duration::from_secs(10));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_cannot_be_read_is_no_end_of_a_session() {
    let world = World::new();
    let shelf = Shelf::default();
    shelf.is_broken.store(true, Ordering::SeqCst);
    let session = world.builder().store(shelf.clone()).build().unwrap();
    let mut events = session.events();
    let error = session.access_token().await.unwrap_err();
    assert!(matches!(error, TokenError::RefreshUnavailable(_)));
    assert!(drain(&mut events).contains(&Event::StoreFailed));
    shelf.is_broken.store(false, Ordering::SeqCst);
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(session.access_token().await.unwrap().secret(), "access-1");
}

#[tokio::test]
async fn a_sign_in_replaces_whatever_the_store_holds() {
    let world = World::new();
    let store = stored(TokenSet::new("old", "old").with_generation(40)).await;
    let session = world.builder().store(store.clone()).build().unwrap();
    session.sign_in(TokenSet::new("new", "new")).unwrap();
    assert!(session.flush(Duration::from_secs(60)).await);
    let kept = store.load().await.unwrap().unwrap();
    assert_eq!(kept.tokens().access_token().secret(), "new");
    assert_eq!(session.access_token().await.unwrap().secret(), "new");
    assert_eq!(session.force_refresh().await.unwrap().secret(), "access-2");
}

#[tokio::test]
async fn a_sign_out_before_anything_was_loaded_ends_the_stored_session() {
    let world = World::new();
    let store = stored(TokenSet::new("old", "old").with_generation(40)).await;
    let session = world.builder().store(store.clone()).build().unwrap();
    let sign_out = session.sign_out().await;
    assert!(sign_out.is_cleared() && sign_out.is_revoked());
    assert_eq!(world.revoked(), ["old"]);
    assert!(store.load().await.unwrap().is_none());
}

//! What one process does to the store while another does not look.

use std::time::Duration;

use refresh_client_layer::{
    AccessToken, EndReason, Event, IdempotencyKey, MemoryStore, RefreshErrorKind, StoreError,
    StoredTokens, TokenError, TokenManager, TokenManagerBuilder, TokenSet, TokenStore, Version,
};
use tokio::task::JoinHandle;

use crate::support::records::Records as _;
use crate::support::shelf::Shelf;
use crate::support::{World, drain};

/// A session as another process has it, with nothing of its own.
fn process(world: &World, shelf: &Shelf) -> TokenManager {
    builder(world, shelf).build().unwrap()
}

fn builder(world: &World, shelf: &Shelf) -> TokenManagerBuilder {
    TokenManager::builder(world.clone())
        .origin(crate::support::ORIGIN)
        .store(shelf.clone())
}

/// A refresh that has no answer before the world is released.
async fn under_way(world: &World, session: &TokenManager) -> JoinHandle<Verdict> {
    world.hold();
    let session = session.clone();
    let refresh = tokio::spawn(async move { session.force_refresh().await });
    world.called(1).await;
    refresh
}

type Verdict = Result<AccessToken, TokenError>;

fn ended<T: std::fmt::Debug>(result: Result<T, TokenError>) -> EndReason {
    match result {
        Err(TokenError::SessionEnded(error)) => error.reason(),
        other => panic!("{other:?}"),
    }
}

fn alice(generation: u64) -> TokenSet {
    TokenSet::new("alice", "alice-refresh").with_generation(generation)
}

fn bob() -> TokenSet {
    TokenSet::new("bob", "bob-refresh")
}

/// Long enough for whatever is tried again.
async fn later() {
    tokio::time::sleep(Duration::from_secs(600)).await;
}

/// Law C8.
#[tokio::test(start_paused = true)]
async fn a_sign_in_that_cannot_be_stored_does_not_give_way_to_whom_the_store_knows() {
    let shelf = Shelf::with(alice(7)).await;
    shelf.fail(true);
    let world = World::new();
    let session = process(&world, &shelf);
    session.sign_in(bob()).unwrap();
    assert!(!session.flush(Duration::from_secs(60)).await);
    assert_eq!(session.access_token().await.unwrap().secret(), "bob");
    session.force_refresh().await.unwrap();
    assert_eq!(world.refresh_tokens(), ["bob-refresh"]);
    shelf.fail(false);
    assert!(session.flush(Duration::from_secs(60)).await);
    assert_eq!(shelf.access_token().await.as_deref(), Some("access-2"));
}

/// Law C8.
#[tokio::test(start_paused = true)]
async fn who_signs_out_and_in_again_elsewhere_is_signed_in_here() {
    let shelf = Shelf::with(alice(3)).await;
    let world = World::new();
    let (daemon, program) = (process(&world, &shelf), process(&world, &shelf));
    assert_eq!(daemon.access_token().await.unwrap().secret(), "alice");
    assert!(program.sign_out().await.is_cleared());
    let program = process(&world, &shelf);
    program.sign_in(bob()).unwrap();
    assert!(program.flush(Duration::from_secs(60)).await);
    // Whoever asked for Alice's token does not get Bob's.
    assert_eq!(ended(daemon.force_refresh().await), EndReason::Replaced);
    assert_eq!(daemon.access_token().await.unwrap().secret(), "bob");
    later().await;
    assert_eq!(shelf.access_token().await.as_deref(), Some("bob"));
    assert_eq!(world.calls(), 0);
}

/// Law C8: the sign-in comes while the server is asked about the old token.
#[tokio::test(start_paused = true)]
async fn a_refusal_of_the_old_session_does_not_clear_the_new_one() {
    let shelf = Shelf::with(alice(3)).await;
    let world = World::new();
    let (daemon, program) = (process(&world, &shelf), process(&world, &shelf));
    world.fail_next(RefreshErrorKind::Refused);
    let refresh = under_way(&world, &daemon).await;
    assert!(program.sign_out().await.is_cleared());
    program.sign_in(bob()).unwrap();
    assert!(program.flush(Duration::from_secs(60)).await);
    world.release();
    assert_eq!(ended(refresh.await.unwrap()), EndReason::Replaced);
    assert_eq!(daemon.access_token().await.unwrap().secret(), "bob");
    later().await;
    assert_eq!(shelf.access_token().await.as_deref(), Some("bob"));
}

/// Law C8.
#[tokio::test(start_paused = true)]
async fn a_sign_out_that_is_stored_late_leaves_a_later_sign_in_alone() {
    let shelf = Shelf::with(alice(3)).await;
    let world = World::new();
    let (one, other) = (process(&world, &shelf), process(&world, &shelf));
    one.access_token().await.unwrap();
    shelf.fail(true);
    assert!(!one.sign_out().await.is_cleared());
    shelf.fail(false);
    // In the same millisecond it would be the same moment.
    std::thread::sleep(Duration::from_millis(2));
    other.sign_in(bob()).unwrap();
    assert!(other.flush(Duration::from_secs(60)).await);
    later().await;
    assert!(one.flush(Duration::from_secs(60)).await);
    assert_eq!(shelf.access_token().await.as_deref(), Some("bob"));
}

/// Law C8: the answer comes after the sign-out.
#[tokio::test(start_paused = true)]
async fn a_sign_out_elsewhere_is_not_undone_by_a_refresh_under_way() {
    let shelf = Shelf::with(alice(3)).await;
    let world = World::new();
    let (daemon, program) = (process(&world, &shelf), process(&world, &shelf));
    daemon.access_token().await.unwrap();
    let mut events = daemon.events();
    let refresh = under_way(&world, &daemon).await;
    assert!(program.sign_out().await.is_cleared());
    world.release();
    let error = refresh.await.unwrap().unwrap_err();
    assert!(
        matches!(&error, TokenError::SessionEnded(end) if end.reason() == EndReason::SignedOut)
    );
    later().await;
    assert_eq!(shelf.access_token().await, None);
    assert_eq!(world.revoked(), ["alice-refresh", "refresh-2"]);
    let end = EndReason::SignedOut;
    let events = drain(&mut events);
    assert!(matches!(events[..], [Event::SessionEnded { reason, .. }] if reason == end));
}

/// Law C8.
#[tokio::test(start_paused = true)]
async fn a_sign_out_elsewhere_is_not_undone_by_a_late_write() {
    let shelf = Shelf::with(alice(3)).await;
    let world = World::new();
    let (daemon, program) = (process(&world, &shelf), process(&world, &shelf));
    daemon.access_token().await.unwrap();
    let refresh = under_way(&world, &daemon).await;
    shelf.fail(true);
    world.release();
    refresh.await.unwrap().unwrap();
    shelf.fail(false);
    assert!(program.sign_out().await.is_cleared());
    later().await;
    assert_eq!(shelf.access_token().await, None);
    assert!(daemon.access_token().await.is_err());
}

/// Law C17: another process was sending it when it died, before or after this one looked.
#[tokio::test(start_paused = true)]
async fn the_key_of_the_store_counts_also_once_the_store_fails() {
    for looks_before in [true, false] {
        let shelf = Shelf::with(alice(3)).await;
        let world = World::new();
        let session = process(&world, &shelf);
        if looks_before {
            session.access_token().await.unwrap();
        }
        let key = IdempotencyKey::random();
        shelf.kept.begin(3, key.clone()).await.unwrap().unwrap();
        session.access_token().await.unwrap();
        for fails in [!looks_before, true] {
            shelf.fail(fails);
            world.fail_next(RefreshErrorKind::Transient);
            session.force_refresh().await.unwrap_err();
            later().await;
        }
        assert_eq!(world.keys(), vec![Some(key.secret().to_owned()); 2]);
    }
}

/// Law C17.
#[tokio::test(start_paused = true)]
async fn a_key_that_the_store_would_not_take_is_stored_later() {
    let shelf = Shelf::with(alice(3)).await;
    let world = World::new();
    let session = process(&world, &shelf);
    session.access_token().await.unwrap();
    shelf.fail(true);
    world.fail_next(RefreshErrorKind::Transient);
    session.force_refresh().await.unwrap_err();
    assert!(!session.flush(Duration::from_secs(60)).await);
    shelf.fail(false);
    later().await;
    let kept = shelf.kept.load().await.unwrap().unwrap();
    let kept = kept.idempotency_key().map(IdempotencyKey::secret);
    assert_eq!(kept, world.keys()[0].as_deref());
    assert!(kept.is_some());
}

/// Law C16, at a server that knows no keys.
#[tokio::test(start_paused = true)]
async fn a_turn_lasts_until_the_new_tokens_are_stored() {
    let shelf = Shelf::with(alice(3)).await;
    let world = World::new();
    let plain = || {
        builder(&world, &shelf)
            .without_idempotency_key()
            .build()
            .unwrap()
    };
    let (one, other) = (plain(), plain());
    one.access_token().await.unwrap();
    other.access_token().await.unwrap();
    shelf.fail(true);
    one.force_refresh().await.unwrap();
    let refresh = tokio::spawn(async move { other.force_refresh().await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    // It has the turn, and need not wait for itself.
    assert_eq!(one.force_refresh().await.unwrap().secret(), "access-3");
    shelf.fail(false);
    assert_eq!(refresh.await.unwrap().unwrap().secret(), "access-3");
    assert_eq!(world.refresh_tokens(), ["alice-refresh", "refresh-2"]);
}

/// Law C8: a write that cannot be called back, such as that of a file.
#[test]
fn a_flush_that_is_given_up_does_not_write_after_a_sign_out() {
    #[derive(Clone, Default)]
    struct Slow(MemoryStore);
    impl TokenStore for Slow {
        async fn load(&self) -> Result<Option<StoredTokens>, StoreError> {
            self.0.load().await
        }
        async fn replace(
            &self,
            seen: Option<&Version>,
            new: Option<&StoredTokens>,
        ) -> Result<Option<StoredTokens>, StoreError> {
            let (kept, seen, new) = (self.0.clone(), seen.copied(), new.cloned());
            let write = tokio::spawn(async move {
                tokio::time::sleep(Duration::from_secs(1)).await;
                kept.replace(seen.as_ref(), new.as_ref()).await
            });
            write.await?
        }
    }
    let slow = Slow::default();
    let session = World::new().builder().store(slow.clone()).build().unwrap();
    // Where there is no runtime, nobody writes before the flush.
    session.sign_in(bob()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    runtime.unwrap().block_on(async {
        let moment = Duration::from_millis(1);
        let flush = tokio::time::timeout(moment, session.flush(Duration::from_secs(60)));
        assert!(flush.await.is_err());
        assert!(session.sign_out().await.is_cleared());
        later().await;
        assert!(slow.0.load().await.unwrap().is_none());
    });
}

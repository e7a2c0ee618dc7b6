//! What one process does to the store while another does not look.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed"
)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use refresh_client_layer::{
    IdempotencyKey, MemoryStore, RefreshErrorKind, StoreError, StoredTokens, TokenManager,
    TokenSet, TokenStore,
};
use support::World;

/// A store that can be made to fail.
#[derive(Clone, Default)]
struct Shelf {
    kept: MemoryStore,
    is_closed: Arc<AtomicBool>,
    is_read_only: Arc<AtomicBool>,
}

impl Shelf {
    async fn with(tokens: TokenSet) -> Self {
        let shelf = Self::default();
        assert!(shelf.kept.save(&tokens).await.unwrap());
        shelf
    }

    fn close(&self, is_closed: bool) {
        self.is_closed.store(is_closed, Ordering::SeqCst);
    }

    fn lock(&self, is_read_only: bool) {
        self.is_read_only.store(is_read_only, Ordering::SeqCst);
    }

    async fn access_token(&self) -> Option<String> {
        let kept = self.kept.load().await.unwrap()?;
        Some(kept.tokens().access_token().secret().to_owned())
    }

    fn for_reading(&self) -> Result<&MemoryStore, StoreError> {
        match self.is_closed.load(Ordering::SeqCst) {
            true => Err("as the test wants".into()),
            false => Ok(&self.kept),
        }
    }

    fn for_writing(&self) -> Result<&MemoryStore, StoreError> {
        match self.is_read_only.load(Ordering::SeqCst) {
            true => Err("as the test wants".into()),
            false => self.for_reading(),
        }
    }
}

impl TokenStore for Shelf {
    async fn load(&self) -> Result<Option<StoredTokens>, StoreError> {
        self.for_reading()?.load().await
    }

    async fn save(&self, tokens: &TokenSet) -> Result<bool, StoreError> {
        self.for_writing()?.save(tokens).await
    }

    async fn begin(
        &self,
        generation: u64,
        key: IdempotencyKey,
    ) -> Result<Option<StoredTokens>, StoreError> {
        self.for_writing()?.begin(generation, key).await
    }

    async fn clear(&self, up_to: u64) -> Result<(), StoreError> {
        self.for_writing()?.clear(up_to).await
    }
}

/// A session as another process has it, with nothing of its own.
fn process(world: &World, shelf: &Shelf) -> TokenManager {
    TokenManager::builder(world.clone())
        .origin(support::ORIGIN)
        .store(shelf.clone())
        .build()
        .unwrap()
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
    shelf.lock(true);
    let world = World::new();
    let session = process(&world, &shelf);
    session.sign_in(bob()).unwrap();
    assert!(!session.flush().await);
    assert_eq!(session.access_token().await.unwrap().secret(), "bob");
    session.force_refresh().await.unwrap();
    assert_eq!(world.refresh_tokens(), ["bob-refresh"]);
    shelf.lock(false);
    assert!(session.flush().await);
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
    assert!(program.flush().await);
    assert_eq!(daemon.force_refresh().await.unwrap().secret(), "bob");
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
    world.hold();
    let refresh = tokio::spawn({
        let daemon = daemon.clone();
        async move { daemon.force_refresh().await }
    });
    world.called(1).await;
    assert!(program.sign_out().await.is_cleared());
    program.sign_in(bob()).unwrap();
    assert!(program.flush().await);
    world.release();
    assert_eq!(refresh.await.unwrap().unwrap().secret(), "bob");
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
    shelf.lock(true);
    assert!(!one.sign_out().await.is_cleared());
    shelf.lock(false);
    // In the same millisecond it would be the same moment.
    std::thread::sleep(Duration::from_millis(2));
    other.sign_in(bob()).unwrap();
    assert!(other.flush().await);
    later().await;
    assert!(one.flush().await);
    assert_eq!(shelf.access_token().await.as_deref(), Some("bob"));
}

//! Servers that detect reuse and know no idempotency keys: whoever shares a store takes turns.

use std::time::Duration;

use refresh_client_layer::{
    Event, MemoryStore, RefreshErrorKind, StoreError, StoreLock, StoredTokens, TokenError,
    TokenManager, TokenSet, TokenStore, UnavailableKind, Version,
};

use crate::support::records::Records as _;
use crate::support::{World, drain, settle};

fn session(world: &World, store: impl TokenStore) -> TokenManager {
    world
        .builder()
        .without_idempotency_key()
        .store(store)
        .build()
        .unwrap()
}

fn kind_of(error: TokenError) -> UnavailableKind {
    match error {
        TokenError::RefreshUnavailable(error) => error.kind(),
        error => panic!("{error}"),
    }
}

async fn begin(store: &impl TokenStore) {
    let first = TokenSet::new("access-1", "refresh-1");
    assert!(store.save(&first).await.unwrap());
}

async fn refresh(session: TokenManager) -> String {
    session.access_token().await.unwrap();
    session.force_refresh().await.unwrap().secret().to_owned()
}

/// Law C16: `open` opens the same store again and again. Whoever will not wait for its turn refreshes
/// within `patience`.
async fn take_turns<S: TokenStore>(open: impl Fn() -> S, patience: Duration) {
    let world = World::new();
    begin(&open()).await;
    world.hold();
    let sessions = [(); 5].map(|()| session(&world, open()));
    let refreshes = sessions.map(|session| tokio::spawn(refresh(session)));
    world.called(1).await;
    settle().await;
    tokio::time::sleep(patience).await;
    world.release();
    for refresh in refreshes {
        assert_eq!(refresh.await.unwrap(), "access-2");
    }
    assert_eq!(world.refresh_tokens(), ["refresh-1"]);
    assert_eq!(world.keys(), [None]);
}

#[tokio::test]
async fn managers_on_one_store_never_use_a_token_twice() {
    let store = MemoryStore::new();
    take_turns(|| store.clone(), Duration::ZERO).await;
}

/// Law C16: the second refresh begins when the first has failed, with the token it left behind.
#[tokio::test]
async fn a_turn_ends_with_its_refresh_whatever_comes_of_it() {
    let world = World::new();
    let store = MemoryStore::new();
    begin(&store).await;
    world.fail_next(RefreshErrorKind::Transient);
    let failed = session(&world, store.clone()).force_refresh().await;
    assert_eq!(kind_of(failed.unwrap_err()), UnavailableKind::Failed);
    assert_eq!(refresh(session(&world, store)).await, "access-3");
}

/// Law C11: the wait is bounded, and the session lives.
#[tokio::test(start_paused = true)]
async fn whoever_waits_too_long_for_a_turn_does_not_take_it() {
    let world = World::new();
    let store = MemoryStore::new();
    begin(&store).await;
    let lock = store.lock().await.unwrap();
    let session = session(&world, store);
    let start = tokio::time::Instant::now();
    let error = session.force_refresh().await.unwrap_err();
    assert_eq!(kind_of(error), UnavailableKind::Locked);
    assert_eq!(start.elapsed(), Duration::from_secs(30));
    assert_eq!(world.calls(), 0);
    drop(lock);
    tokio::time::advance(Duration::from_secs(1)).await;
    session.force_refresh().await.unwrap();
}

/// Law C8.
#[tokio::test]
async fn a_sign_in_while_a_turn_is_waited_for_is_not_refreshed_away() {
    let world = World::new();
    let store = MemoryStore::new();
    begin(&store).await;
    let session = session(&world, store.clone());
    session.access_token().await.unwrap();
    let lock = store.lock().await.unwrap();
    let waiter = tokio::spawn({
        let session = session.clone();
        async move { session.force_refresh().await }
    });
    settle().await;
    session.sign_in(TokenSet::new("other", "other")).unwrap();
    assert!(matches!(
        waiter.await.unwrap(),
        Err(TokenError::SessionEnded(_))
    ));
    drop(lock);
    settle().await;
    assert_eq!(world.calls(), 0);
}

/// A store whose lock is out of order.
struct NoLock(MemoryStore);

impl TokenStore for NoLock {
    async fn load(&self) -> Result<Option<StoredTokens>, StoreError> {
        self.0.load().await
    }

    async fn replace(
        &self,
        seen: Option<&Version>,
        new: Option<&StoredTokens>,
    ) -> Result<Option<StoredTokens>, StoreError> {
        self.0.replace(seen, new).await
    }

    async fn lock(&self) -> Result<StoreLock, StoreError> {
        Err("as the test wants".into())
    }
}

#[tokio::test]
async fn a_lock_that_fails_is_reported_like_any_fault_of_the_store() {
    let world = World::new();
    let session = session(&world, NoLock(MemoryStore::new()));
    let mut events = session.events();
    assert_eq!(refresh(session).await, "access-2");
    assert!(drain(&mut events).contains(&Event::StoreFailed));
}

#[cfg(unix)]
mod file {
    use std::future::pending;
    use std::io::{BufRead as _, BufReader};
    use std::path::Path;
    use std::process::{Child, Command, Stdio};

    use refresh_client_layer::FileStore;
    use tempfile::TempDir;

    use super::*;

    /// Each manager opens the file anew, as another process would.
    #[tokio::test]
    async fn stores_on_one_file_never_use_a_token_twice() {
        let folder = TempDir::new().unwrap();
        let open = || FileStore::new(folder.path().join("tokens.json"));
        // A lock of the system is waited for in real time.
        take_turns(open, Duration::from_millis(200)).await;
    }

    /// Law C16: nobody is held up but those who want to refresh.
    #[tokio::test]
    async fn reading_and_writing_go_on_while_somebody_refreshes() {
        let folder = TempDir::new().unwrap();
        let open = || FileStore::new(folder.path().join("tokens.json"));
        let lock = open().lock().await.unwrap();
        begin(&open()).await;
        assert!(open().load().await.unwrap().is_some());
        drop(lock);
    }

    #[tokio::test(start_paused = true)]
    async fn no_thread_waits_for_a_turn() {
        let folder = TempDir::new().unwrap();
        let open = || FileStore::new(folder.path().join("tokens.json"));
        let lock = open().lock().await.unwrap();
        let world = World::new();
        let error = session(&world, open()).force_refresh().await.unwrap_err();
        assert_eq!(kind_of(error), UnavailableKind::Locked);
        drop(lock);
    }

    /// Law C16.
    #[tokio::test]
    async fn the_turn_of_a_process_that_was_killed_is_free() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("tokens.json");
        let store = FileStore::new(&path);
        begin(&store).await;
        let mut child = child(&path);
        let stderr = BufReader::new(child.stderr.take().unwrap());
        assert_eq!(stderr.lines().next().unwrap().unwrap(), "locked");

        let world = World::new();
        let mut waiting = tokio::spawn(refresh(session(&world, store)));
        // A lock of the system is waited for in real time.
        let early = tokio::time::timeout(Duration::from_millis(100), &mut waiting).await;
        assert!(early.is_err());
        assert_eq!(world.calls(), 0);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(waiting.await.unwrap(), "access-2");
    }

    fn child(path: &Path) -> Child {
        let name = "session::plain_server::file::child_that_takes_its_turn_for_ever";
        Command::new(std::env::current_exe().unwrap())
            .args([name, "--exact", "--ignored", "--nocapture"])
            .env(CHILDS_FILE, path)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    #[tokio::test]
    #[ignore = "a child process of another test"]
    async fn child_that_takes_its_turn_for_ever() {
        let Some(path) = std::env::var_os(CHILDS_FILE) else {
            return;
        };
        let _lock = FileStore::new(path).lock().await.unwrap();
        eprintln!("locked");
        pending::<()>().await;
    }

    const CHILDS_FILE: &str = "CHILDS_FILE";
}

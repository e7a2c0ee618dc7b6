//! The session in a keychain: long tokens, crashes between entries, and what goes wrong.

use std::any::Any;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use keyring_core::api::{CredentialApi, CredentialStoreApi};
use keyring_core::{Credential, CredentialStore, Entry, Error};
use refresh_client_layer::{
    KeyringStore, KeyringStoreError, KeyringStoreErrorKind, StoreError, TokenSet, TokenStore,
};

use crate::support::World;
use crate::support::records::Records as _;

/// A keychain like that of Windows, which dies after some writes, and can ask its user for a password.
#[derive(Clone, Default)]
struct Vault(Arc<Mutex<Contents>>, Arc<Condvar>);

#[derive(Default)]
struct Contents {
    entries: BTreeMap<String, Vec<u8>>,
    writes_left: Option<usize>,
    asks_its_user: bool,
    reads: usize,
}

#[derive(Clone)]
struct Item {
    vault: Vault,
    account: String,
}

impl Vault {
    fn store(&self) -> KeyringStore {
        let store: Arc<CredentialStore> = Arc::new(self.clone());
        KeyringStore::in_store(store, "example.app", "alice")
    }

    fn accounts(&self) -> Vec<String> {
        self.0.lock().unwrap().entries.keys().cloned().collect()
    }

    fn put(&self, account: &str, secret: &[u8]) {
        let mut contents = self.0.lock().unwrap();
        contents.entries.insert(account.to_owned(), secret.to_vec());
    }

    fn dies_after(&self, writes: Option<usize>) {
        self.0.lock().unwrap().writes_left = writes;
    }

    fn asks_its_user(&self, asks: bool) {
        self.0.lock().unwrap().asks_its_user = asks;
        self.1.notify_all();
    }

    fn reads(&self) -> usize {
        self.0.lock().unwrap().reads
    }

    fn write<T>(&self, write: impl FnOnce(&mut Contents) -> T) -> keyring_core::Result<T> {
        let mut contents = self.0.lock().unwrap();
        match &mut contents.writes_left {
            Some(0) => return Err(Error::NoStorageAccess("as the test wants".into())),
            Some(left) => *left -= 1,
            None => {}
        }
        Ok(write(&mut contents))
    }
}

impl CredentialStoreApi for Vault {
    fn vendor(&self) -> String {
        "test".to_owned()
    }

    fn id(&self) -> String {
        "test".to_owned()
    }

    fn build(
        &self,
        _service: &str,
        user: &str,
        _modifiers: Option<&HashMap<&str, &str>>,
    ) -> keyring_core::Result<Entry> {
        let item: Arc<Credential> = Arc::new(Item {
            vault: self.clone(),
            account: user.to_owned(),
        });
        Ok(Entry::new_with_credential(item))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl CredentialApi for Item {
    fn set_secret(&self, secret: &[u8]) -> keyring_core::Result<()> {
        if secret.len() > 2_560 {
            return Err(Error::TooLong("secret".to_owned(), 2_560));
        }
        self.vault.write(|contents| {
            let account = self.account.clone();
            contents.entries.insert(account, secret.to_vec());
        })
    }

    fn get_secret(&self) -> keyring_core::Result<Vec<u8>> {
        let mut contents = self.vault.0.lock().unwrap();
        contents.reads += 1;
        let answered = &self.vault.1;
        let contents = answered.wait_while(contents, |contents| contents.asks_its_user);
        let contents = contents.unwrap();
        let secret = contents.entries.get(&self.account);
        secret.cloned().ok_or(Error::NoEntry)
    }

    fn delete_credential(&self) -> keyring_core::Result<()> {
        let removed = self
            .vault
            .write(|contents| contents.entries.remove(&self.account))?;
        removed.map(drop).ok_or(Error::NoEntry)
    }

    fn get_credential(&self) -> keyring_core::Result<Option<Arc<Credential>>> {
        Ok(None)
    }

    fn get_specifiers(&self) -> Option<(String, String)> {
        None
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// `length` bytes of access token.
fn tokens(generation: u64, length: usize) -> TokenSet {
    TokenSet::new(
        format!("{generation:0length$}"),
        format!("refresh-{generation}"),
    )
    .with_generation(generation)
}

const SHORT: usize = 100;
const LONG: usize = 9_000;

async fn generation(store: &KeyringStore) -> Option<u64> {
    let stored = store.load().await.unwrap()?;
    let tokens = stored.tokens();
    let number: u64 = tokens.access_token().secret().parse().unwrap();
    assert_eq!(number, tokens.generation(), "a whole record");
    Some(number)
}

fn kind(error: &StoreError) -> KeyringStoreErrorKind {
    error.downcast_ref::<KeyringStoreError>().unwrap().kind()
}
#[tokio::test]
async fn it_keeps_the_word_of_the_trait() {
    use refresh_client_layer::test_util::check_store;
    let vault = Vault::default();
    let store = vault.store();
    check_store(|| store.clone()).await;
    // Several processes need a file to take turns by.
    let folder = tempfile::tempdir().unwrap();
    check_store(|| vault.store().lock_file(folder.path().join("lock"))).await;
    assert_eq!(vault.accounts(), [""; 0], "nothing is left behind");
}

#[tokio::test]
async fn long_tokens_are_split_and_short_ones_are_not() {
    let vault = Vault::default();
    let store = vault.store();
    store.save(&tokens(1, SHORT)).await.unwrap();
    assert_eq!(vault.accounts(), ["alice"]);
    store.save(&tokens(2, LONG)).await.unwrap();
    let parts = ["alice", "alice#a0", "alice#a1", "alice#a2", "alice#a3"];
    assert_eq!(vault.accounts(), parts);
    store.save(&tokens(3, LONG)).await.unwrap();
    assert_eq!(
        vault.accounts(),
        parts.map(|it| it.replace('a', "b").replacen('b', "a", 1))
    );
    store.save(&tokens(4, SHORT)).await.unwrap();
    assert_eq!(vault.accounts(), ["alice"]);
    let endless = TokenSet::new("x".repeat(1_000_000), "refresh").with_generation(5);
    let error = store.save(&endless).await.unwrap_err();
    assert_eq!(kind(&error), KeyringStoreErrorKind::TooLong);
    assert_eq!(generation(&store).await, Some(4));
}

/// Law C16, for a keychain: at any of its writes.
#[tokio::test]
async fn a_crash_between_two_entries_leaves_the_old_tokens_or_the_new_ones() {
    for (before, after, next) in [
        (SHORT, LONG, LONG),
        (LONG, LONG, SHORT),
        (LONG, SHORT, SHORT),
        (LONG, SHORT, LONG),
    ] {
        let mut seen = Vec::new();
        for writes in 0.. {
            let vault = Vault::default();
            vault.store().save(&tokens(1, before)).await.unwrap();
            vault.dies_after(Some(writes));
            let saved = vault.store().save(&tokens(2, after)).await;
            vault.dies_after(None);
            seen.extend(generation(&vault.store()).await);
            // What the crash has left is no hindrance, and is gone in the end.
            assert!(vault.store().save(&tokens(3, next)).await.unwrap());
            assert_eq!(generation(&vault.store()).await, Some(3));
            vault.store().clear().await.unwrap();
            assert_eq!(vault.accounts(), [""; 0], "after {writes} writes");
            if saved.is_ok() {
                break;
            }
        }
        assert!(seen.is_sorted() && seen.first() == Some(&1) && seen.last() == Some(&2));
    }
}

#[tokio::test]
async fn parts_of_two_writings_are_never_taken_for_one_record() {
    let vault = Vault::default();
    vault.store().save(&tokens(1, LONG)).await.unwrap();
    vault.put("alice#a1", &[b'1'; 2_516]);
    let error = vault.store().load().await.unwrap_err();
    assert_eq!(kind(&error), KeyringStoreErrorKind::Damaged);
}

/// Law S4.
#[tokio::test]
async fn a_damaged_entry_is_left_as_it_is_and_not_repeated() {
    let vault = Vault::default();
    vault.put("alice", b"SECRET");
    let store = vault.store();
    for error in [
        store.load().await.unwrap_err(),
        store.save(&tokens(9, SHORT)).await.unwrap_err(),
        store.clear().await.unwrap_err(),
    ] {
        assert_eq!(kind(&error), KeyringStoreErrorKind::Damaged);
        assert!(!format!("{error} {error:?}").contains("SECRET"));
    }
    assert_eq!(vault.accounts(), ["alice"]);
}

#[tokio::test]
async fn a_keychain_that_fails_is_an_error_and_no_end_of_a_session() {
    let vault = Vault::default();
    vault.dies_after(Some(0));
    let error = vault.store().save(&tokens(1, SHORT)).await.unwrap_err();
    assert_eq!(kind(&error), KeyringStoreErrorKind::Keychain);

    let world = World::new();
    let session = world.builder().store(vault.store()).build().unwrap();
    assert_eq!(session.force_refresh().await.unwrap().secret(), "access-2");
    assert!(!session.flush(Duration::from_secs(60)).await);
    vault.dies_after(None);
    assert!(session.flush(Duration::from_secs(60)).await);
    let stored = vault.store().load().await.unwrap().unwrap();
    assert_eq!(stored.tokens().access_token().secret(), "access-2");
}

/// Its user may be away for hours, and threads are few.
#[tokio::test]
async fn a_keychain_that_waits_for_its_user_holds_one_thread() {
    let vault = Vault::default();
    let store = vault.store();
    vault.asks_its_user(true);
    for _ in 0..5 {
        let load = tokio::time::timeout(Duration::from_millis(50), store.load());
        assert!(load.await.is_err());
    }
    let reads = vault.reads();
    vault.asks_its_user(false);
    assert_eq!(reads, 1);
    assert!(store.load().await.unwrap().is_none());
}

/// It could undo what is written after it.
#[tokio::test]
async fn a_write_whose_caller_has_gone_away_is_not_made() {
    let vault = Vault::default();
    let store = vault.store();
    vault.asks_its_user(true);
    let new = tokens(1, SHORT);
    let save = tokio::time::timeout(Duration::from_millis(50), store.save(&new));
    assert!(save.await.is_err());
    vault.asks_its_user(false);
    assert!(store.load().await.unwrap().is_none());
}

/// Law C16: stores that name one lock file take turns, as processes do.
#[tokio::test]
async fn a_lock_file_makes_stores_take_turns() {
    let folder = tempfile::TempDir::new().unwrap();
    let vault = Vault::default();
    let open = || vault.store().lock_file(folder.path().join("lock"));
    open().save(&tokens(1, LONG)).await.unwrap();
    let lock = open().lock().await.unwrap();
    let mut other = tokio::spawn({
        let store = open();
        async move { store.lock().await }
    });
    // A lock of the system is waited for in real time.
    let early = tokio::time::timeout(Duration::from_millis(100), &mut other).await;
    assert!(early.is_err());
    assert_eq!(generation(&open()).await, Some(1));
    drop(lock);
    drop(other.await.unwrap().unwrap());
}

#[tokio::test]
async fn the_mock_store_of_the_ecosystem_will_do_too() {
    let store = keyring_core::mock::Store::new().unwrap();
    let world = World::new();
    let open = || KeyringStore::in_store(store.clone(), "example.app", "alice");
    let session = world.builder().store(open()).build().unwrap();
    session.force_refresh().await.unwrap();
    let next = world.builder().store(open()).build().unwrap();
    assert_eq!(next.access_token().await.unwrap().secret(), "access-2");
}

//! The session in a file: what is in the folder, what is refused, and what a kill leaves behind.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use http::StatusCode;
use refresh_client_layer::{
    Event, FileStore, FileStoreError, FileStoreErrorKind, IdempotencyKey, StoreError, StoredTokens,
    TokenError, TokenSet, TokenStore,
};
use tempfile::TempDir;

use crate::support::records::Records as _;
use crate::support::{Answer, World, drain, send, settle};

struct Setting {
    folder: TempDir,
    path: PathBuf,
    store: FileStore,
}

impl Setting {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("tokens.json");
        Self {
            store: FileStore::new(&path),
            path,
            folder,
        }
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        self.folder.path().join(format!("tokens.json{suffix}"))
    }

    fn names(&self) -> BTreeSet<String> {
        let entries = fs::read_dir(self.folder.path()).unwrap();
        let name = |entry: fs::DirEntry| entry.file_name().into_string().unwrap();
        entries.map(|entry| name(entry.unwrap())).collect()
    }
}

fn tokens(generation: u64) -> TokenSet {
    TokenSet::new(
        format!("access-{generation}"),
        format!("refresh-{generation}"),
    )
    .with_generation(generation)
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn kind(error: &StoreError) -> FileStoreErrorKind {
    error.downcast_ref::<FileStoreError>().unwrap().kind()
}

async fn generation(store: &FileStore) -> Option<u64> {
    let stored = store.load().await.unwrap()?;
    Some(stored.tokens().generation())
}
#[tokio::test]
async fn it_keeps_the_word_of_the_trait() {
    let setting = Setting::new();
    refresh_client_layer::test_util::check_store(|| FileStore::new(&setting.path)).await;
    assert_eq!(setting.names(), ["tokens.json.lock".to_owned()].into());
}

/// Law S4: what a kill has left behind is as secret as the file.
#[tokio::test]
async fn a_sign_out_leaves_no_tokens_of_a_write_that_was_broken_off() {
    let setting = Setting::new();
    for kept in [Some(tokens(1)), None] {
        if let Some(kept) = kept {
            assert!(setting.store.save(&kept).await.unwrap());
        }
        fs::write(setting.beside(".new"), tokens_json(2)).unwrap();
        setting.store.clear().await.unwrap();
        assert_eq!(setting.names(), ["tokens.json.lock".to_owned()].into());
    }
}

/// Law S5.
#[tokio::test]
async fn every_file_is_readable_by_its_owner_alone_even_if_another_was_there_before() {
    let setting = Setting::new();
    for suffix in ["", ".new"] {
        let path = setting.beside(suffix);
        fs::write(&path, tokens_json(1)).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    }
    let inode = fs::metadata(&setting.path).unwrap().ino();
    assert!(setting.store.save(&tokens(2)).await.unwrap());
    assert_eq!(mode(&setting.path), 0o600);
    assert_eq!(mode(&setting.beside(".lock")), 0o600);
    assert_ne!(
        inode,
        fs::metadata(&setting.path).unwrap().ino(),
        "a new file"
    );
    let names = ["tokens.json", "tokens.json.lock"].map(str::to_owned);
    assert_eq!(setting.names(), BTreeSet::from(names));
}

/// Law S5: at none of the four names.
#[tokio::test]
async fn symbolic_links_are_refused_and_what_they_point_to_is_untouched() {
    for suffix in ["", ".lock"] {
        for target in ["elsewhere", "nowhere"] {
            let setting = Setting::new();
            let elsewhere = setting.folder.path().join("elsewhere");
            fs::write(&elsewhere, tokens_json(1)).unwrap();
            symlink(setting.folder.path().join(target), setting.beside(suffix)).unwrap();
            let error = setting.store.save(&tokens(2)).await.unwrap_err();
            assert_eq!(kind(&error), FileStoreErrorKind::NotAFile, "{suffix}");
            assert_eq!(fs::read(&elsewhere).unwrap(), tokens_json(1));
            assert!(!setting.folder.path().join("nowhere").exists());
        }
    }
    let setting = Setting::new();
    let elsewhere = setting.folder.path().join("elsewhere");
    fs::write(&elsewhere, "kept").unwrap();
    symlink(&elsewhere, setting.beside(".refresh")).unwrap();
    let error = setting.store.lock().await.unwrap_err();
    assert_eq!(kind(&error), FileStoreErrorKind::NotAFile);
    symlink(&elsewhere, setting.beside(".new")).unwrap();
    setting.store.save(&tokens(2)).await.unwrap();
    assert_eq!(fs::read(&elsewhere).unwrap(), b"kept");
    assert_eq!(generation(&setting.store).await, Some(2));
    assert!(!fs::symlink_metadata(&setting.path).unwrap().is_symlink());
}

#[tokio::test]
async fn a_damaged_file_is_left_as_it_is_and_the_error_says_what_to_do() {
    for damage in ["", "{", "[]", r#"{"access_token":"a"}"#, "SECRET"] {
        let setting = Setting::new();
        fs::write(&setting.path, damage).unwrap();
        let store = &setting.store;
        let key = IdempotencyKey::random();
        for error in [
            store.load().await.unwrap_err(),
            store.save(&tokens(9)).await.unwrap_err(),
            store.begin(1, key).await.unwrap_err(),
            store.clear().await.unwrap_err(),
        ] {
            assert_eq!(kind(&error), FileStoreErrorKind::Damaged);
            let text = error.to_string();
            assert!(
                text.contains("tokens.json") && text.contains("sign in"),
                "{text}"
            );
            assert!(!format!("{text}{error:?}").contains("SECRET"));
        }
        assert_eq!(fs::read_to_string(&setting.path).unwrap(), damage);
    }
}

#[tokio::test]
async fn what_is_no_file_is_refused_without_waiting_for_it() {
    let setting = Setting::new();
    let made = Command::new("mkfifo").arg(&setting.path).status().unwrap();
    assert!(made.success());
    let error = setting.store.load().await.unwrap_err();
    assert_eq!(kind(&error), FileStoreErrorKind::NotAFile);
}

/// It may be unmounted, with the tokens in it.
#[tokio::test]
async fn without_the_folder_nobody_knows_whether_there_is_a_session() {
    let setting = Setting::new();
    let folder = setting.folder.path().join("home");
    let store = FileStore::new(folder.join("tokens.json"));
    for error in [
        store.load().await.unwrap_err(),
        store.save(&tokens(1)).await.unwrap_err(),
        store.clear().await.unwrap_err(),
    ] {
        assert_eq!(kind(&error), FileStoreErrorKind::Io);
        assert!(error.to_string().contains("folder"), "{error}");
    }
    fs::create_dir(&folder).unwrap();
    assert!(store.load().await.unwrap().is_none());
}

#[tokio::test]
async fn a_folder_that_is_gone_for_a_moment_is_no_end_of_a_session() {
    let setting = Setting::new();
    let [home, away] = ["home", "away"].map(|name| setting.folder.path().join(name));
    fs::create_dir(&home).unwrap();
    let store = FileStore::new(home.join("tokens.json"));
    let world = World::new();
    let builder = world
        .builder()
        .without_idempotency_key()
        .store(store.clone());
    let session = builder.build().unwrap();
    session.access_token().await.unwrap();
    assert!(session.flush(Duration::from_secs(60)).await);
    fs::rename(&home, &away).unwrap();
    assert_eq!(session.force_refresh().await.unwrap().secret(), "access-2");
    fs::rename(&away, &home).unwrap();
    assert!(session.flush(Duration::from_secs(60)).await);
    assert_eq!(generation(&store).await, Some(2));
}

#[tokio::test]
async fn the_answer_of_a_log_in_is_a_file_to_begin_with() {
    let setting = Setting::new();
    fs::write(&setting.path, tokens_json(1)).unwrap();
    let world = World::new();
    let session = world
        .builder()
        .store(setting.store.clone())
        .build()
        .unwrap();
    let api = world.layered(&session);
    assert_eq!(send(&api).await.unwrap().status(), StatusCode::OK);
    session.force_refresh().await.unwrap();
    assert_eq!(generation(&setting.store).await, Some(2));
}

#[tokio::test]
async fn a_damaged_file_is_no_end_of_a_session_and_is_reported() {
    let setting = Setting::new();
    fs::write(&setting.path, "{").unwrap();
    let world = World::new();
    let session = world.builder().store(setting.store.clone());
    let session = session.build().unwrap();
    let mut events = session.events();
    let error = session.access_token().await.unwrap_err();
    assert!(matches!(error, TokenError::RefreshUnavailable(_)));
    assert!(drain(&mut events).contains(&Event::StoreFailed));
}

#[test]
fn it_works_outside_of_a_runtime() {
    let setting = Setting::new();
    let saved = futures_util::FutureExt::now_or_never(setting.store.save(&tokens(1)));
    assert!(saved.expect("nothing to wait for").unwrap());
}

#[tokio::test]
async fn a_lock_that_somebody_holds_is_waited_for() {
    let setting = Setting::new();
    assert!(setting.store.save(&tokens(1)).await.unwrap());
    let lock = File::open(setting.beside(".lock")).unwrap();
    lock.lock().unwrap();
    let store = setting.store.clone();
    let mut saved = tokio::spawn(async move { store.save(&tokens(2)).await });
    // A lock of the system is waited for in real time.
    let early = tokio::time::timeout(Duration::from_millis(50), &mut saved).await;
    assert!(early.is_err());
    // Reading goes on meanwhile.
    assert_eq!(generation(&setting.store).await, Some(1));
    drop(lock);
    assert!(saved.await.unwrap().unwrap());
}

/// It could undo what is written after it.
#[tokio::test]
async fn a_write_whose_caller_has_gone_away_is_not_made() {
    let setting = Setting::new();
    let lock = File::create(setting.beside(".lock")).unwrap();
    lock.lock().unwrap();
    let new = tokens(1);
    let save = tokio::time::timeout(Duration::from_millis(50), setting.store.save(&new));
    assert!(save.await.is_err());
    drop(lock);
    // After that one, and with nothing to write.
    let begun = setting.store.begin(9, IdempotencyKey::random()).await;
    assert!(begun.unwrap().is_none());
    assert_eq!(setting.names(), ["tokens.json.lock".to_owned()].into());
}

#[tokio::test]
async fn a_lock_that_is_never_free_is_an_error_that_names_it() {
    let setting = Setting::new();
    let lock = File::create(setting.beside(".lock")).unwrap();
    lock.lock().unwrap();
    let error = setting.store.save(&tokens(1)).await.unwrap_err();
    assert_eq!(kind(&error), FileStoreErrorKind::Locked);
    assert!(error.to_string().contains("tokens.json.lock"));
    assert!(!setting.path.exists());
}

/// Law C16, in one process: each manager has a store of its own on the one file.
#[tokio::test]
async fn two_stores_on_one_file_adopt_each_others_tokens() {
    let setting = Setting::new();
    let world = World::new();
    let open = || {
        let store = FileStore::new(&setting.path);
        world.builder().store(store).build().unwrap()
    };
    let (first, second) = (open(), open());
    first.access_token().await.unwrap();
    assert!(first.flush(Duration::from_secs(60)).await);
    second.access_token().await.unwrap();
    assert_eq!(first.force_refresh().await.unwrap().secret(), "access-2");
    let response = send(&world.layered(&second)).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(world.calls(), 1);

    first.sign_out().await;
    let error = second.force_refresh().await.unwrap_err();
    assert!(matches!(error, TokenError::SessionEnded(_)));
    assert_eq!(world.calls(), 1);
}

/// Law C16: the second finds what the first has stored.
#[tokio::test]
async fn two_stores_that_refresh_at_the_same_moment_take_turns() {
    let setting = Setting::new();
    setting.store.save(&tokens(1)).await.unwrap();
    let world = World::new();
    world.hold();
    let refreshes: Vec<_> = (0..2)
        .map(|_| {
            let store = FileStore::new(&setting.path);
            let session = world.builder().store(store).build().unwrap();
            tokio::spawn(async move {
                session.access_token().await.unwrap();
                session.force_refresh().await.unwrap()
            })
        })
        .collect();
    world.called(1).await;
    settle().await;
    world.release();
    for refresh in refreshes {
        assert_eq!(refresh.await.unwrap().secret(), "access-2");
    }
    assert_eq!(world.refresh_tokens(), ["refresh-1"]);
}

/// Law C17, the client's part.
#[tokio::test(start_paused = true)]
async fn after_a_crash_the_same_token_and_key_are_sent_again() {
    let setting = Setting::new();
    let world = World::new();
    let open = || {
        let store = FileStore::new(&setting.path);
        world.builder().store(store).build().unwrap()
    };
    world.answer_next(Answer::Silence);
    open().force_refresh().await.unwrap_err();
    open().force_refresh().await.unwrap();
    assert_eq!(world.refresh_tokens(), ["refresh-1", "refresh-1"]);
    let keys = world.keys();
    assert!(keys[0].is_some());
    assert_eq!(keys[0], keys[1]);
    let stored = setting.store.load().await.unwrap().unwrap();
    assert!(stored.idempotency_key().is_none());
}

/// Law C16: at any point of a write.
#[test]
fn two_hundred_kills_leave_the_old_tokens_or_the_new_ones() {
    let setting = Setting::new();
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let mut seen = 0;
    for _ in 0..200 {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let mut child = child(&setting.path);
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut acknowledged = lines.next().unwrap().unwrap();
        // A process cannot be killed at a random point of a write without real time.
        std::thread::sleep(Duration::from_micros(random % 3_000));
        child.kill().unwrap();
        child.wait().unwrap();
        // The last line may be half a line.
        let rest: Vec<_> = lines.map_while(Result::ok).collect();
        if rest.len() > 1 {
            acknowledged.clone_from(&rest[rest.len() - 2]);
        }
        let kept = StoredTokens::from_json(&fs::read(&setting.path).unwrap()).unwrap();
        let kept = kept.tokens().generation();
        assert!(
            kept >= acknowledged.parse().unwrap(),
            "{kept} {acknowledged}"
        );
        assert!(kept > seen);
        seen = kept;
        assert!(setting.names().len() <= 3, "{:?}", setting.names());
    }
    // The lock of the dead is free.
    let saved = futures_util::FutureExt::now_or_never(setting.store.save(&tokens(seen + 1)));
    assert!(saved.unwrap().unwrap());
}

fn child(path: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([
            "store::file::child_that_saves_for_ever",
            "--exact",
            "--ignored",
            "--nocapture",
        ])
        .env(CHILDS_FILE, path)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
#[ignore = "a child process of another test"]
fn child_that_saves_for_ever() {
    let Some(path) = std::env::var_os(CHILDS_FILE) else {
        return;
    };
    let store = FileStore::new(path);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        let first = generation(&store).await.unwrap_or_default() + 1;
        for generation in first.. {
            assert!(store.save(&tokens(generation)).await.unwrap());
            eprintln!("{generation}");
        }
    });
}

fn tokens_json(generation: u64) -> Vec<u8> {
    format!(
        r#"{{"access_token":"access-{generation}","refresh_token":"refresh-{generation}","token_type":"Bearer"}}"#
    )
    .into()
}

const CHILDS_FILE: &str = "CHILDS_FILE";

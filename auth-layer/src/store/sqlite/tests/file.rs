use super::*;

#[tokio::test]
async fn what_was_answered_is_there_after_a_restart() {
    let (_folder, path) = path();
    let store = SqliteStore::open(&path).await.unwrap();
    store.insert(session(1), None).await.unwrap();
    store.rotate(rotation(1, 0)).await.unwrap();
    drop(store);
    let store = SqliteStore::open(&path).await.unwrap();
    let listed = store
        .list(Selection::Subject("alice".to_owned()), NOW)
        .await
        .unwrap();
    assert_eq!((listed.len(), listed[0].chain.generation), (1, 1));
}

/// Whoever closes it last takes its log away, under the eyes of the next one.
#[tokio::test]
async fn it_opens_while_another_one_closes_it() {
    let (_folder, path) = path();
    for generation in 0..100 {
        let store = SqliteStore::open(&path).await.unwrap();
        if generation == 0 {
            store.insert(session(1), None).await.unwrap();
        }
        let rotated = store.rotate(rotation(1, generation)).await.unwrap();
        assert!(matches!(rotated, Rotated::Decided(Outcome::Advanced, _)));
    }
}

#[tokio::test]
async fn it_is_durable_and_strict_and_nobody_elses_to_read() {
    let (_folder, path) = path();
    let store = SqliteStore::open(&path).await.unwrap();
    store.insert(session(1), None).await.unwrap();
    let raw = raw(&path);
    let mode = raw.query_row("PRAGMA journal_mode", [], |row| row.get::<_, String>(0));
    assert_eq!(mode.unwrap(), "wal");
    let strict = "SELECT strict FROM pragma_table_list('auth_session')";
    assert_eq!(raw.query_row(strict, [], |row| row.get(0)), Ok(1));
    let synchronous = |hand: &mut Hand<'_>| {
        let read = hand
            .on
            .query_row("PRAGMA synchronous", [], |row| row.get::<_, i64>(0));
        read.map_err(failure::of)
    };
    assert_eq!(store.writer.write(synchronous).await.unwrap(), FULL);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        for name in ["sessions.db", "sessions.db-wal"] {
            let file = path.with_file_name(name);
            assert_eq!(
                file.metadata().unwrap().permissions().mode() & 0o777,
                0o600,
                "{name}"
            );
        }
    }
}

const FULL: i64 = 2;

#[tokio::test]
async fn a_file_that_is_no_database_is_refused_and_left_alone() {
    let (_folder, path) = path();
    std::fs::write(&path, "my diary, not a database at all".repeat(100)).unwrap();
    let error = refused(&path).await;
    assert_eq!(error.kind(), SqliteOpenErrorKind::NotAStore);
    assert!(
        error
            .to_string()
            .ends_with("give another path, or move that file away"),
        "{error}"
    );
}

#[tokio::test]
async fn another_programs_database_is_refused_and_left_alone() {
    let (_folder, path) = path();
    execute(&path, "CREATE TABLE recipe (name TEXT)");
    assert_eq!(refused(&path).await.kind(), SqliteOpenErrorKind::NotAStore);
}

#[tokio::test]
async fn a_damaged_file_is_refused_and_left_alone() {
    let (_folder, path) = path();
    let store = SqliteStore::open(&path).await.unwrap();
    for number in 0..200 {
        store.insert(session(number), None).await.unwrap();
    }
    drop(store);
    closed(&path).await;
    let whole = std::fs::read(&path).unwrap();
    const PAGE: usize = 4096;
    for at in [PAGE, 2 * PAGE, whole.len() - PAGE] {
        let mut bytes = whole.clone();
        bytes[at..at + PAGE].fill(0xa5);
        std::fs::write(&path, bytes).unwrap();
        let error = refused(&path).await;
        assert_eq!(error.kind(), SqliteOpenErrorKind::Damaged, "{at}");
        assert!(
            error.to_string().contains("restore it from a backup"),
            "{error}"
        );
    }
    std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    assert_eq!(
        refused(&path).await.kind(),
        SqliteOpenErrorKind::Damaged,
        "cut off"
    );
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_said_to_be_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("missing").join("sessions.db");
    let error = refused(&path).await;
    assert_eq!(error.kind(), SqliteOpenErrorKind::Inaccessible);
    assert!(!path.parent().unwrap().exists());
    let folder_itself = folder.path().join("sessions.db");
    std::fs::create_dir(&folder_itself).unwrap();
    assert_eq!(
        refused(&folder_itself).await.kind(),
        SqliteOpenErrorKind::NotAStore
    );
}

//! Keys that share a refresh token: to the server they are one client.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use refresh_client_layer::{
    LoadError, MemoryStore, RefreshError, RefreshErrorKind, RefreshRequest, TokenManager,
    TokenManagers, TokenSet,
};

use crate::support::{Answer, World};

/// Every key begins with access-1 and refresh-1.
fn managers(world: &World) -> TokenManagers<u32> {
    let world = world.clone();
    let loader = move |_: u32| {
        let session = world.builder().store(MemoryStore::new());
        async { Ok::<_, LoadError>(Some(session)) }
    };
    TokenManagers::builder(loader).build()
}

/// Law C17.
#[tokio::test(start_paused = true)]
async fn a_member_repeats_what_another_had_no_answer_to() {
    let world = World::new();
    let users = managers(&world);
    let one = users.get(&1).await.unwrap().unwrap();
    let other = users.get(&2).await.unwrap().unwrap();
    world.answer_next(Answer::Silence);
    one.force_refresh().await.unwrap_err();
    world.fail_next(RefreshErrorKind::Transient);
    other.force_refresh().await.unwrap_err();
    tokio::time::sleep(Duration::from_secs(60)).await;
    other.force_refresh().await.unwrap();
    assert_eq!(world.refresh_tokens(), ["refresh-1"; 3]);
    let keys = world.keys();
    assert!(keys[0].is_some());
    assert_eq!(keys, vec![keys[0].clone(); 3]);
    // The next token is sent with a key of its own.
    one.force_refresh().await.unwrap();
    assert_eq!(world.refresh_tokens()[3], "refresh-4");
    assert_ne!(world.keys()[3], keys[0]);
}

/// By the wall clock, which cannot be paused.
#[tokio::test]
async fn a_member_that_comes_late_refreshes_the_newest_token() {
    let world = World::new();
    let users = managers(&world);
    let one = users.get(&1).await.unwrap().unwrap();
    let other = users.get(&2).await.unwrap().unwrap();
    let tokens = TokenSet::new("access-2", "refresh-2").expires_in(Duration::from_millis(1));
    world.answer_next(Answer::Tokens(tokens));
    one.force_refresh().await.unwrap();
    std::thread::sleep(Duration::from_millis(5));
    assert_eq!(other.force_refresh().await.unwrap().secret(), "access-3");
    assert_eq!(world.refresh_tokens(), ["refresh-1", "refresh-2"]);
    let keys = world.keys();
    assert!(keys[1].is_some() && keys[0] != keys[1]);
}

/// Law C20: each manager has access tokens that its own refresher asked for, for its own resource.
#[tokio::test(start_paused = true)]
async fn keys_that_share_a_refresh_token_never_share_an_access_token() {
    let sent = Arc::new(Mutex::new(Vec::new()));
    let seen = sent.clone();
    let loader = move |resource: &'static str| {
        let sent = sent.clone();
        let refresher = move |request: RefreshRequest| {
            let mut sent = sent.lock().unwrap();
            sent.push(request.refresh_token().secret().to_owned());
            let number = sent.len() + 1;
            let tokens = TokenSet::new(format!("for-{resource}-{number}"), format!("r-{number}"));
            async { Ok::<_, RefreshError>(tokens) }
        };
        let session = TokenManager::builder(refresher)
            .tokens(TokenSet::new("of-the-log-in", "r-1"))
            .origin(format!("https://{resource}.example"))
            .store(MemoryStore::new());
        async { Ok::<_, LoadError>(Some(session)) }
    };
    let users = TokenManagers::builder(loader).build();
    let photos = users.get(&"photos").await.unwrap().unwrap();
    let mail = users.get(&"mail").await.unwrap().unwrap();

    let (of_photos, of_mail) = tokio::join!(photos.force_refresh(), mail.force_refresh());
    assert!(of_photos.unwrap().secret().starts_with("for-photos-"));
    assert!(of_mail.unwrap().secret().starts_with("for-mail-"));
    assert!(
        photos
            .force_refresh()
            .await
            .unwrap()
            .secret()
            .starts_with("for-photos-")
    );
    assert_eq!(*seen.lock().unwrap(), ["r-1", "r-2", "r-3"]);
}

//! Signing in and out, and the end of a session, also while a refresh runs.

use futures_util::future::join_all;
use http::StatusCode;
use refresh_client_layer::{
    EndReason, Event, InvalidTokensKind, MemoryStore, NotRetried, Outcome, RefreshError,
    RefreshErrorKind, RefreshRequest, RefreshToken, Refresher, SessionEnded, TokenError,
    TokenManager, TokenSet, TokenStore as _,
};

use crate::support::{Answer, World, drain, send, settle};

fn reason_of(error: &crate::support::BoxError) -> EndReason {
    error.downcast_ref::<SessionEnded>().unwrap().reason()
}

fn ended<T: std::fmt::Debug>(result: Result<T, TokenError>) -> EndReason {
    match result {
        Err(TokenError::SessionEnded(error)) => error.reason(),
        other => panic!("{other:?}"),
    }
}

/// Law C8.
#[tokio::test]
async fn a_sign_out_during_a_refresh_wins_and_leaves_nothing_alive() {
    let world = World::new();
    let store = MemoryStore::new();
    let session = world.builder().store(store.clone()).build().unwrap();
    let mut events = session.events();
    world.hold();
    let waiter = tokio::spawn({
        let session = session.clone();
        async move { session.force_refresh().await }
    });
    world.called(1).await;

    let sign_out = session.sign_out().await;
    assert!(sign_out.is_revoked() && sign_out.is_cleared());
    let refused = waiter.await.unwrap().unwrap_err();
    assert!(matches!(refused, TokenError::SessionEnded(_)));

    world.release();
    settle().await;
    assert!(session.access_token().await.is_err());
    assert!(store.load().await.unwrap().is_none());
    // The late answer's token is handed back as well.
    assert_eq!(world.revoked(), ["refresh-1", "refresh-2"]);
    let reason = EndReason::SignedOut;
    let events = drain(&mut events);
    assert!(matches!(events[..], [Event::SessionEnded { reason: r, .. }] if r == reason));
}

/// Law C8.
#[tokio::test]
async fn a_sign_in_during_a_refresh_wins_over_the_late_answer() {
    let world = World::new();
    let store = MemoryStore::new();
    let session = world.builder().store(store.clone()).build().unwrap();
    world.hold();
    let waiter = tokio::spawn({
        let session = session.clone();
        async move { session.force_refresh().await }
    });
    world.called(1).await;

    session
        .sign_in(TokenSet::new("other-1", "other-refresh-1"))
        .unwrap();
    assert_eq!(ended(waiter.await.unwrap()), EndReason::Replaced);
    world.release();
    settle().await;
    assert_eq!(session.access_token().await.unwrap().secret(), "other-1");
    assert!(session.flush(std::time::Duration::from_secs(60)).await);
    let stored = store.load().await.unwrap().unwrap();
    assert_eq!(stored.tokens().access_token().secret(), "other-1");
    assert_eq!(world.revoked(), [""; 0]);
}

/// Law C8: the answer is there, but not yet stored.
#[tokio::test]
async fn a_refusal_that_comes_after_a_sign_in_does_not_end_the_new_session() {
    let world = World::new();
    let session = world.session();
    world.fail_next(RefreshErrorKind::Refused);
    world.hold();
    let waiter = tokio::spawn({
        let session = session.clone();
        async move { session.force_refresh().await }
    });
    world.called(1).await;
    session
        .sign_in(TokenSet::new("other-1", "other-refresh-1"))
        .unwrap();
    world.release();
    assert_eq!(ended(waiter.await.unwrap()), EndReason::Replaced);
    settle().await;
    assert_eq!(session.access_token().await.unwrap().secret(), "other-1");
}

#[tokio::test]
async fn a_sign_out_goes_on_without_its_caller() {
    use futures_util::FutureExt as _;
    let world = World::new();
    let session = world.session();
    assert!(session.sign_out().now_or_never().is_none());
    settle().await;
    assert_eq!(world.revoked(), ["refresh-1"]);
}

#[tokio::test]
async fn a_second_sign_out_has_nothing_to_do() {
    let world = World::new();
    let session = world.session();
    let mut events = session.events();
    session.sign_out().await;
    session.sign_out().await;
    assert_eq!(world.revoked(), ["refresh-1"]);
    assert_eq!(drain(&mut events).len(), 1);
}

/// Law C10.
#[tokio::test]
async fn a_refused_refresh_token_ends_the_session_once_for_everybody() {
    let world = World::new();
    world.accept(None);
    world.fail_next(RefreshErrorKind::Refused);
    let session = world.session();
    let mut events = session.events();
    let api = world.layered(&session);
    for response in join_all((0..100).map(|_| send(&api))).await {
        let response = response.unwrap();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        let outcome = response.extensions().get::<Outcome>().unwrap();
        assert_eq!(outcome.not_retried(), Some(NotRetried::SessionEnded));
    }
    let seen = world.api_calls().len();
    for _ in 0..10 {
        let error = send(&api).await.unwrap_err();
        assert_eq!(reason_of(&error), EndReason::Refused);
    }
    assert_eq!(world.api_calls().len(), seen, "nothing is sent any more");
    assert_eq!(world.calls(), 1);
    let events = drain(&mut events);
    let refused = EndReason::Refused;
    assert!(
        matches!(
            events[..],
            [
                Event::RefreshFailed { transient: false, .. },
                Event::SessionEnded { reason, .. }
            ] if reason == refused
        ),
        "{events:?}"
    );

    world.accept(Some("access-9"));
    session
        .sign_in(TokenSet::new("access-9", "refresh-9"))
        .unwrap();
    assert_eq!(send(&api).await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn before_a_sign_in_requests_go_without_a_token() {
    let world = World::new();
    let session = refresh_client_layer::TokenManager::builder(world.clone())
        .origin(crate::support::ORIGIN)
        .build()
        .unwrap();
    let response = send(&world.layered(&session)).await.unwrap();
    let outcome = response.extensions().get::<Outcome>().unwrap();
    assert_eq!(outcome.not_retried(), Some(NotRetried::NoToken));
    assert!(world.api_calls()[0].authorization.is_empty());
    let error = session.access_token().await.unwrap_err();
    assert!(
        matches!(error, TokenError::SessionEnded(error) if error.reason() == EndReason::NeverSignedIn)
    );
    session
        .sign_in(TokenSet::new("access-1", "refresh-1"))
        .unwrap();
    let response = send(&world.layered(&session)).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
}

#[tokio::test]
async fn nobody_signs_in_with_what_is_no_token() {
    let world = World::new();
    let session = world.session();
    for (access, refresh) in [
        ("a\n", "r"),
        ("a b", "r"),
        ("", "r"),
        ("a", "r\n"),
        ("a", ""),
    ] {
        let error = session.sign_in(TokenSet::new(access, refresh)).unwrap_err();
        assert_eq!(error.kind(), InvalidTokensKind::Characters);
        assert_eq!(session.access_token().await.unwrap().secret(), "access-1");
    }
    assert_eq!(session.force_refresh().await.unwrap().secret(), "access-2");
}

#[tokio::test]
async fn what_a_refresher_brings_must_be_tokens() {
    let world = World::new();
    let session = world.session();
    for (access, refresh) in [("a\n", "r"), ("a", "r\n")] {
        world.answer_next(Answer::Tokens(TokenSet::new(access, refresh)));
        let error = session.force_refresh().await.unwrap_err();
        assert!(matches!(error, TokenError::RefreshUnavailable(_)));
        assert_eq!(session.access_token().await.unwrap().secret(), "access-1");
    }
}

#[tokio::test]
async fn a_callback_may_use_the_session() {
    let world = World::new();
    let own: std::sync::Arc<std::sync::OnceLock<refresh_client_layer::TokenManager>> =
        std::sync::Arc::default();
    let inside = own.clone();
    let session = world
        .builder()
        .on_event(move |event| {
            if let Event::Refreshed { .. } = event {
                let tokens = TokenSet::new("from-callback", "refresh");
                inside.get().unwrap().sign_in(tokens).unwrap();
            }
        })
        .build()
        .unwrap();
    own.set(session.clone()).unwrap();
    assert_eq!(ended(session.force_refresh().await), EndReason::Replaced);
    assert_eq!(
        session.access_token().await.unwrap().secret(),
        "from-callback"
    );
}

#[tokio::test]
async fn a_callback_that_panics_keeps_nobody_signed_in() {
    let world = World::new();
    let store = MemoryStore::new();
    let session = world
        .builder()
        .store(store.clone())
        .on_event(|_| panic!("as the test wants"))
        .build()
        .unwrap();
    session.access_token().await.unwrap();
    assert!(session.flush(std::time::Duration::from_secs(60)).await);
    assert!(session.sign_out().await.is_cleared());
    assert!(store.load().await.unwrap().is_none());
}

#[tokio::test]
async fn a_callback_that_panics_does_not_strand_the_waiters() {
    let world = World::new();
    let session = world
        .builder()
        .on_event(|_| panic!("as the test wants"))
        .build()
        .unwrap();
    assert_eq!(session.force_refresh().await.unwrap().secret(), "access-2");
}

#[tokio::test]
async fn a_revocation_that_panics_does_not_belie_the_store() {
    struct Shaky;
    impl Refresher for Shaky {
        async fn refresh(&self, _: RefreshRequest) -> Result<TokenSet, RefreshError> {
            Err(RefreshError::new(
                RefreshErrorKind::Transient,
                "as the test wants",
            ))
        }
        async fn revoke(&self, _: RefreshToken) -> Result<(), RefreshError> {
            panic!("as the test wants")
        }
    }
    let session = TokenManager::builder(Shaky)
        .tokens(TokenSet::new("access", "refresh"))
        .origin(crate::support::ORIGIN)
        .build()
        .unwrap();
    let sign_out = session.sign_out().await;
    assert!(sign_out.is_cleared() && !sign_out.is_revoked());
}

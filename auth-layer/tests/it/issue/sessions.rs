//! How sessions go on and end, and who is told.

use std::future::Future as _;
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;

use auth_layer::issue::{
    IssueErrorKind, NewSession, RefreshErrorKind, RefreshRequest, SessionEvent,
};
use auth_layer::store::{MemoryStore, RevokedBy};
use auth_layer::verify::VerifyErrorKind;
use auth_layer::{
    Algorithm, RefreshSecrets, Revocations, SigningKey, SigningKeys, TokenIssuer, Verifier,
};

use crate::support::issue::*;

#[tokio::test]
async fn logging_out_kills_the_access_token_at_once_in_the_same_process() {
    let server = Server::new(MemoryStore::new());
    let verifier = server.issuer.verifier();
    let start = async || server.issuer.start(NewSession::new("alice")).await.unwrap();
    let (by_token, by_sid, by_subject) = (start().await, start().await, start().await);
    assert!(verified(&verifier, &by_token).await.is_ok());
    assert!(
        server
            .issuer
            .revoke(by_token.refresh_token())
            .await
            .unwrap()
    );
    assert!(
        !server
            .issuer
            .revoke(by_token.refresh_token())
            .await
            .unwrap()
    );
    assert!(
        server
            .issuer
            .revoke_session(by_sid.session())
            .await
            .unwrap()
    );
    assert!(verified(&verifier, &by_subject).await.is_ok());
    assert_eq!(server.issuer.list("alice").await.unwrap().len(), 1);
    assert_eq!(server.issuer.revoke_all("alice").await.unwrap(), 1);
    assert_eq!(server.issuer.list("alice").await.unwrap(), []);
    for pair in [by_token, by_sid, by_subject] {
        assert_eq!(
            verified(&verifier, &pair).await.unwrap_err(),
            VerifyErrorKind::Revoked
        );
    }
    let revoked = |by| {
        server
            .events
            .count(move |it| matches!(it, SessionEvent::Revoked { by: b, .. } if *b == by))
    };
    assert_eq!(
        (revoked(RevokedBy::Token), revoked(RevokedBy::Application)),
        (1, 2)
    );
}

#[tokio::test]
async fn signing_out_everywhere_else_keeps_the_one_session() {
    let server = Server::new(MemoryStore::new());
    let start = async |who: &str| server.issuer.start(NewSession::new(who)).await.unwrap();
    let (here, there) = (start("alice").await, start("alice").await);
    let stranger = start("bob").await;
    let others = || server.issuer.revoke_others("alice", here.session());
    assert_eq!(others().await.unwrap(), 1);
    assert_eq!(others().await.unwrap(), 0);
    let verifier = server.issuer.verifier();
    let verdict = verified(&verifier, &there).await;
    assert_eq!(verdict.unwrap_err(), VerifyErrorKind::Revoked);
    for alive in [here, stranger] {
        assert!(verified(&verifier, &alive).await.is_ok());
        assert!(server.issuer.refresh(keyed(&alive, 1)).await.is_ok());
    }
}

/// R4: reuse is reported exactly once, and kills the access tokens.
#[tokio::test]
async fn a_stolen_token_ends_the_session_and_is_told_once() {
    let server = Server::new(MemoryStore::new());
    let pair = server.issuer.start(NewSession::new("alice")).await.unwrap();
    let owner = server.issuer.refresh(keyed(&pair, 1)).await.unwrap();
    assert_eq!(
        kind(&server, keyed(&pair, 2)).await,
        RefreshErrorKind::Reused
    );
    assert_eq!(
        kind(&server, keyed(&pair, 2)).await,
        RefreshErrorKind::Revoked
    );
    assert_eq!(
        kind(&server, keyed(&owner, 3)).await,
        RefreshErrorKind::Revoked
    );
    assert_eq!(server.events.reuses(), 1);
    let verdict = verified(&server.issuer.verifier(), &owner).await;
    assert_eq!(verdict.unwrap_err(), VerifyErrorKind::Revoked);
}

/// A thief who hangs up before the answer cannot keep the theft from being told.
#[tokio::test]
async fn reuse_is_told_although_the_caller_went_away() {
    let server = Server::new(MemoryStore::new());
    let pair = server.issuer.start(NewSession::new("alice")).await.unwrap();
    server.issuer.refresh(keyed(&pair, 1)).await.unwrap();
    {
        let mut dropped = pin!(server.issuer.refresh(keyed(&pair, 2)));
        assert!(
            dropped
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop()))
                .is_pending()
        );
    }
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(server.events.reuses(), 1);
    let verdict = verified(&server.issuer.verifier(), &pair).await;
    assert_eq!(verdict.unwrap_err(), VerifyErrorKind::Revoked);
}

#[tokio::test]
async fn a_repeat_gets_the_same_child_and_a_fresh_access_token() {
    let server = Server::new(MemoryStore::new());
    let pair = server.issuer.start(NewSession::new("alice")).await.unwrap();
    let first = server.issuer.refresh(keyed(&pair, 1)).await.unwrap();
    server.clock.advance(24 * 60 * MINUTE);
    let repeat = server.issuer.refresh(keyed(&pair, 1)).await.unwrap();
    assert_eq!(
        first.refresh_token().expose(),
        repeat.refresh_token().expose()
    );
    assert!(verified(&server.issuer.verifier(), &repeat).await.is_ok());
}

#[tokio::test]
async fn a_plain_repeat_is_forgiven_within_the_leeway() {
    let server = Server::of(builder(MemoryStore::new()).repeat_leeway(MINUTE));
    let pair = server.issuer.start(NewSession::new("alice")).await.unwrap();
    let first = server.issuer.refresh(plain(&pair)).await.unwrap();
    server.clock.advance(MINUTE);
    let repeat = server.issuer.refresh(plain(&pair)).await.unwrap();
    assert_eq!(
        first.refresh_token().expose(),
        repeat.refresh_token().expose()
    );
    server.clock.advance(Duration::from_millis(1));
    assert_eq!(kind(&server, plain(&pair)).await, RefreshErrorKind::Reused);
}

#[tokio::test]
async fn refreshes_move_the_idle_deadline_and_never_the_absolute_one() {
    const DAY: Duration = Duration::from_secs(24 * 3600);
    let server = Server::new(MemoryStore::new());
    let mut pair = server.issuer.start(NewSession::new("alice")).await.unwrap();
    let unused = server.issuer.start(NewSession::new("bob")).await.unwrap();
    for day in 1..90 {
        server.clock.advance(DAY);
        pair = server.issuer.refresh(plain(&pair)).await.unwrap();
        let idle = NOW.plus((day + 14).min(90) * DAY);
        assert_eq!(pair.refresh_expires_at(), idle, "day {day}");
        if day == 14 {
            let verdict = kind(&server, plain(&unused)).await;
            assert_eq!(verdict, RefreshErrorKind::Expired);
        }
    }
    server.clock.advance(DAY);
    assert_eq!(kind(&server, plain(&pair)).await, RefreshErrorKind::Expired);
}

#[tokio::test]
async fn sessions_go_on_when_the_refresh_secret_is_replaced() {
    let store = MemoryStore::new();
    let before = Server::new(store.clone());
    let pair = before.issuer.start(NewSession::new("alice")).await.unwrap();
    let first = before.issuer.refresh(keyed(&pair, 1)).await.unwrap();
    let secrets = RefreshSecrets::new(&[9; 32]).unwrap();
    let with = |secrets: RefreshSecrets| {
        let keys = SigningKeys::new(SigningKey::generate(Algorithm::ES256).unwrap());
        let builder = TokenIssuer::builder(keys, secrets, store.clone());
        Server::of(builder.issuer("i").audience("a"))
    };
    let after = with(secrets.previous(&SECRET).unwrap());
    let repeat = after.issuer.refresh(keyed(&pair, 1)).await.unwrap();
    let next = after.issuer.refresh(keyed(&first, 2)).await.unwrap();
    assert_eq!(
        kind(&after, keyed(&repeat, 9)).await,
        RefreshErrorKind::Reused,
        "the same child"
    );
    let without = with(RefreshSecrets::new(&[8; 32]).unwrap());
    assert_eq!(
        kind(&without, keyed(&next, 3)).await,
        RefreshErrorKind::UnknownSecret
    );
}

#[tokio::test]
async fn every_failed_refresh_is_told_with_its_kind() {
    let server = Server::new(MemoryStore::new());
    assert_eq!(
        kind(&server, RefreshRequest::new("x")).await,
        RefreshErrorKind::Malformed
    );
    let stranger = Server::new(MemoryStore::new());
    let unknown = stranger
        .issuer
        .start(NewSession::new("alice"))
        .await
        .unwrap();
    assert_eq!(
        kind(&server, plain(&unknown)).await,
        RefreshErrorKind::Unknown
    );
    let down = Server::new(Down);
    assert_eq!(
        kind(&down, plain(&unknown)).await,
        RefreshErrorKind::Unavailable
    );
    let told = |it: &SessionEvent| match it {
        SessionEvent::RefreshFailed { sid, kind, .. } => (sid.is_some(), *kind),
        other => panic!("{other:?}"),
    };
    let kinds: Vec<_> = server.events.all().iter().map(told).collect();
    assert_eq!(
        kinds,
        [
            (false, RefreshErrorKind::Malformed),
            (true, RefreshErrorKind::Unknown)
        ]
    );
    assert_eq!(
        told(&down.events.all()[0]),
        (true, RefreshErrorKind::Unavailable)
    );
}

#[tokio::test]
async fn expired_sessions_are_forgotten_when_asked() {
    let store = MemoryStore::new();
    let server = Server::new(store.clone());
    for _ in 0..2_500 {
        server.issuer.start(NewSession::new("bob")).await.unwrap();
    }
    assert_eq!(server.issuer.delete_expired().await.unwrap(), 0);
    server.clock.advance(91 * 24 * 60 * MINUTE);
    assert_eq!(server.issuer.delete_expired().await.unwrap(), 2_500);
    assert!(format!("{store:?}").contains("sessions: 0"));
}

#[tokio::test]
async fn revocations_can_be_those_that_a_verifier_has_already() {
    let revocations = Revocations::new(20 * MINUTE);
    let server = Server::of(builder(MemoryStore::new()).revocations(revocations.clone()));
    let pair = server.issuer.start(NewSession::new("alice")).await.unwrap();
    server.issuer.revoke_session(pair.session()).await.unwrap();
    let elsewhere = Verifier::builder()
        .keys(server.issuer.signing_keys().key_set())
        .issuer("https://auth.example")
        .audience("https://api.example")
        .clock(server.clock.clone())
        .revocations(revocations)
        .build()
        .unwrap();
    let verdict = verified(&elsewhere, &pair).await;
    assert_eq!(verdict.unwrap_err(), VerifyErrorKind::Revoked);
}

/// R14: the handler of a log-in has checked the old password, then another one changes it.
#[tokio::test]
async fn a_sign_in_that_began_before_revoke_all_does_not_survive_it() {
    let server = Server::new(MemoryStore::new());
    let begin = async || server.issuer.begin_sign_in("alice").await.unwrap();
    let start = async |session| {
        let started = server.issuer.start(session).await;
        started.map(|it| it.session()).map_err(|it| it.kind())
    };
    let before = begin().await;
    server.issuer.revoke_all("alice").await.unwrap();
    let refused = start(before.label("Firefox on Linux")).await;
    assert_eq!(refused, Err(IssueErrorKind::Revoked));
    assert_eq!(server.issuer.list("alice").await.unwrap(), []);

    let kept = start(begin().await).await.unwrap();
    let before = begin().await;
    server.issuer.revoke_others("alice", kept).await.unwrap();
    assert_eq!(start(before).await, Err(IssueErrorKind::Revoked));
    start(begin().await).await.unwrap();
    start(server.issuer.begin_sign_in("bob").await.unwrap())
        .await
        .unwrap();
}

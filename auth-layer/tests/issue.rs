//! The issuer: what its tokens say, who ends a session and who is told, and what it refuses to be.
#![cfg(all(feature = "issue", feature = "test-util"))]

mod issue_kit;

use std::future::Future as _;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Waker};
use std::time::Duration;

use auth_layer::issue::{
    ClaimsError, ClaimsSource, IssuerConfigError, NewSession, NoRandomness, Random,
    RefreshErrorKind, RefreshRequest, SessionEvent, TokenIssuerBuilder as B, TokenPair,
};
use auth_layer::store::{CustomClaims, MemoryStore, RevokedBy, Session};
use auth_layer::verify::{Verification, VerifyErrorKind};
use auth_layer::{
    Algorithm, Claims, IdempotencyKey, RefreshSecrets, Revocations, SigningKey, SigningKeys,
    TokenIssuer, Verifier, Verify as _,
};
use issue_kit::*;
use serde_json::json;

const MINUTE: Duration = Duration::from_secs(60);

fn key(byte: u8) -> IdempotencyKey {
    IdempotencyKey::new([byte; 16]).unwrap()
}

fn keyed(token: &TokenPair, byte: u8) -> RefreshRequest {
    plain(token).idempotency_key(Some(key(byte)))
}

fn plain(token: &TokenPair) -> RefreshRequest {
    RefreshRequest::new(token.refresh_token().clone())
}

async fn verified(verifier: &Verifier, pair: &TokenPair) -> Result<Claims, VerifyErrorKind> {
    let verification: Verification<_> = verifier.verify(pair.access_token());
    verification.await.map_err(|error| error.kind())
}

async fn kind(server: &Server, request: RefreshRequest) -> RefreshErrorKind {
    server.issuer.refresh(request).await.unwrap_err().kind()
}

#[tokio::test]
async fn an_access_token_says_who_for_whom_how_long_and_what_you_add() {
    let server = Server::new(MemoryStore::new());
    let session = NewSession::new("alice")
        .client_id("app")
        .scopes("read write".parse().unwrap())
        .claims(CustomClaims::new(&json!({ "role": "admin" })).unwrap())
        .auth_time(NOW.minus(MINUTE));
    let pair = server.issuer.start(session).await.unwrap();
    let claims = verified(&server.issuer.verifier(), &pair).await.unwrap();
    assert_eq!(claims.issuer(), Some("https://auth.example"));
    assert_eq!(claims.subject(), Some("alice"));
    assert_eq!(
        claims.audience().collect::<Vec<_>>(),
        ["https://api.example"]
    );
    assert_eq!(claims.issued_at(), Some(NOW));
    assert_eq!(claims.expires_at(), Some(NOW.plus(15 * MINUTE)));
    assert_eq!(claims.auth_time(), Some(NOW.minus(MINUTE)));
    assert_eq!(claims.session_id(), Some(&*pair.session().to_string()));
    assert_eq!(claims.client_id(), Some("app"));
    assert_eq!(claims.scopes().to_string(), "read write");
    let next = server
        .issuer
        .refresh(plain(&pair).client_id(Some("app".into())))
        .await
        .unwrap();
    let again = verified(&server.issuer.verifier(), &next).await.unwrap();
    assert_ne!(claims.token_id(), again.token_id());
    assert_eq!(claims.auth_time(), again.auth_time());
    let custom = server
        .issuer
        .verifier_builder()
        .claims::<serde_json::Value>()
        .build()
        .unwrap();
    let custom = custom.verify(next.access_token()).await.unwrap();
    assert_eq!(custom.custom()["role"], "admin");
}

#[tokio::test]
async fn no_access_token_outlives_the_absolute_deadline_of_its_session() {
    let server = Server::of(
        builder(MemoryStore::new())
            .idle(20 * MINUTE)
            .absolute(20 * MINUTE),
    );
    let pair = server.issuer.start(NewSession::new("alice")).await.unwrap();
    server.clock.advance(15 * MINUTE);
    let last = server.issuer.refresh(plain(&pair)).await.unwrap();
    assert_eq!(last.expires_in(), 5 * MINUTE);
    assert_eq!(last.refresh_expires_at(), NOW.plus(20 * MINUTE));
    server.clock.advance(5 * MINUTE);
    assert_eq!(kind(&server, plain(&last)).await, RefreshErrorKind::Expired);
}

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
    while server.events.reuses() == 0 {
        tokio::task::yield_now().await;
    }
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
        RefreshErrorKind::BadTag
    );
}

struct Directory(Arc<AtomicU8>);

const WELL: u8 = 0;
const DOWN: u8 = 1;
const DISABLED: u8 = 2;

impl ClaimsSource for Directory {
    async fn claims(&self, session: &Session) -> Result<CustomClaims, ClaimsError> {
        match self.0.load(Ordering::SeqCst) {
            WELL => Ok(CustomClaims::new(&json!({ "of": session.subject })).unwrap()),
            DOWN => Err(ClaimsError::unavailable("no route to the directory")),
            _ => Err(ClaimsError::refused()),
        }
    }
}

#[tokio::test]
async fn claims_are_asked_for_anew_and_a_refusal_ends_the_session() {
    let state = Arc::new(AtomicU8::new(WELL));
    let server = Server::of(builder(MemoryStore::new()).claims_source(Directory(state.clone())));
    let pair = server.issuer.start(NewSession::new("alice")).await.unwrap();
    state.store(DOWN, Ordering::SeqCst);
    assert_eq!(
        kind(&server, keyed(&pair, 1)).await,
        RefreshErrorKind::Unavailable
    );
    state.store(WELL, Ordering::SeqCst);
    let next = server.issuer.refresh(keyed(&pair, 1)).await.unwrap();
    let verifier = server
        .issuer
        .verifier_builder()
        .claims::<serde_json::Value>()
        .build()
        .unwrap();
    assert_eq!(
        verifier.verify(next.access_token()).await.unwrap().custom()["of"],
        "alice"
    );
    state.store(DISABLED, Ordering::SeqCst);
    assert_eq!(
        kind(&server, keyed(&next, 2)).await,
        RefreshErrorKind::Refused
    );
    state.store(WELL, Ordering::SeqCst);
    assert_eq!(
        kind(&server, keyed(&next, 2)).await,
        RefreshErrorKind::Revoked
    );
    let verdict = verified(&server.issuer.verifier(), &next).await;
    assert_eq!(verdict.unwrap_err(), VerifyErrorKind::Revoked);
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

#[test]
fn a_misbuilt_issuer_says_what_to_do() {
    let build = |change: fn(B) -> B| change(builder(MemoryStore::new())).build().err();
    assert_eq!(build(|it: B| it), None);
    assert_eq!(
        build(|it: B| it.issuer("")),
        Some(IssuerConfigError::NoIssuer)
    );
    assert_eq!(
        build(|it: B| it.audience("")),
        Some(IssuerConfigError::NoAudience)
    );
    assert_eq!(
        build(|it: B| it.access_ttl(Duration::ZERO)),
        Some(IssuerConfigError::AccessTtlTooShort)
    );
    assert_eq!(
        build(|it: B| it.access_ttl(61 * MINUTE)),
        Some(IssuerConfigError::AccessTtlTooLong)
    );
    assert_eq!(
        build(|it: B| it.access_ttl(61 * MINUTE).dangerously_long_access_tokens()),
        None
    );
    assert_eq!(
        build(|it: B| it.idle(MINUTE)),
        Some(IssuerConfigError::AccessOutlivesIdle)
    );
    assert_eq!(
        build(|it: B| it.absolute(60 * MINUTE)),
        Some(IssuerConfigError::IdleOutlivesAbsolute)
    );
    assert_eq!(
        build(|it: B| it.repeat_leeway(2 * MINUTE)),
        Some(IssuerConfigError::RepeatLeewayTooLong)
    );
    let shared = SigningKeys::new(SigningKey::from_secret(Algorithm::HS256, &SECRET).unwrap());
    let secrets = || {
        RefreshSecrets::new(&[1; 32])
            .unwrap()
            .previous(&SECRET)
            .unwrap()
    };
    let issuer = TokenIssuer::builder(shared, secrets(), MemoryStore::new());
    let error = issuer.issuer("i").audience("a").build().unwrap_err();
    assert_eq!(error, IssuerConfigError::SharedSecret);
    assert!(error.to_string().ends_with("give each a secret of its own"));
}

#[tokio::test]
async fn without_randomness_no_session_starts() {
    #[derive(Debug)]
    struct Broken;
    impl Random for Broken {
        fn fill(&self, _: &mut [u8]) -> Result<(), NoRandomness> {
            Err(NoRandomness)
        }
    }
    let server = Server::of(builder(MemoryStore::new()).random(Broken));
    let error = server
        .issuer
        .start(NewSession::new("alice"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), auth_layer::issue::IssueErrorKind::Randomness);
    assert!(server.events.all().is_empty());
}

#[tokio::test]
async fn revocations_can_be_those_that_a_verifier_has_already() {
    let revocations = Revocations::new(MINUTE);
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

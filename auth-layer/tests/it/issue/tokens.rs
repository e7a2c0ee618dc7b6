//! What access tokens say, and what an issuer refuses to be.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use auth_layer::issue::{
    ClaimsError, ClaimsSource, IssuerConfigError, NewSession, NoRandomness, Random,
    RefreshErrorKind, SessionEvent, TokenIssuerBuilder as B,
};
use auth_layer::store::{CustomClaims, MemoryStore, Session};
use auth_layer::verify::VerifyErrorKind;
use auth_layer::{Algorithm, RefreshSecrets, SigningKey, SigningKeys, TokenIssuer, Verify as _};
use futures_util::FutureExt as _;
use serde_json::json;

use crate::support::issue::*;

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

#[tokio::test(start_paused = true)]
async fn a_source_of_claims_that_hangs_is_unavailable_and_costs_nobody_the_session() {
    let hangs = Arc::new(AtomicU8::new(0));
    let source = {
        let hangs = hangs.clone();
        move |session: &Session| {
            let (hangs, claims) = (hangs.clone(), session.claims.clone());
            async move {
                if hangs.load(Ordering::SeqCst) == 1 {
                    std::future::pending::<()>().await;
                }
                Ok::<_, ClaimsError>(claims)
            }
        }
    };
    let server = Server::of(builder(MemoryStore::new()).claims_source(source));
    let pair = server.issuer.start(NewSession::new("alice")).await.unwrap();
    hangs.store(1, Ordering::SeqCst);
    let begin = tokio::time::Instant::now();
    let hung = kind(&server, keyed(&pair, 1)).await;
    assert_eq!(hung, RefreshErrorKind::Unavailable);
    assert_eq!(begin.elapsed().as_secs(), 10);
    hangs.store(0, Ordering::SeqCst);
    server.issuer.refresh(keyed(&pair, 1)).await.unwrap();
}

/// Whoever hangs up while the store takes the session has not left one behind that nobody knows of.
#[tokio::test]
async fn a_session_that_was_begun_is_told_even_if_nobody_waits() {
    let server = Server::new(MemoryStore::new());
    let start = server.issuer.start(NewSession::new("alice"));
    assert!(start.now_or_never().is_none());
    let is_started = |it: &SessionEvent| matches!(it, SessionEvent::Started { .. });
    while server.events.count(is_started) == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(server.issuer.list("alice").await.unwrap().len(), 1);
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

//! A source of claims that is down, refuses or is slow: laws R12 and R13.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Waker};

use auth_layer::issue::{
    ClaimsError, ClaimsSource, IssueErrorKind, NewSession, RefreshErrorKind, RefreshRequest,
};
use auth_layer::store::{CustomClaims, MemoryStore, Session};
use futures_util::FutureExt as _;

use crate::support::issue::*;

#[derive(Clone, Default)]
struct Directory {
    is_down: Arc<AtomicBool>,
    refuses: Arc<AtomicBool>,
    asked: Arc<AtomicUsize>,
}

impl ClaimsSource for Directory {
    async fn claims(&self, session: &Session) -> Result<CustomClaims, ClaimsError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if self.is_down.load(Ordering::SeqCst) {
            Err(ClaimsError::unavailable("no route to the directory"))
        } else if self.refuses.load(Ordering::SeqCst) {
            Err(ClaimsError::refused())
        } else {
            Ok(session.claims.clone())
        }
    }
}

fn server() -> (Server, Directory) {
    let directory = Directory::default();
    let builder = builder(MemoryStore::new()).claims_source(directory.clone());
    (Server::of(builder), directory)
}

/// R12: the answer asks the client to come back, so its repeat must not be taken for reuse.
#[tokio::test]
async fn while_the_source_of_claims_is_down_a_refresh_is_503_and_uses_up_no_token() {
    for idempotency_key in [None, Some(key(1))] {
        let (server, directory) = server();
        let token = signed_in(&server).await;
        directory.is_down.store(true, Ordering::SeqCst);
        for _ in 0..2 {
            let answer = server.refresh(&token, idempotency_key.as_deref()).await;
            assert_eq!(answer.error(), (503, "temporarily_unavailable"));
            assert!(answer.headers.contains_key("retry-after"));
            let session = &server.issuer.list("alice").await.unwrap()[0];
            assert_eq!(session.chain.generation, 0, "nothing is rotated");
        }
        directory.is_down.store(false, Ordering::SeqCst);
        let answer = server.refresh(&token, idempotency_key.as_deref()).await;
        answer.refresh_token();
        assert_eq!(server.events.reuses(), 0);
    }
}

#[tokio::test]
async fn an_outage_of_the_source_of_claims_hides_no_reuse() {
    let (server, directory) = server();
    let pair = server.issuer.start(NewSession::new("alice")).await.unwrap();
    server.issuer.refresh(keyed(&pair, 1)).await.unwrap();
    directory.is_down.store(true, Ordering::SeqCst);
    let asked = directory.asked.load(Ordering::SeqCst);
    assert_eq!(
        kind(&server, keyed(&pair, 2)).await,
        RefreshErrorKind::Reused
    );
    assert_eq!(server.events.reuses(), 1);
    assert_eq!(directory.asked.load(Ordering::SeqCst), asked);
}

/// A directory learns of no request that brings no token.
#[tokio::test]
async fn the_source_of_claims_is_asked_only_for_a_token_that_brings_a_pair() {
    let (server, directory) = server();
    let of_client = NewSession::new("alice").client_id("app");
    let of_client = server.issuer.start(of_client).await.unwrap();
    let first = server.issuer.start(NewSession::new("alice")).await.unwrap();
    let second = server.issuer.refresh(keyed(&first, 1)).await.unwrap();
    server.issuer.refresh(keyed(&second, 2)).await.unwrap();
    let asked = directory.asked.load(Ordering::SeqCst);
    for (request, expected) in [
        (RefreshRequest::new("x"), RefreshErrorKind::Malformed),
        (plain(&of_client), RefreshErrorKind::OtherClient),
        (keyed(&first, 1), RefreshErrorKind::Superseded),
        (
            keyed(&second, 2).scopes(Some("admin".parse().unwrap())),
            RefreshErrorKind::WiderScope,
        ),
    ] {
        assert_eq!(kind(&server, request).await, expected);
    }
    assert_eq!(directory.asked.load(Ordering::SeqCst), asked);
    server.issuer.refresh(keyed(&second, 2)).await.unwrap();
    assert_eq!(directory.asked.load(Ordering::SeqCst), asked + 1);
}

#[tokio::test]
async fn the_source_of_claims_is_asked_at_sign_in_too() {
    let (server, directory) = server();
    directory.is_down.store(true, Ordering::SeqCst);
    let start = async || {
        let begun = server.issuer.start(NewSession::new("alice")).await;
        begun.map(drop).map_err(|error| error.kind())
    };
    assert_eq!(start().await, Err(IssueErrorKind::Claims));
    directory.is_down.store(false, Ordering::SeqCst);
    directory.refuses.store(true, Ordering::SeqCst);
    assert_eq!(start().await, Err(IssueErrorKind::Refused));
    assert_eq!(server.issuer.list("alice").await.unwrap(), []);
    directory.refuses.store(false, Ordering::SeqCst);
    assert_eq!(start().await, Ok(()));
}

/// R13: a caller that goes away while the source is asked.
#[tokio::test]
async fn a_caller_that_is_gone_before_the_rotation_rotates_nothing() {
    let hangs = Arc::new(AtomicBool::new(false));
    let source = {
        let hangs = hangs.clone();
        move |session: &Session| {
            let (hangs, claims) = (hangs.load(Ordering::SeqCst), session.claims.clone());
            async move {
                if hangs {
                    std::future::pending::<()>().await;
                }
                Ok::<_, ClaimsError>(claims)
            }
        }
    };
    let server = Server::of(builder(MemoryStore::new()).claims_source(source));
    let pair = server.issuer.start(NewSession::new("alice")).await.unwrap();
    hangs.store(true, Ordering::SeqCst);
    {
        let mut gone = pin!(server.issuer.refresh(plain(&pair)));
        for _ in 0..20 {
            let mut context = Context::from_waker(Waker::noop());
            assert!(gone.as_mut().poll_unpin(&mut context).is_pending());
            tokio::task::yield_now().await;
        }
    }
    hangs.store(false, Ordering::SeqCst);
    server.issuer.refresh(plain(&pair)).await.unwrap();
    assert_eq!(server.events.reuses(), 0);
}

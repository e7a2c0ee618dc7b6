//! Two nodes that share a store, and a line between a node and its database that can be cut.

mod line;

use std::time::Duration;

use auth_layer::issue::{NewSession, RefreshRequest, TokenPair};
use auth_layer::store::{FeedStatus, SessionStore};
use auth_layer::verify::VerifyErrorKind;
use auth_layer::{
    Algorithm, IdempotencyKey, RefreshSecrets, SigningKey, SigningKeys, TokenIssuer, Verify as _,
};
pub(crate) use line::Line;
use tokio::time::Instant;

pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// Issuers with the same keys and secrets, each with its own connections.
pub(crate) struct Nodes {
    pub(crate) here: TokenIssuer,
    pub(crate) there: TokenIssuer,
}

impl Nodes {
    pub(crate) async fn new(here: impl SessionStore, there: impl SessionStore) -> Self {
        let keys = SigningKeys::new(SigningKey::generate(Algorithm::EdDSA).unwrap());
        let nodes = Self {
            here: issuer(&keys, here),
            there: issuer(&keys, there),
        };
        current(&nodes.there).await;
        nodes
    }

    pub(crate) async fn sign_in(&self) -> TokenPair {
        let pair = self.here.start(NewSession::new("alice")).await.unwrap();
        assert_eq!(refused(&self.there, &pair).await, None);
        pair
    }

    /// R9: what was just revoked here is refused there.
    pub(crate) async fn refused_within(&self, pair: &TokenPair, limit: Duration) {
        assert!(refused(&self.here, pair).await.is_some(), "at once here");
        let begin = Instant::now();
        while refused(&self.there, pair).await.is_none() {
            assert!(begin.elapsed() < limit, "after {limit:?} still accepted");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let verdict = refused(&self.there, pair).await;
        assert_eq!(verdict, Some(VerifyErrorKind::Revoked));
    }

    /// Each way in which a session ends.
    pub(crate) async fn every_revocation_arrives(&self) {
        let pair = self.sign_in().await;
        self.here.revoke(pair.refresh_token()).await.unwrap();
        self.refused_within(&pair, SECOND).await;

        let pair = self.sign_in().await;
        self.here.revoke_session(pair.session()).await.unwrap();
        self.refused_within(&pair, SECOND).await;

        let (pair, kept) = (self.sign_in().await, self.sign_in().await);
        let others = self.here.revoke_others("alice", kept.session()).await;
        assert_eq!(others.unwrap(), 1);
        self.refused_within(&pair, SECOND).await;
        assert_eq!(refused(&self.there, &kept).await, None);
        self.here.revoke_all("alice").await.unwrap();
        self.refused_within(&kept, SECOND).await;

        let stolen = self.sign_in().await;
        let owner = refresh(&self.here, &stolen, 1).await.unwrap();
        assert_eq!(refused(&self.there, &owner).await, None);
        refresh(&self.here, &stolen, 2).await.unwrap_err();
        self.refused_within(&owner, SECOND).await;
    }
}

fn issuer(keys: &SigningKeys, store: impl SessionStore) -> TokenIssuer {
    let secrets = RefreshSecrets::new(&[9; 32]).unwrap();
    TokenIssuer::builder(keys.clone(), secrets, store)
        .issuer("https://auth.example")
        .audience("https://api.example")
        .build()
        .unwrap()
}

async fn refresh(
    issuer: &TokenIssuer,
    pair: &TokenPair,
    key: u8,
) -> Result<TokenPair, auth_layer::issue::RefreshError> {
    let key = IdempotencyKey::new([key; 16]).unwrap();
    let request = RefreshRequest::new(pair.refresh_token().clone());
    issuer.refresh(request.idempotency_key(Some(key))).await
}

pub(crate) async fn refused(issuer: &TokenIssuer, pair: &TokenPair) -> Option<VerifyErrorKind> {
    let verdict = issuer.verifier().verify(pair.access_token()).await;
    verdict.err().map(|error| error.kind())
}

pub(crate) async fn current(issuer: &TokenIssuer) {
    until(issuer, FeedStatus::is_current).await;
}

pub(crate) async fn until(issuer: &TokenIssuer, is: impl Fn(FeedStatus) -> bool) {
    let waiting = tokio::time::timeout(10 * SECOND, async {
        while !is(issuer.feed_status()) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    assert!(waiting.await.is_ok(), "it is {:?}", issuer.feed_status());
}

//! Law S4 for the server: no refresh token, secret, idempotency key or access token is printed or
//! logged, whatever happens.

use std::fmt::Write as _;

use auth_layer::claims::Thumbprint;
use auth_layer::issue::{NewSession, RefreshRequest};
use auth_layer::proof::Dpop;
use auth_layer::store::{CustomClaims, MemoryStore, SessionStore};
use auth_layer::{IdempotencyKey, RefreshSecrets, RefreshToken};
use serde_json::json;

use crate::support::Log;
use crate::support::issue::*;

/// Everything that happens to a session, and every secret that took part.
async fn a_full_life(store: impl SessionStore, log: &Log) -> (String, Vec<String>) {
    let server = Server::new(store);
    let claims = CustomClaims::new(&json!({ "medical": "claim-value-1234" })).unwrap();
    let session = NewSession::new("alice").claims(claims);
    let pair = server.issuer.start(session.clone()).await.unwrap();
    let mut printed = format!("{pair:?} {session:?} {server:?}", server = server.issuer);
    let token = pair.refresh_token().expose().to_owned();
    let mut secrets = vec![
        token.clone(),
        pair.access_token().to_owned(),
        "claim-value".to_owned(),
    ];

    let keys = [key(0xa1), key(0xb2), key(0xc3)];
    let mut answers = Vec::new();
    answers.push(server.refresh(&token, Some(&keys[0])).await);
    let child = answers[0].refresh_token();
    answers.push(server.refresh(&token, Some(&keys[0])).await);
    answers.push(server.refresh(&child, Some(&keys[1])).await);
    answers.push(server.refresh(&token, Some(&keys[0])).await);
    answers.push(server.refresh(&child, Some(&keys[2])).await);
    answers.push(server.refresh("garbage-that-looks-secret", None).await);
    let client =
        format!("grant_type=refresh_token&refresh_token={child}&client_id=x&client_secret=hush");
    answers.push(server.token(client).await);
    let out = post(
        "/logout",
        JSON,
        json!({ "refresh_token": token }).to_string(),
    );
    answers.push(server.send(out).await);

    let (proofs, bound) = a_bound_life(&server).await;
    secrets.extend(proofs);
    answers.extend(bound);

    for answer in answers.iter().filter(|it| it.status == 200) {
        secrets.extend([answer.refresh_token(), answer.access_token()]);
    }
    secrets.extend(keys.iter().map(|it| it.trim_matches('"').to_owned()));
    secrets.extend(["garbage-that-looks-secret".to_owned(), "hush".to_owned()]);
    secrets.push(String::from_utf8(SECRET.to_vec()).unwrap());
    for event in server.events.all() {
        write!(printed, "{event:?}").unwrap();
    }
    for token in [&token, "garbage-that-looks-secret"] {
        let request = RefreshRequest::new(token)
            .idempotency_key(Some(IdempotencyKey::new([0xa1; 16]).unwrap()));
        write!(printed, "{request:?}").unwrap();
        let mut error: Option<&dyn std::error::Error> =
            Some(&server.issuer.refresh(request).await.unwrap_err());
        while let Some(cause) = error {
            write!(printed, "{cause:?} {cause}").unwrap();
            error = cause.source();
        }
    }
    for listed in server.issuer.list("alice").await.unwrap() {
        write!(printed, "{listed:?}").unwrap();
    }
    let secret = RefreshSecrets::new(&SECRET).unwrap();
    write!(printed, "{secret:?} {:?}", RefreshToken::from(&*token)).unwrap();
    printed.push_str(&log.take());
    (printed, secrets)
}

/// A session that is bound to a key, its proofs and its answers: good, none, another key, used twice.
async fn a_bound_life(server: &Server) -> (Vec<String>, Vec<Answer>) {
    let [owner, thief] = [(); 2].map(|()| crate::support::dpop::Client::new());
    let mut server = server.clone();
    let dpop = Dpop::new().clock(server.clock.clone());
    server.endpoints = server.endpoints.dpop(dpop);
    let session = NewSession::new("bob").bound_to(owner.jkt().parse::<Thumbprint>().unwrap());
    let token = sign_in(&server, session).await;
    let proof = |client: &crate::support::dpop::Client| {
        let proof = client.proof("").claim("htm", "POST");
        proof.claim("htu", "https://auth.example/refresh").sign()
    };
    let (good, stolen) = (proof(&owner), proof(&thief));
    let mut answers = Vec::new();
    for proof in [Some(&stolen), None, Some(&good), Some(&good)] {
        let body = json!({ "refresh_token": token }).to_string();
        let mut request = post("/refresh", JSON, body);
        if let Some(proof) = proof {
            request.headers_mut().insert("dpop", header(proof));
        }
        answers.push(server.send(request).await);
    }
    let statuses: Vec<_> = answers.iter().map(|it| it.status.as_u16()).collect();
    assert_eq!(statuses, [401, 400, 200, 400]);
    (vec![token, good, stolen], answers)
}

async fn nothing_secret_is_said(store: impl SessionStore) {
    let log = &Log::begin().await;
    let (printed, secrets) = a_full_life(store, log).await;
    assert!(
        printed.contains("refresh token reused"),
        "the log was read: {printed}"
    );
    for secret in secrets {
        let tail = secret.rsplit('.').next().unwrap();
        let part = &tail[tail.len().saturating_sub(16)..];
        assert!(
            !printed.contains(&secret) && !printed.contains(part),
            "{secret} in {printed}"
        );
    }
}

/// S4.
#[tokio::test]
async fn nothing_secret_is_printed_or_logged_with_sessions_in_memory() {
    nothing_secret_is_said(MemoryStore::new()).await;
}

/// S4.
#[tokio::test]
async fn nothing_secret_is_printed_or_logged_with_sessions_in_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sessions.db");
    nothing_secret_is_said(auth_layer::store::SqliteStore::open(path).await.unwrap()).await;
}

//! Sessions that are bound to a key (RFC 9449 s5): a stolen refresh token is worth nothing.

use std::time::Duration;

use auth_layer::claims::Thumbprint;
use auth_layer::endpoint::Limits;
use auth_layer::issue::{NewSession, RefreshErrorKind, SessionEvent};
use auth_layer::proof::{Dpop, MemoryReplays, Nonces, ProofErrorKind, ProxyHeaders};
use auth_layer::store::MemoryStore;
use auth_layer::verify::VerifyErrorKind;
use auth_layer::{TokenEndpoints, Verify as _};
use http::Request;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};

use crate::support::dpop::{Client, Proof};
use crate::support::issue::*;

const REFRESH: &str = "https://auth.example/refresh";
const TOKEN: &str = "https://auth.example/token";

struct Device {
    server: Server,
    key: Client,
    /// The refresh token of a session that is bound to `key`.
    token: String,
}

impl Device {
    async fn new() -> Self {
        Self::at(Server::new(MemoryStore::new()), |it| it).await
    }

    async fn at(mut server: Server, dpop: impl FnOnce(Dpop) -> Dpop) -> Self {
        let proofs = dpop(Dpop::new().clock(server.clock.clone()));
        let endpoints = server.endpoints.clone().dpop(proofs);
        server.endpoints = endpoints.limits(Limits::none());
        let key = Client::new();
        let token = sign_in(&server, NewSession::new("alice").bound_to(jkt(&key))).await;
        Self { server, key, token }
    }

    fn proof(&self, url: &str) -> Proof<'_> {
        proof(&self.key, url)
    }

    async fn refresh(&self, token: &str, proof: Option<String>) -> Answer {
        self.keyed(token, proof, None).await
    }

    async fn keyed(&self, token: &str, proof: Option<String>, key: Option<u8>) -> Answer {
        let mut request = post(
            "/refresh",
            JSON,
            json!({ "refresh_token": token }).to_string(),
        );
        let headers = request.headers_mut();
        if let Some(proof) = proof {
            headers.insert("dpop", header(&proof));
        }
        if let Some(byte) = key {
            headers.insert("idempotency-key", header(&crate::support::issue::key(byte)));
        }
        self.server.send(request).await
    }

    fn failures(&self) -> Vec<RefreshErrorKind> {
        let events = self.server.events.all().into_iter();
        let kinds = events.filter_map(|it| match it {
            SessionEvent::RefreshFailed { kind, .. } => Some(kind),
            _ => None,
        });
        kinds.collect()
    }
}

fn jkt(key: &Client) -> Thumbprint {
    key.jkt().parse().unwrap()
}

/// A good proof for a request for a token.
fn proof<'a>(key: &'a Client, url: &str) -> Proof<'a> {
    key.proof("")
        .claim("ath", Value::Null)
        .claim("htm", "POST")
        .claim("htu", url)
}

#[tokio::test]
async fn a_bound_session_goes_on_with_a_proof_of_its_key_and_its_tokens_say_so() {
    let it = Device::new().await;
    let first = it.refresh(&it.token, Some(it.proof(REFRESH).sign())).await;
    let mut form = post("/token", FORM, form(&first.refresh_token(), ""));
    let proof = it.proof(TOKEN).sign();
    form.headers_mut().insert("dpop", header(&proof));
    let second = it.server.send(form).await;
    assert_ne!(first.refresh_token(), second.refresh_token());
    for answer in [first, second] {
        assert_eq!(answer.body["token_type"], "DPoP");
        let bearer = it.server.issuer.verifier();
        let refused = bearer.verify(&answer.access_token()).await.unwrap_err();
        assert_eq!(refused.kind(), VerifyErrorKind::ProofRequired);
        let bound = it.server.issuer.verifier_builder();
        let bound = bound.accept_sender_constrained().build().unwrap();
        let claims = bound.verify(&answer.access_token()).await.unwrap();
        let confirmation = claims.confirmation().unwrap();
        assert_eq!(confirmation.jkt(), Some(&jkt(&it.key)));
    }
}

/// RFC 9449 s4.3, as far as it is another request than one with an access token.
#[tokio::test]
async fn a_bad_proof_or_none_is_said_to_be_one_and_costs_neither_token_nor_session() {
    let it = Device::new().await;
    let used = it.proof("https://auth.example/other").sign();
    let twice = it.proof(REFRESH).claim("jti", "twice");
    let other_realm = it.proof("http://auth.example/refresh");
    for (proof, kind) in [
        (None, RefreshErrorKind::Unproved),
        (Some("x".to_owned()), bad(ProofErrorKind::Malformed)),
        (Some(used), bad(ProofErrorKind::WrongUri)),
        (Some(other_realm.sign()), bad(ProofErrorKind::WrongUri)),
        (
            Some(it.proof(REFRESH).claim("htm", "GET").sign()),
            bad(ProofErrorKind::WrongMethod),
        ),
        (
            Some(
                it.proof(REFRESH)
                    .claim("iat", crate::support::dpop::NOW - 61)
                    .sign(),
            ),
            bad(ProofErrorKind::TooOld),
        ),
        (
            Some(it.proof(REFRESH).claim("jti", Value::Null).sign()),
            bad(ProofErrorKind::MissingClaim),
        ),
        (
            Some(it.proof(REFRESH).header("jwk", Client::new().jwk()).sign()),
            bad(ProofErrorKind::BadSignature),
        ),
    ] {
        let answer = it.refresh(&it.token, proof).await;
        assert_eq!(answer.error(), (400, "invalid_dpop_proof"), "{kind:?}");
        assert!(!answer.description().is_empty());
        assert!(!answer.headers.contains_key("dpop-nonce"));
        assert_eq!(it.failures().pop(), Some(kind));
    }
    let good = it.refresh(&it.token, Some(twice.sign())).await;
    let again = it.refresh(&good.refresh_token(), Some(twice.sign())).await;
    assert_eq!(again.error(), (400, "invalid_dpop_proof"));
    assert_eq!(it.failures().pop(), Some(bad(ProofErrorKind::Replayed)));
    let token = good.refresh_token();
    let last = it.refresh(&token, Some(it.proof(REFRESH).sign()));
    assert_eq!(last.await.status, 200);
}

fn bad(kind: ProofErrorKind) -> RefreshErrorKind {
    RefreshErrorKind::InvalidProof(kind)
}

/// R8 for bound sessions: the thief gets nothing, and the owner notices nothing.
#[tokio::test]
async fn a_thief_with_a_key_of_their_own_gets_nothing_and_does_no_harm() {
    let it = Device::new().await;
    let thief = Client::new();
    let stolen = it.refresh(&it.token, Some(proof(&thief, REFRESH).sign()));
    assert_eq!(stolen.await.error(), (401, "invalid_grant"));
    assert_eq!(it.failures(), [RefreshErrorKind::OtherKey]);
    let owner = it.refresh(&it.token, Some(it.proof(REFRESH).sign())).await;
    let late = it.refresh(&it.token, Some(proof(&thief, REFRESH).sign()));
    assert_eq!(late.await.error(), (401, "invalid_grant"), "and no fork");
    let token = owner.refresh_token();
    let next = it.refresh(&token, Some(it.proof(REFRESH).sign()));
    assert_eq!(next.await.status, 200);
}

/// R7: as without a key, with a new proof for each try.
#[tokio::test]
async fn a_lost_answer_is_repeated_with_another_proof_and_brings_the_same_child() {
    let it = Device::new().await;
    let sent = async || {
        let proof = Some(it.proof(REFRESH).sign());
        it.keyed(&it.token, proof, Some(1)).await.refresh_token()
    };
    assert_eq!(sent().await, sent().await);
}

#[tokio::test]
async fn without_the_nonce_of_the_server_a_proof_is_asked_for_again_with_it() {
    let nonces = Nonces::new(&[7; 32]).unwrap();
    let server = Server::new(MemoryStore::new());
    let it = Device::at(server, |it| it.nonces(nonces)).await;
    let asked = it.refresh(&it.token, Some(it.proof(REFRESH).sign())).await;
    assert_eq!(asked.error(), (400, "use_dpop_nonce"));
    let nonce = asked.headers["dpop-nonce"].to_str().unwrap();
    let with_nonce = |nonce: &str| Some(it.proof(REFRESH).claim("nonce", nonce).sign());
    let none = it.refresh(&it.token, None).await;
    assert_eq!(none.error(), (400, "invalid_dpop_proof"));
    assert_eq!(none.headers["dpop-nonce"], nonce);
    let good = it.refresh(&it.token, with_nonce(nonce)).await;
    assert_eq!(good.status, 200);
    assert!(!good.headers.contains_key("dpop-nonce"), "it is the newest");
    it.server.clock.advance(MINUTE);
    let stale = it.refresh(&good.refresh_token(), with_nonce(nonce)).await;
    assert_eq!(stale.status, 200);
    assert_ne!(stale.headers["dpop-nonce"], nonce, "for the next time");
}

#[tokio::test]
async fn a_proof_binds_nothing_afterwards_and_the_answer_says_so() {
    let it = Device::new().await;
    let unbound = signed_in(&it.server).await;
    let answer = it.refresh(&unbound, Some(it.proof(REFRESH).sign())).await;
    assert_eq!(answer.body["token_type"], "Bearer");
    let verdict = it
        .server
        .issuer
        .verifier()
        .verify(&answer.access_token())
        .await;
    assert!(verdict.unwrap().confirmation().is_none());
    let without = it.refresh(&answer.refresh_token(), None).await;
    assert_eq!(without.status, 200);
}

#[tokio::test]
async fn kept_tokens_of_bound_sessions_are_used_again_and_those_of_others_replaced() {
    let server = Server::of(builder(MemoryStore::new()).keep_bound_tokens());
    let it = Device::at(server, |it| it).await;
    for day in 1..=3_u32 {
        it.server.clock.advance(Duration::from_secs(10 * 24 * 3600));
        let made = crate::support::dpop::NOW + i64::from(day) * 10 * 24 * 3600;
        let proof = it.proof(REFRESH).claim("iat", made).sign();
        let answer = it.refresh(&it.token, Some(proof)).await;
        assert_eq!(
            answer.refresh_token(),
            it.token,
            "used for longer than idle"
        );
    }
    let session = &it.server.issuer.list("alice").await.unwrap()[0];
    assert_eq!(session.chain.generation, 0);
    let stolen = it.refresh(&it.token, Some(proof(&Client::new(), REFRESH).sign()));
    assert_ne!(stolen.await.status, 200);
    let unbound = signed_in(&it.server).await;
    let answer = it.refresh(&unbound, None).await;
    assert_ne!(answer.refresh_token(), unbound);
    assert_eq!(it.refresh(&unbound, None).await.error().0, 401);
    assert_eq!(it.server.events.reuses(), 1);
}

#[tokio::test]
async fn a_log_in_handler_learns_the_key_or_what_to_answer() {
    let it = Device::new().await;
    let head = |proof: Option<String>| {
        let mut request = Request::post("/login").body(()).unwrap();
        if let Some(proof) = proof {
            request.headers_mut().insert("dpop", header(&proof));
        }
        request.into_parts().0
    };
    let proved = async |proof| it.server.endpoints.proved_key(&head(proof)).await;
    let login = "https://auth.example/login";
    let key = proved(Some(it.proof(login).sign())).await.unwrap();
    assert_eq!(key, Some(jkt(&it.key)));
    assert_eq!(proved(None).await.unwrap(), None);
    let refusal = proved(Some(it.proof(REFRESH).sign())).await.unwrap_err();
    assert_eq!(refusal.status(), 400);
    let body = refusal.into_body().collect().await.unwrap().to_bytes();
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["error"], "invalid_dpop_proof");
    let unchecked = TokenEndpoints::new(it.server.issuer.clone());
    let head = head(Some(it.proof(login).sign()));
    assert_eq!(unchecked.proved_key(&head).await.unwrap(), None);
}

#[tokio::test]
async fn a_proof_is_for_the_address_from_outside() {
    let server = Server::new(MemoryStore::new());
    let mut it = Device::at(server, |it| it).await;
    it.server.endpoints = it.server.endpoints.base_url("https://example.com/auth/");
    let outside = it.proof("https://example.com/auth/refresh").sign();
    let answer = it.refresh(&it.token, Some(outside)).await;
    let token = answer.refresh_token();
    let own_name = it.refresh(&token, Some(it.proof(REFRESH).sign())).await;
    assert_eq!(own_name.error(), (400, "invalid_dpop_proof"));

    let proxied = Dpop::new()
        .clock(it.server.clock.clone())
        .trust_proxies(ProxyHeaders::XForwarded, 1);
    it.server.endpoints = it.server.endpoints.dpop(proxied);
    let mut request = post(
        "/refresh",
        JSON,
        json!({ "refresh_token": token }).to_string(),
    );
    for (name, value) in [
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "edge.example"),
        (
            "dpop",
            &proof(&it.key, "https://edge.example/refresh").sign(),
        ),
    ] {
        request.headers_mut().insert(name, header(value));
    }
    assert_eq!(it.server.send(request).await.status, 200);
}

/// E4: strangers cannot fill the memory of used proofs.
#[tokio::test]
async fn the_proof_beside_a_token_that_nobody_here_made_is_not_looked_at() {
    let replays = MemoryReplays::new();
    let shared = replays.clone();
    let server = Server::new(MemoryStore::new());
    let it = Device::at(server, |it| it.replays(shared)).await;
    let garbage = it.refresh("garbage", Some(it.proof(REFRESH).sign())).await;
    assert_eq!(garbage.error(), (401, "invalid_grant"));
    assert!(format!("{replays:?}").contains("len: 0"), "{replays:?}");
    it.refresh(&it.token, Some(it.proof(REFRESH).sign())).await;
    assert!(format!("{replays:?}").contains("len: 1"), "{replays:?}");
}

#[tokio::test]
async fn the_metadata_name_the_algorithms_of_proofs_where_they_are_checked() {
    const PATH: &str = "/.well-known/oauth-authorization-server";
    const MEMBER: &str = "dpop_signing_alg_values_supported";
    let plain = Server::new(MemoryStore::new()).get(PATH).await;
    assert!(plain.body.get(MEMBER).is_none());
    let it = Device::new().await;
    assert_eq!(it.server.get(PATH).await.body[MEMBER][0], "ES256");
}

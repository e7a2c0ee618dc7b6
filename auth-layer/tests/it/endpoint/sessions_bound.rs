//! A user's sessions, asked for with the access token of a session that is bound to a key
//! (RFC 9449 s7): a stolen access token is worth nothing there either.

use auth_layer::issue::{NewSession, TokenPair};
use auth_layer::proof::{Dpop, Freshness, Nonces, ProofUse, ReplayCheck, ReplayStore};
use auth_layer::store::MemoryStore;
use auth_layer::{SessionId, TokenEndpoints};
use http::{HeaderValue, Request};
use serde_json::{Value, json};

use crate::support::dpop::{Client, Proof};
use crate::support::issue::*;

const SESSIONS: &str = "https://auth.example/sessions";
const ALGS: &str = "algs=\"ES256 ES384 ES512 EdDSA PS256 PS384 PS512\"";

struct Device {
    server: Server,
    key: Client,
    pair: TokenPair,
}

impl Device {
    async fn new() -> Self {
        Self::with(|it| it).await
    }

    async fn with(dpop: impl FnOnce(Dpop) -> Dpop) -> Self {
        let mut server = Server::new(MemoryStore::new());
        let proofs = dpop(Dpop::new().clock(server.clock.clone()));
        server.endpoints = server.endpoints.dpop(proofs);
        let key = Client::new();
        let pair = start(&server, &key).await;
        Self { server, key, pair }
    }

    fn token(&self) -> &str {
        self.pair.access_token()
    }

    /// A good proof for a list of the sessions.
    fn proof(&self) -> Proof<'_> {
        self.key.proof(self.token()).claim("htu", SESSIONS)
    }

    async fn list(&self, scheme: &str, token: &str, proof: Option<&Proof<'_>>) -> Answer {
        ask(&self.server, ("GET", "/sessions"), scheme, token, proof).await
    }

    async fn proved(&self, proof: &Proof<'_>) -> Answer {
        self.list("DPoP", self.token(), Some(proof)).await
    }

    /// An access token of the issuer for this session, bound in another way.
    fn bound_otherwise(&self, cnf: &Value) -> String {
        let claims = json!({
            "iss": "https://auth.example", "aud": "https://api.example", "sub": "alice",
            "exp": NOW.as_secs() + 60, "sid": self.pair.session().to_string(), "cnf": cnf,
        });
        self.server.issuer.signing_keys().sign(&claims).unwrap()
    }
}

async fn start(server: &Server, key: &Client) -> TokenPair {
    let jkt: auth_layer::claims::Thumbprint = key.jkt().parse().unwrap();
    let session = NewSession::new("alice").bound_to(jkt);
    server.issuer.start(session).await.unwrap()
}

async fn ask(
    server: &Server,
    (method, path): (&str, &str),
    scheme: &str,
    token: &str,
    proof: Option<&Proof<'_>>,
) -> Answer {
    let request = Request::builder().method(method).uri(path);
    let mut request = request.header("authorization", format!("{scheme} {token}"));
    if let Some(proof) = proof {
        request = request.header("dpop", proof.sign());
    }
    server.send(request.body(String::new()).unwrap()).await
}

fn challenges(answer: &Answer) -> Vec<&str> {
    let values = answer.headers.get_all("www-authenticate").iter();
    values.map(|it| it.to_str().unwrap()).collect()
}

/// The challenges to who sent a token with the `DPoP` scheme.
fn dpop_challenges(error: &str, description: &str) -> [String; 2] {
    [
        format!(
            "DPoP realm=\"sessions\", error=\"{error}\", error_description=\"{description}\", {ALGS}"
        ),
        "Bearer realm=\"sessions\"".into(),
    ]
}

#[tokio::test]
async fn who_holds_the_key_sees_and_ends_sessions() {
    let it = Device::new().await;
    let listed = it.proved(&it.proof()).await;
    assert_eq!(listed.status, 200);
    assert_eq!(listed.body[0]["sid"], it.pair.session().to_string());
    assert_eq!(listed.body[0]["current"], true);
    assert!(!listed.headers.contains_key("dpop-nonce"));

    let delete = async |path: String| {
        let url = format!("https://auth.example{path}");
        let proof = it.proof().claim("htm", "DELETE").claim("htu", url);
        let (what, token) = (("DELETE", &*path), it.token());
        ask(&it.server, what, "dpop", token, Some(&proof)).await
    };
    let phone = start(&it.server, &Client::new()).await.session();
    let ended = delete(format!("/sessions/{phone}")).await;
    assert_eq!(ended.status, 204);
    let unknown = SessionId::from_bytes([7; 16]);
    let unknown = delete(format!("/sessions/{unknown}")).await;
    assert_eq!(unknown.error(), (404, "invalid_request"));
    start(&it.server, &Client::new()).await;
    assert_eq!(delete("/sessions".into()).await.status, 204);
    let left = it.server.issuer.list("alice").await.unwrap();
    let left: Vec<_> = left.iter().map(|it| it.id).collect();
    assert_eq!(left, [it.pair.session()]);
}

#[tokio::test]
async fn a_bound_token_is_no_bearer_token_even_beside_a_good_proof() {
    let it = Device::new().await;
    for proof in [None, Some(&it.proof())] {
        let answer = it.list("Bearer", it.token(), proof).await;
        assert_eq!(answer.error(), (401, "invalid_token"));
        let wrong = "The access token is bound to a key and was sent without a proof";
        assert_eq!(answer.description(), wrong);
        let [bearer, dpop] = challenges(&answer)[..] else {
            panic!("{:?}", answer.headers)
        };
        assert_eq!(
            bearer,
            format!(
                "Bearer realm=\"sessions\", error=\"invalid_token\", error_description=\"{wrong}\""
            )
        );
        assert_eq!(dpop, format!("DPoP realm=\"sessions\", {ALGS}"));
    }
}

#[tokio::test]
async fn an_unbound_token_is_a_bearer_token_and_a_proof_does_not_bind_it() {
    let it = Device::new().await;
    let unbound = it.server.issuer.start(NewSession::new("alice"));
    let unbound = unbound.await.unwrap();
    let token = unbound.access_token();
    let proof = it.key.proof(token).claim("htu", SESSIONS);
    let dressed_up = it.list("DPoP", token, Some(&proof)).await;
    assert_eq!(dressed_up.error(), (401, "invalid_token"));
    let wrong = "The access token is not bound to a DPoP key";
    let expected = dpop_challenges("invalid_token", wrong);
    assert_eq!(challenges(&dressed_up), expected);
    assert_eq!(it.list("Bearer", token, None).await.status, 200);
}

#[tokio::test]
async fn where_proofs_are_required_no_bearer_token_is_taken() {
    let it = Device::with(Dpop::required).await;
    let unbound = it.server.issuer.start(NewSession::new("alice"));
    let unbound = unbound.await.unwrap();
    let answer = it.list("Bearer", unbound.access_token(), None).await;
    assert_eq!(answer.error(), (401, "invalid_token"));
    let [challenge] = challenges(&answer)[..] else {
        panic!("{:?}", answer.headers)
    };
    assert!(challenge.starts_with("DPoP realm=\"sessions\", error=\"invalid_token\""));
    assert_eq!(it.proved(&it.proof()).await.status, 200);
}

/// RFC 9449 s4.3 and s7.1.
#[tokio::test]
async fn a_proof_that_is_missing_or_for_something_else_is_said_to_be_no_good() {
    let it = Device::new().await;
    let other_token = start(&it.server, &it.key).await;
    let other_token = crate::support::dpop::sha256(other_token.access_token().as_bytes());
    let forged = it.proof().claim("htm", "DELETE");
    for (proof, wrong) in [
        (None, "No DPoP proof was sent"),
        (Some(forged), "The DPoP proof is for another method"),
        (
            Some(it.proof().claim("htu", "https://auth.example/refresh")),
            "The DPoP proof is for another address",
        ),
        (
            Some(it.proof().claim("ath", other_token)),
            "The DPoP proof is for another access token",
        ),
        (
            Some(it.proof().claim("ath", Value::Null)),
            "The DPoP proof lacks a claim",
        ),
        (
            Some(it.proof().claim("iat", crate::support::dpop::NOW - 61)),
            "The DPoP proof is too old",
        ),
    ] {
        let answer = it.list("DPoP", it.token(), proof.as_ref()).await;
        assert_eq!(answer.error(), (401, "invalid_dpop_proof"), "{wrong}");
        assert_eq!(answer.description(), wrong);
        let expected = dpop_challenges("invalid_dpop_proof", wrong);
        assert_eq!(challenges(&answer), expected);
    }
    let proof = HeaderValue::from_str(&it.proof().sign()).unwrap();
    let twice = Request::get("/sessions")
        .header("authorization", format!("DPoP {}", it.token()))
        .header("dpop", &proof)
        .header("dpop", &proof);
    let twice = it.server.send(twice.body(String::new()).unwrap()).await;
    assert_eq!(twice.error(), (400, "invalid_request"));
}

#[tokio::test]
async fn a_thief_of_the_access_token_cannot_prove_it_with_a_key_of_their_own() {
    let it = Device::new().await;
    let thief = Client::new();
    let proof = thief.proof(it.token()).claim("htu", SESSIONS);
    let answer = it.proved(&proof).await;
    assert_eq!(answer.error(), (401, "invalid_token"));
    let wrong = "The access token is bound to another DPoP key";
    assert_eq!(challenges(&answer), dpop_challenges("invalid_token", wrong));
}

#[tokio::test]
async fn a_proof_lists_sessions_once() {
    let it = Device::new().await;
    let proof = it.proof();
    assert_eq!(it.proved(&proof).await.status, 200);
    let again = it.proved(&proof).await;
    assert_eq!(again.error(), (401, "invalid_dpop_proof"));
    assert_eq!(again.description(), "The DPoP proof was used before");
}

#[tokio::test]
async fn a_list_without_the_nonce_of_the_server_is_asked_for_again_with_it() {
    let nonces = Nonces::new(&[7; 32]).unwrap();
    let it = Device::with(|it| it.nonces(nonces)).await;
    let asked = it.proved(&it.proof()).await;
    assert_eq!(asked.error(), (401, "use_dpop_nonce"));
    let wrong = "The DPoP proof needs the nonce of this server";
    assert_eq!(challenges(&asked), dpop_challenges("use_dpop_nonce", wrong));
    let nonce = asked.headers["dpop-nonce"].to_str().unwrap();
    let good = it.proved(&it.proof().claim("nonce", nonce)).await;
    assert_eq!(good.status, 200);
    assert!(!good.headers.contains_key("dpop-nonce"), "it is the newest");
    it.server.clock.advance(MINUTE);
    let stale = it.proved(&it.proof().claim("nonce", nonce)).await;
    assert_eq!(stale.status, 200);
    let next = &stale.headers["dpop-nonce"];
    assert_ne!(next, nonce, "for the next time");
    // A refusal that has nothing to do with the proof tells it too.
    let path = "/sessions/AAAAAAAAAAAAAAAAAAAAAA";
    let proof = it.proof().claim("htm", "DELETE").claim("nonce", nonce);
    let proof = proof.claim("htu", format!("https://auth.example{path}"));
    let what = ("DELETE", path);
    let unknown = ask(&it.server, what, "DPoP", it.token(), Some(&proof)).await;
    assert_eq!(unknown.error(), (404, "invalid_request"));
    assert_eq!(&unknown.headers["dpop-nonce"], next);
}

#[tokio::test]
async fn a_list_is_asked_for_at_the_address_from_outside() {
    let mut it = Device::new().await;
    it.server.endpoints = it.server.endpoints.base_url("https://example.com/auth/");
    let outside = it.proof().claim("htu", "https://example.com/auth/sessions");
    assert_eq!(it.proved(&outside).await.status, 200);
    let own_name = it.proved(&it.proof()).await;
    assert_eq!(own_name.error(), (401, "invalid_dpop_proof"));
}

/// Certificates are not looked at here, and who knows what else.
#[tokio::test]
async fn a_token_that_is_bound_to_more_than_a_key_opens_nothing() {
    let it = Device::new().await;
    let (jkt, certificate) = (it.key.jkt(), crate::support::dpop::sha256(b"der"));
    for cnf in [
        json!({ "x5t#S256": certificate }),
        json!({ "jkt": jkt, "x5t#S256": certificate }),
        json!({ "jkt": jkt, "kid": "1" }),
        json!({}),
    ] {
        let token = it.bound_otherwise(&cnf);
        let proof = it.key.proof(&token).claim("htu", SESSIONS);
        for scheme in ["DPoP", "Bearer"] {
            let answer = it.list(scheme, &token, Some(&proof)).await;
            assert_eq!(answer.error(), (401, "invalid_token"), "{scheme} {cnf}");
            let wrong = "The access token is bound to a key that cannot be checked";
            assert_eq!(answer.description(), wrong);
        }
    }
    let token = it.bound_otherwise(&json!({ "jkt": jkt }));
    let proof = it.key.proof(&token).claim("htu", SESSIONS);
    assert_eq!(it.list("DPoP", &token, Some(&proof)).await.status, 200);
}

#[tokio::test]
async fn where_proofs_are_not_looked_at_a_bound_token_opens_nothing() {
    let mut it = Device::new().await;
    it.server.endpoints = TokenEndpoints::new(it.server.issuer.clone());
    let bearer = it.list("Bearer", it.token(), Some(&it.proof())).await;
    assert_eq!(bearer.error(), (401, "invalid_token"));
    assert_eq!(
        challenges(&bearer),
        ["Bearer realm=\"sessions\", error=\"invalid_token\", \
          error_description=\"The access token is bound to a key that cannot be checked\""]
    );
    let proved = it.proved(&it.proof()).await;
    assert_eq!(proved.error(), (401, "unauthorized"));
    assert_eq!(challenges(&proved), ["Bearer realm=\"sessions\""]);
}

#[tokio::test]
async fn who_sends_no_token_is_asked_for_either_kind() {
    let it = Device::new().await;
    let answer = it.server.get("/sessions").await;
    assert_eq!(answer.error(), (401, "unauthorized"));
    let dpop = format!("DPoP realm=\"sessions\", {ALGS}");
    assert_eq!(challenges(&answer), ["Bearer realm=\"sessions\"", &dpop]);
}

#[tokio::test]
async fn sessions_stay_shut_while_nobody_knows_which_proofs_were_used() {
    #[derive(Clone, Copy, Debug)]
    struct Always(Freshness);
    impl ReplayStore for Always {
        fn remember(&self, _: ProofUse) -> ReplayCheck {
            ReplayCheck::ready(self.0)
        }
    }
    for (freshness, status) in [(Freshness::Unknown, 503), (Freshness::OverQuota, 429)] {
        let it = Device::with(|it| it.replays(Always(freshness))).await;
        let answer = it.proved(&it.proof()).await;
        assert_eq!(answer.error(), (status, "temporarily_unavailable"));
        assert_eq!(answer.headers["retry-after"], "1");
        assert!(challenges(&answer).is_empty());
    }
}

//! Sender-constrained tokens as clients see them: challenges, downgrades, nonces.

use std::convert::Infallible;
use std::time::Duration;

use auth_layer::protect::proof::Nonces;
use auth_layer::verify::VerifyErrorKind;
use auth_layer::{AuthLayer, Claims, RequireScopes, Verifier, Verify as _};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use serde_json::{Value, json};
use tower::{ServiceBuilder, ServiceExt as _, service_fn};

use crate::support::dpop::{NOW, Refusal, Setting, URL, bearer, call, label, proved, text};

const ALGS: &str = "ES256 ES384 ES512 EdDSA PS256 PS384 PS512";

/// The challenges of a response, taken apart by a reader that knows nothing of the writer
/// (RFC 9110 s11.6.1).
fn challenges(response: &Refusal) -> Vec<(String, Vec<(String, String)>)> {
    let values = response.headers().get_all("www-authenticate").iter();
    let read = |value: &str| {
        let (scheme, mut rest) = value.split_once(' ').unwrap();
        let mut parameters = Vec::new();
        while !rest.is_empty() {
            let (name, after) = rest.split_once("=\"").unwrap();
            let (value, after) = after.split_once('"').unwrap();
            parameters.push((name.to_owned(), value.to_owned()));
            rest = after.trim_start_matches([',', ' ']);
        }
        (scheme.to_owned(), parameters)
    };
    values.map(|it| read(it.to_str().unwrap())).collect()
}

fn challenge(scheme: &str, parameters: &[(&str, &str)]) -> (String, Vec<(String, String)>) {
    let owned = |(name, value): &(&str, &str)| (name.to_string(), value.to_string());
    (scheme.to_owned(), parameters.iter().map(owned).collect())
}

/// P1, RFC 9449 s7.1 and s7.2: the scheme that the client chose says what was wrong, the other one
/// only that it is there.
#[tokio::test]
async fn each_refusal_has_its_exact_status_challenges_and_body() {
    let setting = Setting::new();
    let layer = setting.dpop_layer();
    let token = setting.bound_token();
    let proof = |claim: &str, value: Value| {
        let proof = setting.client.proof(&token).claim(claim, value);
        proved(&token, &proof.sign())
    };
    let good = setting.client.proof(&token).sign();
    for (request, status, asked, error, description) in [
        (
            Request::get(URL),
            401,
            "Bearer",
            "",
            "No access token was sent",
        ),
        (
            bearer("bad"),
            401,
            "Bearer",
            "invalid_token",
            "The access token is malformed",
        ),
        (
            bearer(&token),
            401,
            "Bearer",
            "invalid_token",
            "The access token is bound to a key and was sent without a proof",
        ),
        (
            proved("bad", &good),
            401,
            "DPoP",
            "invalid_token",
            "The access token is malformed",
        ),
        (
            proved(&setting.unbound_token(), &good),
            401,
            "DPoP",
            "invalid_token",
            "The access token is not bound to a DPoP key",
        ),
        (
            proof("htm", json!("POST")),
            401,
            "DPoP",
            "invalid_dpop_proof",
            "The DPoP proof is for another method",
        ),
        (
            proved(&token, &good).header("dpop", &good),
            400,
            "DPoP",
            "invalid_request",
            "More than one DPoP proof was sent",
        ),
        (
            proved(&token, &good).header("authorization", "Bearer x"),
            400,
            "Bearer",
            "invalid_request",
            "More than one credential was sent, or a malformed one",
        ),
    ] {
        let response = call(&layer, request).await;
        assert_eq!(response.status().as_u16(), status, "{description}");
        let mut bearer = vec![("realm", "api")];
        let mut dpop = vec![("realm", "api")];
        if !error.is_empty() {
            let answered = if asked == "DPoP" {
                &mut dpop
            } else {
                &mut bearer
            };
            answered.extend([("error", error), ("error_description", description)]);
        }
        dpop.push(("algs", ALGS));
        let mut expected = vec![challenge("Bearer", &bearer), challenge("DPoP", &dpop)];
        if asked == "DPoP" {
            expected.reverse();
        }
        assert_eq!(challenges(&response), expected);
        assert_eq!(response.headers()["cache-control"], "no-store");
        let error = if error.is_empty() {
            "unauthorized"
        } else {
            error
        };
        let body: Value = serde_json::from_str(&text(response).await).unwrap();
        assert_eq!(
            body,
            json!({ "error": error, "error_description": description })
        );
    }
}

/// P1.
#[tokio::test]
async fn a_grpc_call_gets_the_reason_as_its_status() {
    let setting = Setting::new();
    let layer = setting.dpop_layer();
    let token = setting.bound_token();
    let wrong = setting.client.proof(&token).claim("htm", "POST").sign();
    for (request, status, message) in [
        (
            proved(&token, &wrong),
            "16",
            "The DPoP proof is for another method",
        ),
        (
            bearer(&token),
            "16",
            "The access token is bound to a key and was sent without a proof",
        ),
        (
            proved(&token, &wrong).header("dpop", &wrong),
            "3",
            "More than one DPoP proof was sent",
        ),
    ] {
        let response = call(&layer, request.header("content-type", "application/grpc")).await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["grpc-status"], status);
        assert_eq!(response.headers()["grpc-message"], message);
    }
}

#[tokio::test]
async fn a_bound_token_with_its_proof_and_an_unbound_bearer_token_go_through() {
    let setting = Setting::new();
    let layer = setting.dpop_layer();
    let proved = text(call(&layer, setting.request()).await).await;
    assert_eq!(proved, "alice Some(Sensitive)");
    let bearer = text(call(&layer, bearer(&setting.unbound_token())).await).await;
    assert_eq!(bearer, "alice None");
    let stripped = call(&layer.strip_token(), setting.request()).await;
    assert_eq!(text(stripped).await, "alice None");
}

/// No set-up lets a bound token through without its proof, whatever it is bound to.
#[tokio::test]
async fn a_bound_token_is_never_a_bearer_token() {
    let setting = Setting::new();
    let of_nobody = |_: &http::request::Parts| None;
    let layers = [
        setting.layer(),
        setting.layer().optional(),
        setting.layer().require_sender_constrained(),
        setting.dpop_layer(),
        setting.dpop_layer().optional(),
        setting.layer().mtls(of_nobody),
        setting.dpop_layer().mtls(of_nobody),
    ];
    let jkt = setting.client.jkt();
    for cnf in [
        json!({ "jkt": jkt }),
        json!({ "x5t#S256": jkt }),
        json!({ "jkt": jkt, "x5t#S256": jkt }),
        json!({ "kid": "1" }),
        json!({}),
        json!({ "jkt": "short" }),
        json!([]),
    ] {
        let token = setting.token(cnf.clone());
        for layer in &layers {
            let at_header = bearer(&token).header("dpop", setting.client.proof(&token).sign());
            assert_ne!(
                label(layer, bearer(&token)).await,
                "passed",
                "{cnf} {layer:?}"
            );
            assert_ne!(label(layer, at_header).await, "passed", "{cnf} {layer:?}");
        }
    }
}

#[tokio::test]
async fn a_proof_does_not_help_a_token_that_is_bound_otherwise_too() {
    let setting = Setting::new();
    let jkt = setting.client.jkt();
    for cnf in [
        json!({ "jkt": jkt, "kid": "1" }),
        json!({ "jkt": jkt, "jwk": setting.client.jwk() }),
        json!({ "jkt": jkt, "x5t#S256": jkt }),
        json!({ "x5t#S256": jkt }),
        json!({ "jwk": setting.client.jwk() }),
    ] {
        let token = setting.token(cnf.clone());
        let request = proved(&token, &setting.client.proof(&token).sign());
        let response = call(&setting.dpop_layer(), request).await;
        let description = "The access token is bound to a key that cannot be checked";
        assert!(text(response).await.contains(description), "{cnf}");
    }
}

#[tokio::test]
async fn where_proofs_are_not_checked_their_scheme_is_no_credential() {
    let setting = Setting::new();
    assert_eq!(
        label(&setting.layer(), setting.request()).await,
        "no_credential"
    );
    let optional = setting.layer().optional();
    let seen = text(call(&optional, setting.request()).await).await;
    assert!(seen.starts_with("nobody"), "{seen}");
}

#[tokio::test]
async fn a_verifier_refuses_bound_tokens_unless_it_is_told_who_checks_them() {
    let setting = Setting::new();
    let builder = || {
        Verifier::builder()
            .key(setting.issuer.verifying())
            .issuer("https://auth.example")
            .audience("https://api.example")
            .clock(setting.clock.clone())
    };
    let verdict = async |verifier: &Verifier, cnf| {
        let claims = verifier.verify(&setting.token(cnf)).await;
        claims.map_err(|it| it.kind())
    };
    let bound = json!({ "jkt": setting.client.jkt() });
    let by_default = builder().build().unwrap();
    let refused = verdict(&by_default, bound.clone()).await.unwrap_err();
    assert_eq!(refused, VerifyErrorKind::ProofRequired);
    let told = builder().accept_sender_constrained().build().unwrap();
    let claims: Claims = verdict(&told, bound).await.unwrap();
    let jkt = claims.confirmation().unwrap().jkt().unwrap().to_string();
    assert_eq!(jkt, setting.client.jkt());
    let unknown = verdict(&told, json!({ "jku": "x" })).await.unwrap_err();
    assert_eq!(unknown, VerifyErrorKind::ProofRequired);

    // A layer in front of the strict verifier is none the wiser.
    let layer = AuthLayer::new(by_default).dpop(setting.dpop());
    assert_eq!(label(&layer, setting.request()).await, "invalid_token");
}

#[tokio::test]
async fn a_layer_that_requires_proofs_asks_for_nothing_else() {
    let setting = Setting::new();
    let layer = setting.layer().dpop(setting.dpop().required());
    assert_eq!(label(&layer, setting.request()).await, "passed");
    for (request, error) in [
        (bearer(&setting.unbound_token()), Some("invalid_token")),
        (bearer(&setting.bound_token()), Some("invalid_token")),
        (Request::get(URL), None),
    ] {
        let response = call(&layer, request).await;
        assert_eq!(response.status(), 401);
        let challenges = challenges(&response);
        assert_eq!(challenges.len(), 1, "{challenges:?}");
        let (scheme, parameters) = &challenges[0];
        assert_eq!(scheme, "DPoP");
        let said = parameters.iter().find(|it| it.0 == "error");
        assert_eq!(said.map(|it| it.1.as_str()), error);
    }
    let bound_only = setting.dpop_layer().require_sender_constrained();
    let unbound = bearer(&setting.unbound_token());
    assert_eq!(label(&bound_only, unbound).await, "token_not_bound");
    assert_eq!(label(&bound_only, setting.request()).await, "passed");
}

#[tokio::test]
async fn a_bound_token_in_a_cookie_or_another_header_is_refused() {
    use auth_layer::protect::TokenSource;
    let setting = Setting::new();
    let sources = [
        TokenSource::Cookie("t".into()),
        TokenSource::Header(http::HeaderName::from_static("x-token")),
    ];
    let layer = setting.dpop_layer().token_from(sources);
    let token = setting.bound_token();
    let proof = setting.client.proof(&token).sign();
    for (name, value) in [("cookie", format!("t={token}")), ("x-token", token.clone())] {
        let request = Request::get(URL).header(name, value).header("dpop", &proof);
        assert_eq!(label(&layer, request).await, "bound_token_sent_as_bearer");
    }
}

/// P3.
#[tokio::test]
async fn an_optional_layer_passes_the_absent_and_refuses_a_bad_proof() {
    let setting = Setting::new();
    let layer = setting.dpop_layer().optional();
    assert_eq!(label(&layer, Request::get(URL)).await, "passed");
    assert_eq!(label(&layer, setting.request()).await, "passed");
    let token = setting.bound_token();
    let bad = setting.client.proof(&token).claim("ath", "x").sign();
    assert_eq!(
        label(&layer, proved(&token, &bad)).await,
        "proof_wrong_token"
    );
}

/// P1: layers further in answer in the scheme of the request.
#[tokio::test]
async fn a_missing_scope_is_told_in_the_scheme_that_was_used() {
    let setting = Setting::new();
    let inner = service_fn(async |_: Request<()>| {
        Ok::<_, Infallible>(Response::new(Full::new(Bytes::new())))
    });
    for layer in [setting.dpop_layer(), setting.dpop_layer().strip_token()] {
        let service = ServiceBuilder::new()
            .layer(layer)
            .layer(RequireScopes::all(["admin"]))
            .service(inner);
        for (request, scheme) in [
            (setting.request(), "DPoP"),
            (bearer(&setting.unbound_token()), "Bearer"),
        ] {
            let refused = service.clone().oneshot(request.body(()).unwrap());
            let refused = refused.await.unwrap();
            assert_eq!(refused.status(), 403);
            let asked = refused.headers()["www-authenticate"].to_str().unwrap();
            assert!(asked.starts_with(scheme), "{asked}");
            assert!(asked.contains(r#"error="insufficient_scope""#), "{asked}");
        }
    }
}

/// RFC 9449 s9: the nonce comes with the refusal, is good for a while, and is replaced before it
/// ends; `iat` is not asked meanwhile.
#[tokio::test]
async fn a_client_gets_its_nonces_from_the_answers() {
    let setting = Setting::new();
    let dpop = setting.dpop().nonces(Nonces::new(&[7; 32]).unwrap());
    let layer = setting.layer().dpop(dpop);
    let token = setting.bound_token();
    let with = |nonce: &str| {
        let proof = setting.client.proof(&token).claim("nonce", nonce);
        proved(&token, &proof.claim("iat", NOW - 86_400).sign())
    };
    let nonce_of = |response: &Refusal| {
        let nonce = response.headers().get("dpop-nonce")?;
        Some(nonce.to_str().unwrap().to_owned())
    };

    let refused = call(&layer, setting.request()).await;
    assert_eq!(refused.status(), 401);
    let (scheme, parameters) = challenges(&refused).remove(0);
    assert_eq!(scheme, "DPoP");
    assert!(parameters.contains(&("error".into(), "use_dpop_nonce".into())));
    let first = nonce_of(&refused).unwrap();
    for _ in 0..2 {
        let passed = call(&layer, with(&first)).await;
        assert_eq!((passed.status().as_u16(), nonce_of(&passed)), (200, None));
    }

    setting.clock.advance(Duration::from_secs(60));
    let passed = call(&layer, with(&first)).await;
    assert_eq!(passed.status(), 200);
    let second = nonce_of(&passed).unwrap();
    assert_ne!(first, second);
    setting.clock.advance(Duration::from_secs(60));
    assert_eq!(label(&layer, with(&first)).await, "proof_nonce_required");
    assert_eq!(label(&layer, with(&second)).await, "passed");
    assert_eq!(label(&layer, with("forged")).await, "proof_nonce_required");

    let call_over_grpc = setting.request().header("content-type", "application/grpc");
    assert!(nonce_of(&call(&layer, call_over_grpc).await).is_some());
}

use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use serde_json::Value;

use super::verify;
use crate::clock::{ManualClock, Timestamp};
use crate::keys::{Algorithm, KeySet, SignatureCheck, VerifyingKey};
use crate::verify::token::CompactToken;
use crate::verify::{Verifier, VerifierBuilder};

fn vectors(name: &str) -> Value {
    let folder = std::env::var_os("TEST_VECTORS")
        .expect("TEST_VECTORS must name the folder of wycheproof.json and suites.json");
    let path = Path::new(&folder).join(format!("{name}.json"));
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{} cannot be read: {error}", path.display()));
    serde_json::from_str(&text).unwrap()
}

/// Each JWK for the algorithms that the vector allows; what cannot be a key is left out, as it is
/// from a fetched set.
fn key_set(keys: &Value) -> KeySet {
    let algorithms = keys["algs"].as_array().into_iter().flatten();
    let algorithms: Vec<Algorithm> = algorithms
        .filter_map(|it| it.as_str().unwrap().parse().ok())
        .collect();
    let jwks = keys["jwks"]["keys"].as_array().into_iter().flatten();
    KeySet::new(jwks.flat_map(|jwk| {
        let json = jwk.to_string();
        let of = |it: &Algorithm| VerifyingKey::from_jwk_as(*it, &json).ok();
        algorithms.iter().filter_map(of).collect::<Vec<_>>()
    }))
}

fn token(case: &Value) -> Option<String> {
    match (&case["token"], &case["token_b64"]) {
        (Value::String(token), _) => Some(token.clone()),
        (_, Value::String(bytes)) => {
            let bytes = BASE64_STANDARD
                .decode(bytes)
                .or_else(|_| BASE64_URL_SAFE_NO_PAD.decode(bytes));
            String::from_utf8(bytes.unwrap()).ok()
        }
        _ => panic!("a case without a token: {case}"),
    }
}

fn accepts_signature(keys: &KeySet, token: &str) -> bool {
    let Ok(token) = CompactToken::parse(token) else {
        return false;
    };
    let Ok(algorithm) = token.header.check(false) else {
        return false;
    };
    let kid = token.header.kid.as_deref();
    let check = keys.verify(kid, algorithm, token.message.as_bytes(), &token.signature);
    check == SignatureCheck::Good && token.payload().is_ok()
}

fn accepts_claims(keys: &KeySet, token: &str, case: &Value, defaults: &Value) -> bool {
    let option = |name: &str| match case["options"].get(name) {
        Some(value) => value,
        None => &defaults[name],
    };
    let now = case["now"].as_i64().unwrap_or(1_800_000_000);
    let mut builder: VerifierBuilder = Verifier::builder()
        .keys(keys.clone())
        .clock(ManualClock::at(Timestamp::from_secs(now)))
        .leeway(Duration::from_secs(option("leeway").as_u64().unwrap_or(0)));
    builder = match option("iss").as_str() {
        Some(issuer) => builder.issuer(issuer),
        None => builder.dangerously_accept_any_issuer(),
    };
    builder = match option("aud").as_str() {
        Some(audience) => builder.audience(audience),
        None => builder.dangerously_accept_any_audience(),
    };
    match verify(&builder.build().unwrap(), token) {
        // Ours always wants `exp`; where a vector does not, only that may be the reason.
        Err(crate::verify::VerifyErrorKind::MissingClaim) => !option("required_claims")
            .as_array()
            .unwrap()
            .contains(&"exp".into()),
        answer => answer.is_ok(),
    }
}

fn run(name: &str) -> usize {
    let suite = vectors(name);
    let mut wrong = Vec::new();
    for case in suite["cases"].as_array().unwrap() {
        let keys = key_set(&suite["keysets"][case["keys"].as_str().unwrap()]);
        let accepted = token(case).is_some_and(|token| match case["kind"].as_str() {
            Some("jws") => accepts_signature(&keys, &token),
            _ => accepts_claims(&keys, &token, case, &suite["defaults"]),
        });
        let expected = case["expect"] == "accept";
        if accepted != expected && case["level"] == "must" {
            wrong.push(format!(
                "{}: {} ({})",
                case["name"], case["expect"], case["why"]
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} verdicts are wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    suite["cases"].as_array().unwrap().len()
}

/// V1.
#[test]
#[ignore = "needs the vectors that TEST_VECTORS names: tests/run sets it where ../shared/vectors is there"]
fn the_tokens_of_wycheproof_get_the_verdict_that_the_rfcs_ask_for() {
    assert_eq!(run("wycheproof"), 631);
}

/// V1.
#[test]
#[ignore = "needs the vectors that TEST_VECTORS names: tests/run sets it where ../shared/vectors is there"]
fn the_tokens_of_other_libraries_suites_get_the_verdict_that_the_rfcs_ask_for() {
    assert_eq!(run("suites"), 41);
}

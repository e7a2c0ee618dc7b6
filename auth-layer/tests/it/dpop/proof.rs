//! Each check of a DPoP proof (RFC 9449 s4.3), broken one at a time.

use auth_layer::protect::Rejection;
use auth_layer::{Algorithm, SigningKey};
use http::Request;
use jsonwebtoken as peer;
use serde_json::{Value, json};

use crate::support::dpop::{Client, NOW, Setting, URL, call, label, proved, sha256};

/// The description with which a proof is refused.
async fn refusal(setting: &Setting, proof: &str) -> &'static str {
    let request = proved(&setting.bound_token(), proof);
    let response = call(&setting.dpop_layer(), request).await;
    let rejection: Option<&Rejection> = response.extensions().get();
    rejection.map_or("passed", |it| it.description())
}

/// P1, RFC 9449 s4.2 and s4.3.
#[tokio::test]
async fn a_header_that_is_not_that_of_a_proof_is_refused_by_its_own_reason() {
    let setting = Setting::new();
    let jwk = setting.client.jwk();
    let jwk_with = |name: &str, value: Value| {
        let mut jwk = jwk.clone();
        jwk[name] = value;
        jwk
    };
    let other = Client::new();
    for (name, value, expected) in [
        (
            "typ",
            json!("JWT"),
            "The DPoP proof is not of the type dpop+jwt",
        ),
        (
            "typ",
            json!("at+jwt"),
            "The DPoP proof is not of the type dpop+jwt",
        ),
        (
            "typ",
            Value::Null,
            "The DPoP proof is not of the type dpop+jwt",
        ),
        ("typ", json!(1), "The DPoP proof is malformed"),
        (
            "crit",
            json!(["b64"]),
            "The DPoP proof has an unsupported header",
        ),
        (
            "b64",
            json!(false),
            "The DPoP proof has an unsupported header",
        ),
        (
            "zip",
            json!("DEF"),
            "The DPoP proof has an unsupported header",
        ),
        (
            "alg",
            json!("none"),
            "The DPoP proof has an unsupported algorithm",
        ),
        (
            "alg",
            json!("HS256"),
            "The DPoP proof has an unsupported algorithm",
        ),
        (
            "alg",
            json!("RS256"),
            "The DPoP proof has an unsupported algorithm",
        ),
        (
            "alg",
            Value::Null,
            "The DPoP proof has an unsupported algorithm",
        ),
        (
            "alg",
            json!("ES256"),
            "The DPoP proof has no public key for its algorithm",
        ),
        (
            "jwk",
            Value::Null,
            "The DPoP proof has no public key for its algorithm",
        ),
        (
            "jwk",
            json!({}),
            "The DPoP proof has no public key for its algorithm",
        ),
        ("jwk", json!("key"), "The DPoP proof is malformed"),
        (
            "jwk",
            json!({ "kty": "oct", "k": "AAAA" }),
            "The DPoP proof has no public key for its algorithm",
        ),
        (
            "jwk",
            jwk_with("d", json!("AAAA")),
            "The DPoP proof has no public key for its algorithm",
        ),
        (
            "jwk",
            jwk_with("d", json!(null)),
            "The DPoP proof has no public key for its algorithm",
        ),
        (
            "jwk",
            jwk_with("k", json!("AAAA")),
            "The DPoP proof has no public key for its algorithm",
        ),
        (
            "jwk",
            jwk_with("use", json!("enc")),
            "The DPoP proof has no public key for its algorithm",
        ),
        (
            "jwk",
            jwk_with("key_ops", json!(["sign"])),
            "The DPoP proof has no public key for its algorithm",
        ),
        (
            "jwk",
            jwk_with("alg", json!("ES256")),
            "The DPoP proof has no public key for its algorithm",
        ),
        (
            "jwk",
            jwk_with("x", json!("AA==")),
            "The DPoP proof has no public key for its algorithm",
        ),
        (
            "jwk",
            other.jwk(),
            "The access token is bound to another DPoP key",
        ),
        (
            "jwk",
            jwk_with("x", json!("AAAA")),
            "The access token is bound to another DPoP key",
        ),
    ] {
        let proof = setting.client.proof(&setting.bound_token());
        let proof = proof.header(name, value.clone()).sign();
        assert_eq!(refusal(&setting, &proof).await, expected, "{name} {value}");
    }
}

/// P1, RFC 9449 s4.3.
#[tokio::test]
async fn claims_that_are_not_those_of_this_request_are_refused_by_their_own_reason() {
    let setting = Setting::new();
    for (name, value, expected) in [
        ("jti", Value::Null, "The DPoP proof lacks a claim"),
        ("htm", Value::Null, "The DPoP proof lacks a claim"),
        ("htu", Value::Null, "The DPoP proof lacks a claim"),
        ("iat", Value::Null, "The DPoP proof lacks a claim"),
        ("ath", Value::Null, "The DPoP proof lacks a claim"),
        (
            "jti",
            json!(""),
            "The DPoP proof has an empty or too long jti",
        ),
        (
            "jti",
            json!("x".repeat(257)),
            "The DPoP proof has an empty or too long jti",
        ),
        ("jti", json!(1), "The DPoP proof has malformed claims"),
        ("iat", json!("1"), "The DPoP proof has malformed claims"),
        ("htm", json!("POST"), "The DPoP proof is for another method"),
        ("htm", json!("get"), "The DPoP proof is for another method"),
        (
            "htu",
            json!("https://api.example/things/2"),
            "The DPoP proof is for another address",
        ),
        (
            "htu",
            json!("http://api.example/things/1"),
            "The DPoP proof is for another address",
        ),
        (
            "htu",
            json!("https://evil.example/things/1"),
            "The DPoP proof is for another address",
        ),
        (
            "htu",
            json!("/things/1"),
            "The DPoP proof is for another address",
        ),
        ("iat", json!(NOW - 61), "The DPoP proof is too old"),
        (
            "iat",
            json!(NOW + 6),
            "The DPoP proof was made in the future",
        ),
        (
            "ath",
            json!(sha256(b"other")),
            "The DPoP proof is for another access token",
        ),
        (
            "ath",
            json!(""),
            "The DPoP proof is for another access token",
        ),
    ] {
        let proof = setting.client.proof(&setting.bound_token());
        let proof = proof.claim(name, value.clone()).sign();
        assert_eq!(refusal(&setting, &proof).await, expected, "{name} {value}");
    }
}

#[tokio::test]
async fn what_differs_only_as_it_may_is_accepted() {
    let setting = Setting::new();
    let proof = || setting.client.proof(&setting.bound_token());
    let mut jwk = setting.client.jwk();
    jwk["use"] = json!("sig");
    jwk["key_ops"] = json!(["verify"]);
    jwk["ext"] = json!(true);
    jwk["kid"] = json!("mine");
    jwk["alg"] = json!("EdDSA");
    for proof in [
        proof().header("typ", "application/DPoP+jwt"),
        proof().header("alg", "Ed25519"),
        proof().header("kid", "mine").header("b64", true),
        proof().header("jwk", jwk),
        proof().claim("htu", format!("{URL}?page=2#top")),
        proof().claim("htu", "HTTPS://API.example:443/a/%2e%2E/things/%31"),
        proof().claim("iat", NOW - 60),
        proof().claim("iat", NOW + 5),
        proof().claim("iat", NOW as f64 + 0.5),
        proof().claim("jti", "x".repeat(256)),
        proof()
            .claim("nonce", "of nobody")
            .claim("more", json!({ "a": [1] })),
    ] {
        assert_eq!(
            refusal(&setting, &proof.sign()).await,
            "passed",
            "{}",
            proof.claims
        );
    }
    let proof = proof().sign();
    let request = proved(&setting.bound_token(), &proof).uri(format!("{URL}?page=2"));
    assert_eq!(label(&setting.dpop_layer(), request).await, "passed");
}

/// P1, RFC 9449 s4.3.
#[tokio::test]
async fn a_proof_that_is_no_signed_json_is_refused() {
    let setting = Setting::new();
    let good = setting.client.proof(&setting.bound_token());
    let (header, claims) = (good.header.to_string(), good.claims.to_string());
    let good = good.sign();
    let sign = |header: &str, claims: &str| setting.client.sign(header, claims);
    let (message, signature) = good.rsplit_once('.').unwrap();
    let flipped = if signature.starts_with('A') { "B" } else { "A" };
    let foreign = Client::new().sign(&header, &claims);
    let malformed = "The DPoP proof is malformed";
    let malformed_claims = "The DPoP proof has malformed claims";
    let bad_signature = "The DPoP proof has a bad signature";
    for (proof, expected) in [
        (String::new(), malformed),
        ("a.b".to_owned(), malformed),
        (message.to_owned(), malformed),
        (format!("{good}="), malformed),
        (format!("{good}.{signature}"), malformed),
        (format!(" {good}"), malformed),
        (format!("{good}, {good}"), malformed),
        (sign("[]", &claims), malformed),
        (
            sign(&header.replacen('{', r#"{"typ":"dpop+jwt","#, 1), &claims),
            malformed,
        ),
        (
            sign(&header.replace(r#""kty""#, r#""kty":"OKP","kty""#), &claims),
            malformed,
        ),
        (
            sign(&header, &claims.replacen('{', r#"{"htm":"GET","#, 1)),
            malformed_claims,
        ),
        (sign(&header, &format!("{claims} x")), malformed_claims),
        (sign(&header, "[]"), malformed_claims),
        (format!("{message}."), bad_signature),
        (
            format!("{message}.{flipped}{}", &signature[1..]),
            bad_signature,
        ),
        (foreign, bad_signature),
        (
            sign(&header, &format!("{claims}{}", " ".repeat(9_000))),
            "The DPoP proof is too long",
        ),
    ] {
        assert_eq!(refusal(&setting, &proof).await, expected, "{proof}");
    }
    let parts: Vec<_> = good.split('.').collect();
    let swapped = [parts[0], parts[0], parts[2]].join(".");
    assert_eq!(refusal(&setting, &swapped).await, bad_signature);
    assert_eq!(refusal(&setting, &good).await, "passed");
}

/// P1.
#[tokio::test]
async fn none_or_two_proofs_or_one_that_is_no_text_are_refused() {
    let setting = Setting::new();
    let layer = setting.dpop_layer();
    let token = setting.bound_token();
    let none = Request::get(URL).header("authorization", format!("DPoP {token}"));
    assert_eq!(label(&layer, none).await, "proof_missing");
    let two = setting
        .request()
        .header("dpop", setting.client.proof(&token).sign());
    let response = call(&layer, two).await;
    assert_eq!(response.status(), 400);
    let same_twice = setting.client.proof(&token).sign();
    let same_twice = proved(&token, &same_twice).header("dpop", &same_twice);
    assert_eq!(label(&layer, same_twice).await, "proof_repeated");
    let binary = Request::get(URL)
        .header("authorization", format!("dpop {token}"))
        .header("dpop", b"\xff".as_slice());
    assert_eq!(label(&layer, binary).await, "proof_malformed");
}

/// A request with a proof that another library signed, by another kind of key.
fn peer_request(setting: &Setting, algorithm: Algorithm) -> http::request::Builder {
    let pem = SigningKey::generate_pem(algorithm).unwrap();
    let key = match algorithm.name().starts_with("ES") {
        true => peer::EncodingKey::from_ec_pem(pem.as_bytes()).unwrap(),
        false => peer::EncodingKey::from_rsa_pem(pem.as_bytes()).unwrap(),
    };
    let alg = algorithm.name().parse().unwrap();
    let jwk = peer::jwk::Jwk::from_encoding_key(&key, alg).unwrap();
    let jkt = jwk.thumbprint(peer::jwk::ThumbprintHash::SHA256).unwrap();
    let token = setting.token(json!({ "jkt": jkt }));
    let claims = setting.client.proof(&token).claims;
    let mut header = peer::Header::new(alg);
    header.typ = Some("dpop+jwt".to_owned());
    header.jwk = Some(jwk);
    proved(&token, &peer::encode(&header, &claims, &key).unwrap())
}

#[tokio::test]
async fn proofs_of_another_library_are_good_for_each_kind_of_key_that_is_allowed() {
    use Algorithm::{ES256, ES384, PS256, RS256};
    let setting = Setting::new();
    let chosen = setting.dpop().algorithms([ES256, RS256]);
    let chosen = setting.layer().dpop(chosen);
    for (algorithm, by_default, by_choice) in [
        (ES256, "passed", "passed"),
        (ES384, "passed", "proof_wrong_algorithm"),
        (PS256, "passed", "proof_wrong_algorithm"),
        (RS256, "proof_wrong_algorithm", "passed"),
    ] {
        let request = || peer_request(&setting, algorithm);
        let verdict = label(&setting.dpop_layer(), request()).await;
        assert_eq!(verdict, by_default, "{algorithm}");
        assert_eq!(label(&chosen, request()).await, by_choice, "{algorithm}");
    }
}

#[test]
#[should_panic(expected = "asymmetric")]
fn a_shared_secret_proves_nothing() {
    let _ = Setting::new()
        .dpop()
        .algorithms([Algorithm::ES256, Algorithm::HS256]);
}

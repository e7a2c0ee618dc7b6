use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use serde_json::Value;

use super::*;

const URL: &str = "https://api.example/things?q=1#part";

/// Header and claims of a proof whose signature is good.
fn read(key: &DpopKey, proof: &HeaderValue) -> (Value, Value) {
    let text = proof.to_str().unwrap();
    let (message, signature) = text.rsplit_once('.').unwrap();
    let public = key.0.pair.public_key().as_ref();
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, public)
        .verify(
            message.as_bytes(),
            &URL_SAFE_NO_PAD.decode(signature).unwrap(),
        )
        .unwrap();
    let (header, claims) = message.split_once('.').unwrap();
    let [header, claims] = [header, claims]
        .map(|it| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(it).unwrap()).unwrap());
    (header, claims)
}

#[test]
fn a_proof_is_for_one_request() {
    let key = DpopKey::generate().unwrap();
    let proof = key.prove(&Method::POST, URL, Some("token")).unwrap();
    assert!(proof.is_sensitive());
    let (header, claims) = read(&key, &proof);
    assert_eq!(header["typ"], "dpop+jwt");
    assert_eq!(header["alg"], "ES256");
    assert_eq!(header["jwk"]["crv"], "P-256");
    assert!(header["jwk"].get("d").is_none());
    assert_eq!(claims["htm"], "POST");
    assert_eq!(claims["htu"], "https://api.example/things");
    // SHA-256 of `token`.
    assert_eq!(claims["ath"], "PEaenWxYddN6Q_NT1PiOYfz4EsZu7jRXRlpAsNpBU-A");
    assert!(claims["iat"].is_u64() && claims.get("nonce").is_none());
    let again = read(&key, &key.prove(&Method::POST, URL, None).unwrap()).1;
    assert_ne!(claims["jti"], again["jti"]);
    assert!(again.get("ath").is_none());
}

#[test]
fn a_nonce_is_of_its_origin_and_the_newest_counts() {
    let key = DpopKey::generate().unwrap();
    let nonce = |url| {
        let proof = key.prove(&Method::GET, url, None).unwrap();
        read(&key, &proof).1.get("nonce").cloned()
    };
    let answer = |nonce: &str| {
        let mut headers = HeaderMap::new();
        headers.insert("dpop-nonce", nonce.parse().unwrap());
        headers
    };
    key.remember(URL, &answer("first"));
    key.remember(URL, &HeaderMap::new());
    key.remember(URL, &answer("second"));
    key.remember(URL, &answer(&"x".repeat(2000)));
    assert_eq!(nonce("https://API.example/other"), Some("second".into()));
    assert_eq!(nonce("https://api.example:8443/"), None);
    assert_eq!(nonce("http://api.example/"), None);
}

#[test]
fn a_key_survives_its_text_and_does_not_print_itself() {
    let key = DpopKey::generate().unwrap();
    let read = DpopKey::from_secret(&key.secret()).unwrap();
    assert_eq!(read.thumbprint(), key.thumbprint());
    assert_ne!(DpopKey::generate().unwrap().thumbprint(), key.thumbprint());
    assert_eq!(format!("{key:?}"), "DpopKey(..)");
}

#[test]
fn what_is_no_key_and_no_url_is_told() {
    let kind = DpopKey::from_pkcs8(b"key").unwrap_err().kind();
    assert_eq!(kind, DpopKeyErrorKind::Malformed);
    assert!(DpopKey::from_secret("%").is_none());
    let key = DpopKey::generate().unwrap();
    let relative = key.proof(&Method::GET, &Uri::from_static("/token"));
    assert_eq!(relative.unwrap_err().kind(), DpopKeyErrorKind::Url);
}

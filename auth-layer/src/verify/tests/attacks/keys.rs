use VerifyErrorKind::*;
use base64::prelude::BASE64_STANDARD;

use super::signers::{Signer, attacker, issuer, mac};
use super::*;
use crate::keys::VerifyingKey;

fn public_algorithms() -> impl Iterator<Item = Algorithm> {
    let is_public = |algorithm: &Algorithm| !algorithm.name().starts_with("HS");
    Algorithm::ALL.into_iter().filter(is_public)
}

/// The confusion of RS256 and HS256, for every public key in every form of it.
#[test]
fn a_token_with_an_hmac_by_a_public_key_is_refused() {
    for public in public_algorithms() {
        let signer = issuer(public);
        let key = signer.verifying(public).with_kid("k");
        let alone = builder_without_key().key(key.clone()).build().unwrap();
        let secret = VerifyingKey::from_secret(Algorithm::HS256, &[7; 64]).unwrap();
        let with_secret = builder_without_key().key(key).key(secret).build().unwrap();
        let honest = signer.token(public, &json!({ "alg": public.name(), "kid": "k" }));
        assert!(verify(&alone, &honest).is_ok(), "{public}");
        assert!(verify(&with_secret, &honest).is_ok(), "{public}");
        for (form, bytes) in signer.public_forms() {
            for header in hmac_headers() {
                let hmac = header["alg"].as_str().unwrap().parse().unwrap();
                let header = header.to_string();
                let message = format!("{}.{}", encode(&header), encode(good_claims()));
                let tag = encode(mac(hmac, &bytes, message.as_bytes()));
                let forged = format!("{message}.{tag}");
                let answer = verify(&alone, &forged).map(drop);
                assert_eq!(answer, Err(WrongAlgorithm), "{public}, {form}, {header}");
                let answer = verify(&with_secret, &forged).map(drop);
                assert!(answer.is_err(), "{public}, {form}, {header}");
            }
        }
    }
}

fn hmac_headers() -> impl Iterator<Item = Value> {
    ["HS256", "HS384", "HS512"]
        .into_iter()
        .flat_map(|alg| [json!({ "alg": alg }), json!({ "alg": alg, "kid": "k" })])
}

#[test]
fn each_form_of_a_public_key_is_really_one() {
    let mut read = 0;
    for algorithm in public_algorithms() {
        for (form, bytes) in issuer(algorithm).public_forms() {
            let text = String::from_utf8_lossy(&bytes);
            let key = match form.as_str() {
                "SPKI" | "PKCS#1" => VerifyingKey::from_der(algorithm, &bytes),
                "JWK" | "JWK with blanks" => VerifyingKey::from_jwk_as(algorithm, &text),
                _ if form.starts_with("SPKI PEM") => VerifyingKey::from_pem(algorithm, &bytes),
                _ => continue,
            };
            assert!(key.is_ok(), "{algorithm}, {form}");
            read += 1;
        }
    }
    assert_eq!(read, 6 * 7 + 4 * 6);
}

/// `jwk`, `x5c` and the like: the key that signed the token, and where it could be fetched.
#[test]
fn a_key_that_a_token_brings_or_points_to_is_never_used() {
    for algorithm in Algorithm::ALL {
        let (issuer, attacker) = (issuer(algorithm), attacker(algorithm));
        let verifier = builder_without_key().key(issuer.verifying(algorithm));
        let verifier = verifier.build().unwrap();
        let url = "https://attacker.example/keys.json";
        let jwk = attacker.jwk();
        let mut named = jwk.clone();
        named["kid"] = "mine".into();
        let x5c = BASE64_STANDARD.encode(match attacker {
            Signer::Hmac(secret) => secret.to_vec(),
            public => public.public_der(),
        });
        for members in [
            json!({}),
            json!({ "jwk": jwk }),
            json!({ "jwk": named, "kid": "mine" }),
            json!({ "jwk": { "keys": [jwk] } }),
            json!({ "jwks": { "keys": [jwk] } }),
            json!({ "jku": url }),
            json!({ "jku": url, "kid": "mine" }),
            json!({ "x5u": url }),
            json!({ "x5c": [x5c] }),
            json!({ "x5t": "AAAA", "x5t#S256": "AAAA", "x5c": [x5c] }),
            json!({ "jwk": jwk, "jku": url, "x5u": url, "x5c": [x5c], "epk": jwk }),
        ] {
            let mut header = members;
            header["alg"] = algorithm.name().into();
            let forged = verify(&verifier, &attacker.token(algorithm, &header)).map(drop);
            assert_eq!(forged, Err(BadSignature), "{header}");
            let honest = verify(&verifier, &issuer.token(algorithm, &header)).map(drop);
            assert_eq!(honest, Ok(()), "{header}");
        }
    }
}

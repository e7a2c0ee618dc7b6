use super::*;

fn keys() -> impl Iterator<Item = (Algorithm, SigningKey)> {
    Algorithm::ALL
        .into_iter()
        .map(|it| (it, SigningKey::generate(it).unwrap()))
}

fn check(set: &KeySet, algorithm: Algorithm, token: &str) -> set::SignatureCheck {
    use base64::Engine as _;
    let (message, signature) = token.rsplit_once('.').unwrap();
    let signature = base64::prelude::BASE64_URL_SAFE_NO_PAD
        .decode(signature)
        .unwrap();
    set.verify(None, algorithm, message.as_bytes(), &signature)
}

#[test]
fn every_algorithm_signs_what_only_its_own_key_verifies() {
    for (algorithm, key) in keys() {
        let token = key.sign(&serde_json::json!({ "sub": "a" })).unwrap();
        let mine = KeySet::from(key.verifying());
        assert_eq!(
            check(&mine, algorithm, &token),
            set::SignatureCheck::Good,
            "{algorithm}"
        );
        let other = KeySet::from(SigningKey::generate(algorithm).unwrap().verifying());
        assert_eq!(
            check(&other, algorithm, &token),
            set::SignatureCheck::Bad,
            "{algorithm}"
        );
    }
}

#[test]
fn a_rotation_keeps_the_old_key_and_publishes_the_new_one_before_it_signs() {
    let keys = SigningKeys::new(SigningKey::generate(Algorithm::ES256).unwrap());
    let set = keys.key_set();
    let old = keys.sign(&serde_json::json!({})).unwrap();
    let next = SigningKey::generate(Algorithm::ES256).unwrap();
    let early = next.sign(&serde_json::json!({})).unwrap();
    keys.announce(next);
    assert_eq!(
        check(&set, Algorithm::ES256, &early),
        set::SignatureCheck::Good
    );
    assert!(keys.rotate());
    assert_eq!(
        check(&set, Algorithm::ES256, &old),
        set::SignatureCheck::Good
    );
    assert!(!keys.rotate());
}

#[test]
fn a_published_set_has_the_public_members_and_no_other() {
    for (algorithm, key) in keys() {
        let keys = SigningKeys::new(key);
        let document: serde_json::Value = serde_json::from_str(&keys.jwks()).unwrap();
        for jwk in document["keys"].as_array().unwrap() {
            assert!(
                VerifyingKey::from_jwk(&jwk.to_string()).is_ok(),
                "{algorithm}"
            );
            for private in ["d", "p", "q", "k", "dp", "dq", "qi"] {
                assert!(
                    jwk.get(private).is_none(),
                    "{algorithm} publishes {private}"
                );
            }
        }
    }
}

/// RFC 8037 A.3.
#[test]
fn the_name_of_a_key_is_its_thumbprint() {
    let pem = "-----BEGIN PRIVATE KEY-----\n\
               MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n\
               -----END PRIVATE KEY-----\n";
    let key = SigningKey::from_pem(Algorithm::EdDSA, pem).unwrap();
    assert_eq!(
        key.kid(),
        Some("kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k")
    );
}

fn refused(result: Result<VerifyingKey, KeyError>) -> KeyErrorKind {
    result.map(drop).expect_err("the key was accepted").kind()
}

#[test]
fn a_short_secret_or_a_public_key_is_no_secret() {
    let secret = |bytes: &[u8]| VerifyingKey::from_secret(Algorithm::HS256, bytes);
    assert_eq!(refused(secret(&[7; 31])), KeyErrorKind::SecretTooShort);
    assert!(secret(&[7; 32]).is_ok());
    let jwk = SigningKeys::new(SigningKey::generate(Algorithm::ES256).unwrap()).jwks();
    let pem = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n-----END PUBLIC KEY-----\n";
    let der = aws_der();
    for public in [
        jwk.as_bytes(),
        pem.as_bytes(),
        &der,
        b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA",
    ] {
        assert_eq!(refused(secret(public)), KeyErrorKind::PublicKeyAsSecret);
    }
}

/// V6: also those whose first byte is that of DER, `0` in ASCII.
#[test]
fn no_random_secret_is_taken_for_a_public_key() {
    let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
    let accepts = |algorithm, secret: &[u8]| VerifyingKey::from_secret(algorithm, secret).is_ok();
    for (algorithm, length) in [
        (Algorithm::HS256, 32),
        (Algorithm::HS384, 48),
        (Algorithm::HS512, 64),
    ] {
        for number in 0..100_000 {
            let mut secret: Vec<u8> = (0..length).map(|_| chance.byte()).collect();
            if number % 4 == 0 {
                secret[0] = b'0';
            }
            assert!(accepts(algorithm, &secret), "{secret:x?}");
        }
        for _ in 0..10_000 {
            let digit = |_| b"0123456789abcdef"[usize::from(chance.byte() % 16)];
            let secret: Vec<u8> = (0..length).map(digit).collect();
            assert!(accepts(algorithm, &secret), "{secret:x?}");
        }
    }
    assert!(accepts(
        Algorithm::HS256,
        b"0123456789abcdef0123456789abcdef"
    ));
}

/// A generator of xorshift numbers, so that a failure repeats itself.
struct Chance(u64);

impl Chance {
    fn byte(&mut self) -> u8 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.to_le_bytes()[3]
    }
}

fn aws_der() -> Vec<u8> {
    use aws_lc_rs::encoding::AsDer as _;
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
    let pair = Ed25519KeyPair::generate().unwrap();
    pair.public_key().as_der().unwrap().as_ref().to_vec()
}

#[test]
fn a_key_of_another_kind_curve_or_use_is_refused() {
    let jwk =
        |algorithm: Algorithm, json: &str| refused(VerifyingKey::from_jwk_as(algorithm, json));
    let okp = r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
    assert!(VerifyingKey::from_jwk(okp).is_ok());
    assert_eq!(jwk(Algorithm::ES256, okp), KeyErrorKind::WrongAlgorithm);
    assert_eq!(
        jwk(
            Algorithm::EdDSA,
            &okp.replace("OKP\"", "OKP\",\"use\":\"enc\"")
        ),
        KeyErrorKind::NotForVerifying
    );
    assert_eq!(
        jwk(
            Algorithm::EdDSA,
            &okp.replace("OKP\"", "OKP\",\"key_ops\":[\"sign\"]")
        ),
        KeyErrorKind::NotForVerifying
    );
    assert_eq!(
        jwk(Algorithm::EdDSA, &okp.replace("Ed25519", "X25519")),
        KeyErrorKind::Unsupported
    );
    assert_eq!(
        jwk(Algorithm::RS256, r#"{"kty":"RSA","n":"AQAB","e":"AQAB"}"#),
        KeyErrorKind::WeakRsa
    );
    assert_eq!(
        refused(VerifyingKey::from_jwk(
            r#"{"kty":"RSA","n":"AQAB","e":"AQAB"}"#
        )),
        KeyErrorKind::AmbiguousAlgorithm
    );
    let pem = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n-----END PUBLIC KEY-----\n";
    assert!(VerifyingKey::from_ed25519_pem(pem).is_ok());
    assert_eq!(
        refused(VerifyingKey::from_pem(Algorithm::ES256, pem)),
        KeyErrorKind::Malformed
    );
}

#[test]
fn a_key_shows_neither_its_secret_nor_its_private_half() {
    let key = SigningKey::from_secret(Algorithm::HS256, &[0x41; 32]).unwrap();
    let shown = format!(
        "{key:?} {:?} {:?}",
        key.verifying(),
        SigningKeys::new(key.clone())
    );
    assert!(
        !shown.contains("AAAA") && !shown.contains("65, 65"),
        "{shown}"
    );
}

#[test]
fn one_odd_key_does_not_spoil_a_set() {
    let rsa = SigningKeys::new(SigningKey::generate(Algorithm::RS256).unwrap()).jwks();
    let mut document: serde_json::Value = serde_json::from_str(&rsa).unwrap();
    document["keys"][0].as_object_mut().unwrap().remove("alg");
    let keys = document["keys"].as_array_mut().unwrap();
    for odd in [
        serde_json::json!({ "kty": "OKP", "crv": "X25519", "x": "AA", "kid": "odd" }),
        serde_json::json!({ "kty": "oct", "k": "AAAA" }),
        serde_json::json!({ "kty": "PQ" }),
        serde_json::json!(7),
    ] {
        keys.push(odd);
    }
    let set = Jwks::parse(&document.to_string()).unwrap();
    assert_eq!(
        set.keys().len(),
        6,
        "an RSA key that does not say its algorithm fits six"
    );
    assert_eq!(set.skipped().len(), 4);
    assert_eq!(set.skipped()[0].kid(), Some("odd"));
    assert_eq!(set.skipped()[0].error().kind(), KeyErrorKind::Unsupported);
    assert!(Jwks::parse("[]").is_err());
}

#[test]
fn a_jwk_is_of_the_kind_curve_and_algorithm_it_says() {
    let ec = SigningKeys::new(SigningKey::generate(Algorithm::ES256).unwrap()).jwks();
    let document: serde_json::Value = serde_json::from_str(&ec).unwrap();
    let with = |name: &str, value: &str| {
        let mut jwk = document["keys"][0].clone();
        jwk[name] = value.into();
        VerifyingKey::from_jwk_as(Algorithm::ES256, &jwk.to_string())
            .map(drop)
            .map_err(|it| it.kind())
    };
    assert_eq!(with("alg", "ES256"), Ok(()));
    for (name, value) in [("alg", "ES384"), ("kty", "RSA"), ("crv", "P-384")] {
        assert_eq!(
            with(name, value),
            Err(KeyErrorKind::WrongAlgorithm),
            "{name}"
        );
    }
    let shorter = "AAAA";
    assert_eq!(with("x", shorter), Err(KeyErrorKind::Malformed));
    let not_rsa_and_silent = r#"{"keys":[{"kty":"EC","crv":"P-521","x":"AA","y":"AA"}]}"#;
    assert_eq!(
        Jwks::parse(not_rsa_and_silent).unwrap().skipped()[0]
            .error()
            .kind(),
        KeyErrorKind::Malformed
    );
}

#[test]
fn an_rsa_key_needs_2048_bits_and_an_odd_exponent_above_one() {
    let key = |n: &[u8], e: &[u8]| {
        VerifyingKey::from_rsa_components(Algorithm::RS256, n, e)
            .map(drop)
            .map_err(|it| it.kind())
    };
    let mut n = vec![0xff; 256];
    assert_eq!(key(&n, &[1, 0, 1]), Ok(()));
    assert_eq!(key(&[&[0], n.as_slice()].concat(), &[0, 1, 0, 1]), Ok(()));
    for e in [[1].as_slice(), &[0, 1], &[2], &[]] {
        assert_eq!(key(&n, e), Err(KeyErrorKind::WeakRsa), "{e:?}");
    }
    n[0] = 0x7f;
    assert_eq!(key(&n, &[1, 0, 1]), Err(KeyErrorKind::WeakRsa), "2047 bits");
}

#[test]
fn names_and_errors_are_for_people() {
    assert_eq!(Algorithm::EdDSA.to_string(), "EdDSA");
    let unknown = "none".parse::<Algorithm>().unwrap_err().to_string();
    assert!(
        unknown.contains("HS256, HS384") && unknown.ends_with("EdDSA"),
        "{unknown}"
    );
    let secret: Vec<u8> = (0..).take(40).collect();
    assert!(VerifyingKey::from_secret(Algorithm::HS256, &secret).is_ok());
    let der_like = [&[0x30], secret.as_slice()].concat();
    assert!(
        VerifyingKey::from_secret(Algorithm::HS256, &der_like).is_ok(),
        "a secret may begin so"
    );
    let short = VerifyingKey::from_secret(Algorithm::HS512, &secret).unwrap_err();
    assert!(short.to_string().contains("64 for HS512"));
    let shown = format!(
        "{:?}",
        SigningKey::generate(Algorithm::ES256).unwrap().verifying()
    );
    assert!(shown.contains("ES256"), "{shown}");
}

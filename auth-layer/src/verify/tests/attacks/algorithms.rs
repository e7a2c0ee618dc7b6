use VerifyErrorKind::*;

use super::signers::issuer;
use super::*;

#[test]
fn none_is_not_an_algorithm_in_any_spelling() {
    let spelled = |upper: usize| {
        let spell = |(at, letter): (usize, char)| match upper >> at & 1 {
            1 => letter.to_ascii_uppercase(),
            _ => letter,
        };
        "none".chars().enumerate().map(spell).collect::<String>()
    };
    let payload = encode(good_claims());
    assert_eq!(verdict(&sealed(&encode(HEADER), &payload)), Ok(()));
    for alg in (0..16).map(spelled) {
        let header = encode(json!({ "alg": alg }).to_string());
        let message = format!("{header}.{payload}");
        for token in [
            format!("{message}."),
            format!("{message}.{}", encode([0])),
            format!("{message}.{}", encode([0; 32])),
            sealed(&header, &payload),
        ] {
            assert_eq!(verdict(&token), Err(WrongAlgorithm), "{alg}: {token}");
        }
        assert_eq!(verdict(&message), Err(Malformed), "{alg}");
    }
}

#[test]
fn an_algorithm_has_its_registered_name() {
    const OTHERS: &str = "| |HS256 | HS256|HS256\\u0000|HS256\\n|hs256|Hs256|HS-256|HS2|HS25|\
        HS2566|HS256,none|none,HS256|ＨＳ256|HMAC|HMACSHA256|SHA256|HS256/64|HS1|RS1|ES256K|Ed448|\
        EdDsa|eddsa|ed25519|ESB256|ML-DSA-44|dir|A128KW|RSA-OAEP|null|undefined|0|unsecured";
    let named = |alg: &str| verdict(&with_header(format!(r#"{{"alg":{alg},"typ":"JWT"}}"#)));
    for alg in [r#""HS256""#, r#""\u0048S256""#, "  \"HS256\"  "] {
        assert_eq!(named(alg), Ok(()), "{alg}");
    }
    for alg in OTHERS.split('|').map(|alg| format!("\"{alg}\"")) {
        assert_eq!(named(&alg), Err(WrongAlgorithm), "{alg}");
    }
    for alg in r#"null|0|256|true|false|[]|["HS256"]|{"alg":"HS256"}"#.split('|') {
        assert_eq!(named(alg), Err(Malformed), "{alg}");
    }
    for header in [
        r#"{}"#,
        r#"{"ALG":"HS256"}"#,
        r#"{"alg ":"HS256"}"#,
        r#"{"header":{"alg":"HS256"}}"#,
    ] {
        assert_eq!(verdict(&with_header(header)), Err(Malformed), "{header}");
    }
}

/// Each pair of algorithms. Two that fit one key have the same key here.
#[test]
fn a_key_verifies_no_token_of_another_algorithm() {
    for of_key in Algorithm::ALL {
        let verifier = builder_without_key().key(issuer(of_key).verifying(of_key));
        let verifier = verifier.build().unwrap();
        let answer = |named: Algorithm, signed: Algorithm| {
            let header = json!({ "alg": named.name() });
            verify(&verifier, &issuer(signed).token(signed, &header)).map(drop)
        };
        assert_eq!(answer(of_key, of_key), Ok(()), "{of_key}");
        let alias = issuer(of_key).token(of_key, &json!({ "alg": "Ed25519" }));
        let fits = of_key == Algorithm::EdDSA;
        assert_eq!(verify(&verifier, &alias).is_ok(), fits, "{of_key}");
        for other in Algorithm::ALL.into_iter().filter(|other| *other != of_key) {
            for (named, signed, expected) in [
                (other, other, WrongAlgorithm),
                (other, of_key, WrongAlgorithm),
                (of_key, other, BadSignature),
            ] {
                assert_eq!(
                    answer(named, signed),
                    Err(expected),
                    "key of {of_key}, header of {named}, signature of {signed}"
                );
            }
        }
    }
}

#[test]
fn a_key_that_a_token_names_verifies_only_its_own_algorithm() {
    let key = |algorithm: Algorithm| {
        let key = issuer(algorithm).verifying(algorithm);
        key.with_kid(algorithm.name())
    };
    let keys = Algorithm::ALL.into_iter().map(key);
    let verifier = keys.fold(builder_without_key(), VerifierBuilder::key);
    let verifier = verifier.build().unwrap();
    for named in Algorithm::ALL {
        for signed in Algorithm::ALL {
            let header = json!({ "alg": signed.name(), "kid": named.name() });
            let answer = verify(&verifier, &issuer(signed).token(signed, &header)).map(drop);
            let expected = if named == signed {
                Ok(())
            } else {
                Err(WrongAlgorithm)
            };
            assert_eq!(answer, expected, "{header}");
        }
    }
}

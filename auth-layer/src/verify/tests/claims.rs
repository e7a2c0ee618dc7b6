use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::json;

use super::*;
use crate::revocation::Revocations;

fn verdict(builder: VerifierBuilder, claims: &Value) -> Result<crate::Claims, VerifyErrorKind> {
    verify(&builder.build().unwrap(), &key().sign(claims).unwrap())
}

#[test]
fn a_good_token_gives_its_claims() {
    let changes = json!({
        "scope": "a b", "sid": "s", "jti": "j", "client_id": "c", "acr": "2", "auth_time": 5, "nbf": 1,
    });
    let claims = verdict(builder(), &claims(changes)).unwrap();
    assert_eq!(claims.subject(), Some("alice"));
    assert_eq!(
        claims.audience().collect::<Vec<_>>(),
        ["https://api.example"]
    );
    assert_eq!(claims.expires_at(), Some(Timestamp::from_secs(NOW + 10)));
    assert_eq!(claims.scopes().to_string(), "a b");
    assert_eq!(claims.issuer(), Some("https://auth.example"));
    assert_eq!(
        (claims.acr(), claims.auth_time()),
        (Some("2"), Some(Timestamp::from_secs(5)))
    );
    let times = (claims.issued_at(), claims.not_before());
    assert_eq!(
        times,
        (
            Some(Timestamp::from_secs(NOW - 10)),
            Some(Timestamp::from_secs(1))
        )
    );
    assert_eq!(
        (claims.session_id(), claims.token_id(), claims.client_id()),
        (Some("s"), Some("j"), Some("c"))
    );
}

#[test]
fn your_own_claims_are_read_beside_the_registered_ones() {
    #[derive(Debug, Deserialize)]
    struct Mine {
        role: String,
        sub: String,
    }
    let verifier = builder().claims::<Mine>().build().unwrap();
    let good = key().sign(&claims(json!({ "role": "owner" }))).unwrap();
    let claims_of_mine = verify(&verifier, &good).unwrap();
    assert_eq!(claims_of_mine.custom().role, "owner");
    assert_eq!(claims_of_mine.custom().sub, "alice");
    let without = key().sign(&claims(json!({}))).unwrap();
    assert_eq!(
        verify(&verifier, &without).unwrap_err(),
        VerifyErrorKind::MalformedClaims
    );
}

/// V2.
#[test]
fn issuer_and_audience_must_be_there_and_right() {
    let verdict = |changes| verdict(builder(), &claims(changes)).map(drop);
    use VerifyErrorKind::*;
    for (changes, expected) in [
        (json!({ "iss": null }), MissingClaim),
        (json!({ "aud": null }), MissingClaim),
        (json!({ "iss": "https://auth.example/" }), WrongIssuer),
        (json!({ "iss": 1 }), MalformedClaims),
        (json!({ "iss": ["https://auth.example"] }), MalformedClaims),
        (json!({ "aud": "https://other.example" }), WrongAudience),
        (json!({ "aud": [] }), WrongAudience),
        (json!({ "aud": 1 }), MalformedClaims),
        (json!({ "aud": [1] }), MalformedClaims),
        (
            json!({ "aud": { "a": "https://api.example" } }),
            MalformedClaims,
        ),
    ] {
        assert_eq!(verdict(changes.clone()), Err(expected), "{changes}");
    }
    assert_eq!(
        verdict(json!({ "aud": ["x", "https://api.example"] })),
        Ok(())
    );
}

/// V2.
#[test]
fn times_are_checked_with_the_leeway_that_each_has() {
    let verdict = |changes| verdict(builder(), &claims(changes)).map(drop);
    use VerifyErrorKind::*;
    for (changes, expected) in [
        (json!({ "exp": null }), Err(MissingClaim)),
        (json!({ "exp": NOW }), Err(Expired)),
        (json!({ "exp": NOW as f64 - 0.5 }), Err(Expired)),
        (json!({ "exp": NOW as f64 + 0.5 }), Ok(())),
        (json!({ "exp": -1 }), Err(Expired)),
        (json!({ "exp": "1900000000" }), Err(MalformedClaims)),
        (json!({ "exp": 1e300 }), Err(MalformedClaims)),
        (json!({ "exp": u64::MAX }), Err(MalformedClaims)),
        (json!({ "exp": 253_402_300_799_i64 }), Ok(())),
        (json!({ "nbf": NOW + 30 }), Ok(())),
        (json!({ "nbf": NOW + 31 }), Err(NotYetValid)),
        (json!({ "nbf": true }), Err(MalformedClaims)),
        (json!({ "iat": NOW + 30 }), Ok(())),
        (json!({ "iat": NOW + 31 }), Err(IssuedInFuture)),
    ] {
        assert_eq!(verdict(changes.clone()), expected, "{changes}");
    }
}

#[test]
fn leeway_and_age_are_yours_to_set_within_bounds() {
    let lenient = || builder().leeway(Duration::from_secs(60));
    assert!(verdict(lenient(), &claims(json!({ "exp": NOW - 59 }))).is_ok());
    assert!(verdict(lenient(), &claims(json!({ "exp": NOW - 60 }))).is_err());
    assert!(verdict(lenient(), &claims(json!({ "nbf": NOW + 60 }))).is_ok());
    let young = || builder().max_age(Duration::from_secs(5));
    let too_old = verdict(young(), &claims(json!({}))).unwrap_err();
    assert_eq!(too_old, VerifyErrorKind::TooOld);
    let fresh = claims(json!({ "iat": NOW - 5 }));
    assert!(verdict(young(), &fresh).is_ok());
    let undated = verdict(young(), &claims(json!({ "iat": null }))).unwrap_err();
    assert_eq!(undated, VerifyErrorKind::MissingClaim);
}

/// V2.
#[test]
fn claims_that_are_not_one_plain_object_are_refused() {
    let good = claims(json!({})).to_string();
    let with = |member: &str| good.replacen('{', &format!("{{{member},"), 1);
    let nested = |levels| format!("\"deep\":{}{}", "[".repeat(levels), "]".repeat(levels));
    let deep = nested(16);
    assert!(
        verify(
            &builder().build().unwrap(),
            &token(HEADER, &with(&nested(15)))
        )
        .is_ok()
    );
    for payload in [
        with(r#""sub":"bob""#),
        with(r#""a":1,"\u0061":2"#),
        with(r#""a":{"b":1,"b":2}"#),
        with(r#""a":NaN"#),
        with(r#""a":1e999"#),
        with(r#""a":"\ud800""#),
        with(&deep),
        format!("{good}{{}}"),
        format!("\u{feff}{good}"),
        format!("[{good}]"),
        "null".to_owned(),
        String::new(),
    ] {
        assert_eq!(
            refused(HEADER, &payload),
            VerifyErrorKind::MalformedClaims,
            "{payload}"
        );
    }
}

#[test]
fn required_claims_and_bound_tokens_are_minded() {
    let verdict = |builder, changes| verdict(builder, &claims(changes)).map(drop);
    let demanding = || builder().required_claim("jti");
    assert_eq!(
        verdict(demanding(), json!({})),
        Err(VerifyErrorKind::MissingClaim)
    );
    assert_eq!(verdict(demanding(), json!({ "jti": "1" })), Ok(()));
    let bound = json!({ "cnf": { "jkt": "x" } });
    assert_eq!(
        verdict(builder(), bound),
        Err(VerifyErrorKind::ProofRequired)
    );
}

#[test]
fn a_revoked_session_ends_its_tokens_at_once() {
    let revocations = Revocations::new(Duration::from_secs(60));
    let verifier = builder().revocations(revocations.clone()).build().unwrap();
    let token = key().sign(&claims(json!({ "sid": "s" }))).unwrap();
    assert!(verify(&verifier, &token).is_ok());
    revocations.revoke_session("s", Timestamp::from_secs(NOW));
    assert_eq!(
        verify(&verifier, &token).unwrap_err(),
        VerifyErrorKind::Revoked
    );
}

/// V4.
#[test]
fn a_remembered_token_dies_of_time_revocation_and_a_withdrawn_key_all_the_same() {
    use crate::clock::Clock as _;
    let clock = ManualClock::at(Timestamp::from_secs(NOW));
    let revocations = Revocations::new(Duration::from_secs(60));
    let keys = crate::keys::KeySet::from(key().verifying());
    let verifier = Verifier::builder()
        .keys(keys.clone())
        .issuer("https://auth.example")
        .audience("https://api.example")
        .clock(clock.clone())
        .revocations(revocations.clone())
        .build()
        .unwrap();
    let token = |sid: &str| key().sign(&claims(json!({ "sid": sid }))).unwrap();
    let verdict = |sid: &str| verify(&verifier, &token(sid)).map(drop);
    for sid in ["a", "a", "b", "b"] {
        assert_eq!(verdict(sid), Ok(()));
    }
    revocations.revoke_session("a", clock.now());
    assert_eq!(verdict("a"), Err(VerifyErrorKind::Revoked));
    assert_eq!(verdict("b"), Ok(()));
    keys.replace([]);
    assert_eq!(verdict("b"), Err(VerifyErrorKind::KeysUnavailable));
    keys.replace([key().verifying()]);
    assert_eq!(verdict("b"), Ok(()));
    clock.advance(Duration::from_secs(10));
    assert_eq!(verdict("b"), Err(VerifyErrorKind::Expired));
}

#[test]
fn a_token_is_checked_with_the_key_it_names_and_no_other() {
    let [named, other] =
        [1, 2].map(|it| SigningKey::from_secret(Algorithm::HS256, &[it; 32]).unwrap());
    let verifier = Verifier::builder()
        .key(named.verifying().with_kid("a"))
        .key(other.verifying().with_kid("b"))
        .dangerously_accept_any_audience()
        .dangerously_accept_any_issuer()
        .build()
        .unwrap();
    let forged = |kid: &str| {
        let header = format!(r#"{{"alg":"HS256","kid":"{kid}"}}"#);
        let encode = |part: &str| BASE64_URL_SAFE_NO_PAD.encode(part);
        let message = format!("{}.{}", encode(&header), encode(r#"{"exp":253402300799}"#));
        let tag = aws_lc_rs::hmac::sign(
            &aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &[2; 32]),
            message.as_bytes(),
        );
        verify(
            &verifier,
            &format!("{message}.{}", BASE64_URL_SAFE_NO_PAD.encode(tag)),
        )
        .map(drop)
    };
    assert_eq!(forged("b"), Ok(()));
    assert_eq!(forged("a"), Err(VerifyErrorKind::BadSignature));
    assert_eq!(forged("c"), Err(VerifyErrorKind::UnknownKey));
}

#[test]
fn a_key_without_a_name_serves_tokens_that_name_one() {
    let header = r#"{"alg":"HS256","kid":"whatever"}"#;
    let good = token(header, &claims(json!({})).to_string());
    assert!(verify(&builder().build().unwrap(), &good).is_ok());
}

/// RFC 9864.
#[test]
fn an_ed25519_token_may_call_its_algorithm_by_either_name() {
    let pair = aws_lc_rs::signature::Ed25519KeyPair::from_seed_unchecked(&[3; 32]).unwrap();
    use aws_lc_rs::signature::KeyPair as _;
    let x = BASE64_URL_SAFE_NO_PAD.encode(pair.public_key());
    let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "alg": "Ed25519", "x": x }).to_string();
    let verifier = Verifier::builder()
        .key(crate::keys::VerifyingKey::from_jwk(&jwk).unwrap())
        .issuer("https://auth.example")
        .audience("https://api.example")
        .clock(ManualClock::at(Timestamp::from_secs(NOW)))
        .build()
        .unwrap();
    for alg in ["EdDSA", "Ed25519"] {
        let encode = |part: &str| BASE64_URL_SAFE_NO_PAD.encode(part);
        let header = encode(&json!({ "alg": alg }).to_string());
        let message = format!("{header}.{}", encode(&claims(json!({})).to_string()));
        let signature = BASE64_URL_SAFE_NO_PAD.encode(pair.sign(message.as_bytes()));
        assert!(
            verify(&verifier, &format!("{message}.{signature}")).is_ok(),
            "{alg}"
        );
    }
}

#[test]
fn an_error_is_a_sentence_for_people() {
    let error = crate::VerifyError::new(VerifyErrorKind::Expired);
    assert_eq!(error.to_string(), "the access token expired");
}

#[test]
fn an_unsafe_verifier_is_not_built() {
    use crate::verify::VerifierConfigError::*;
    let key = || Verifier::builder().key(key().verifying());
    let named = || key().issuer("i").audience("a");
    for (builder, error) in [
        (Verifier::builder().issuer("i").audience("a"), NoKey),
        (key().audience("a"), NoIssuer),
        (key().issuer("i"), NoAudience),
        (key().issuer("i").audience(""), NoAudience),
        (named().dangerously_accept_any_audience(), AnyAndNamed),
        (named().leeway(Duration::from_secs(301)), LeewayTooLong),
        (named().keys(super::key().verifying()), TwoKeySources),
    ] {
        assert_eq!(builder.build().unwrap_err(), error);
        assert!(
            error.to_string().contains(": "),
            "it says what to do: {error}"
        );
    }
    assert!(named().leeway(Duration::from_secs(300)).build().is_ok());
}

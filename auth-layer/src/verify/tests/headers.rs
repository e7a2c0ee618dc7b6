use serde_json::json;

use super::*;

/// V2.
#[test]
fn a_header_that_changes_the_meaning_is_refused() {
    let good = claims(json!({})).to_string();
    use VerifyErrorKind::*;
    for (header, expected) in [
        (
            r#"{"alg":"HS256","crit":["exp"],"exp":1}"#,
            UnsupportedHeader,
        ),
        (r#"{"alg":"HS256","crit":[]}"#, UnsupportedHeader),
        (r#"{"alg":"HS256","b64":false}"#, UnsupportedHeader),
        (r#"{"alg":"HS256","zip":"DEF"}"#, UnsupportedHeader),
        (r#"{"alg":"HS256","enc":"A128GCM"}"#, UnsupportedHeader),
        (r#"{"alg":"HS256","typ":"dpop+jwt"}"#, WrongType),
        (r#"{"alg":"HS256","typ":"rt+jwt"}"#, WrongType),
        (r#"{"alg":"HS256","typ":"twelve-bytesat+jwt"}"#, WrongType),
        (r#"{"alg":"HS256","typ":1}"#, Malformed),
        (r#"{"alg":"none"}"#, WrongAlgorithm),
        (r#"{"alg":"hs256"}"#, WrongAlgorithm),
        (r#"{"alg":"HS512"}"#, WrongAlgorithm),
        (r#"{"typ":"JWT"}"#, Malformed),
        (r#"{"alg":"HS256","alg":"HS256"}"#, Malformed),
        (r#"{"alg":"HS256","a":{"b":1,"b":2}}"#, Malformed),
        (r#"["HS256"]"#, Malformed),
    ] {
        assert_eq!(refused(header, &good), expected, "{header}");
    }
    for typ in [
        "JWT",
        "jwt",
        "at+jwt",
        "application/at+jwt",
        "Application/JWT",
    ] {
        let header = json!({ "alg": "HS256", "typ": typ, "b64": true }).to_string();
        assert!(
            verify(&builder().build().unwrap(), &token(&header, &good)).is_ok(),
            "{typ}"
        );
    }
    let strict = builder().require_at_jwt().build().unwrap();
    let untyped = verify(&strict, &token(HEADER, &good)).unwrap_err();
    assert_eq!(untyped, VerifyErrorKind::WrongType);
    assert!(verify(&strict, &key().sign(&claims(json!({}))).unwrap()).is_ok());
}

#[test]
fn what_is_not_a_compact_jws_is_refused_before_any_work() {
    let verifier = builder().max_token_bytes(2_000).build().unwrap();
    let good = key().sign(&claims(json!({}))).unwrap();
    let [padded, blank] = [format!("{good}="), format!(" {good}")];
    for bad in [
        "", ".", "..", "a.b", "a.b.c.d", "....", "é.é.é", &padded, &blank,
    ] {
        assert_eq!(
            verify(&verifier, bad).unwrap_err(),
            VerifyErrorKind::Malformed,
            "{bad:?}"
        );
    }
    let long = "a".repeat(2_001);
    assert_eq!(
        verify(&verifier, &long).unwrap_err(),
        VerifyErrorKind::TooLong
    );
    let header = json!({ "alg": "HS256", "x": "y".repeat(5_000) }).to_string();
    assert_eq!(refused(&header, "{}"), VerifyErrorKind::TooLong);
}

use VerifyErrorKind::*;

use super::*;

/// The verdict on a good token with one more member in its header.
fn with(member: &str) -> Result<(), VerifyErrorKind> {
    verdict(&with_header(with_member(HEADER, member)))
}

/// The spellings of a name in JSON: as it is, with each character escaped in turn, and with all.
fn spellings(name: &str) -> Vec<String> {
    let escaped = |at: usize| {
        let code = name.as_bytes()[at];
        format!("{}\\u{code:04x}{}", &name[..at], &name[at + 1..])
    };
    let all = name.bytes().map(|code| format!("\\u{code:04X}")).collect();
    let one = (0..name.len()).map(escaped);
    [name.to_owned(), all].into_iter().chain(one).collect()
}

#[test]
fn a_header_that_repeats_a_member_is_refused_in_any_spelling() {
    for (name, value) in [
        ("alg", r#""HS256""#),
        ("kid", r#""k""#),
        ("typ", r#""JWT""#),
        ("b64", "true"),
        ("crit", "[]"),
        ("zip", r#""DEF""#),
        ("enc", r#""A128GCM""#),
        ("jwk", "{}"),
        ("x5c", "[]"),
        ("other", "1"),
        ("", "1"),
    ] {
        let once = match name {
            "alg" => HEADER.to_owned(),
            _ => with_member(HEADER, &format!(r#""{name}":{value}"#)),
        };
        if !["crit", "zip", "enc"].contains(&name) {
            assert_eq!(verdict(&with_header(&once)), Ok(()), "{once}");
        }
        for spelling in spellings(name) {
            let member = format!(r#""{spelling}":{value}"#);
            for header in [
                with_member(&once, &member),
                with_first_member(&once, &member),
                with_member(&with_member(&once, r#""z":0"#), &member),
            ] {
                assert_eq!(verdict(&with_header(&header)), Err(Malformed), "{header}");
            }
        }
    }
    for header in [
        r#"{"alg":"none","alg":"HS256"}"#,
        r#"{"alg":"HS256","alg":"none"}"#,
        r#"{"alg":"HS256","\u0061lg":"none"}"#,
    ] {
        assert_eq!(verdict(&with_header(header)), Err(Malformed), "{header}");
    }
}

#[test]
fn a_header_with_crit_b64_zip_or_enc_is_refused_with_any_value() {
    const VALUES: &str = r#"null|true|false|0|""|"none"|"b64"|[]|[null]|["b64"]|["alg","exp"]|{}"#;
    assert_eq!(with(r#""b64":true"#), Ok(()));
    for name in ["crit", "zip", "enc"] {
        for spelling in spellings(name) {
            for value in VALUES.split('|') {
                let member = format!(r#""{spelling}":{value}"#);
                assert_eq!(with(&member), Err(UnsupportedHeader), "{member}");
                let member = format!(r#"{member},"b64":true"#);
                assert_eq!(with(&member), Err(UnsupportedHeader), "{member}");
            }
        }
        let another = format!(r#""{}":["x"]"#, name.to_uppercase());
        assert_eq!(with(&another), Ok(()), "{another}");
    }
    for spelling in spellings("b64") {
        let member = format!(r#""{spelling}":false"#);
        assert_eq!(with(&member), Err(UnsupportedHeader), "{member}");
        for value in VALUES.split('|').filter(|value| *value != "true") {
            assert!(with(&format!(r#""b64":{value}"#)).is_err(), "{value}");
        }
    }
}

/// RFC 7797: the claims stand in the token as they are, and the signature is over them.
#[test]
fn claims_that_are_not_encoded_are_refused() {
    let payload = good_claims();
    assert_eq!(verdict(&sealed(&encode(HEADER), &encode(&payload))), Ok(()));
    for header in [
        HEADER,
        r#"{"alg":"HS256","b64":false}"#,
        r#"{"alg":"HS256","b64":false,"crit":["b64"]}"#,
    ] {
        for payload in [payload.as_str(), ""] {
            let answer = verdict(&sealed(&encode(header), payload));
            assert!(answer.is_err(), "{header}, {payload}");
        }
    }
}

#[test]
fn only_the_types_of_access_tokens_are_accepted() {
    const OTHERS: &str = "| |JWT | JWT|JWT\\u0000|JW|JWTT|JOSE|JOSE+JSON|JWE|JWS|at|at jwt|\
        at+jwt+x|xat+jwt|at+jwt;v=1|jwt, at+jwt|application/|application|\
        application/application/jwt|application\\u002f|text/jwt|application/x/jwt|/jwt|\
        applicationjwt|ＪＷＴ|ＡＴ+JWT|äpplication/jwt|id+jwt|logout+jwt|secevent+jwt|\
        token-introspection+jwt|oauth-authz-req+jwt|client-authentication+jwt|\
        application/dpop+jwt|application/rt+jwt";
    for typ in r"application/jwt|APPLICATION/AT+JWT|AT+JWT|\u004aWT|at\u002bjwt".split('|') {
        assert_eq!(with(&format!(r#""typ":"{typ}""#)), Ok(()), "{typ}");
    }
    for typ in OTHERS.split('|').map(|typ| format!(r#""typ":"{typ}""#)) {
        assert_eq!(with(&typ), Err(WrongType), "{typ}");
    }
    for typ in r#"null|0|true|[]|["JWT"]|{"typ":"JWT"}"#.split('|') {
        assert!(with(&format!(r#""typ":{typ}"#)).is_err(), "{typ}");
    }
}

#[test]
fn a_kid_is_compared_and_nothing_else() {
    const OTHERS: &str = "|K|k | k|k\\u0000|kk|ｋ|*|%6B|../k|../../dev/null|./k|k' OR '1'='1|\
        \\r\\nk|https://attacker.example/k|\\\\\\\\host\\\\k";
    let verifier = builder_without_key().key(key().verifying().with_kid("k"));
    let verifier = verifier.build().unwrap();
    let with = |kid: &str| {
        let header = with_member(HEADER, &format!(r#""kid":{kid}"#));
        verify(&verifier, &with_header(header)).map(drop)
    };
    for kid in [r#""k""#, r#""\u006b""#] {
        assert_eq!(with(kid), Ok(()), "{kid}");
    }
    for kid in OTHERS.split('|').map(|kid| format!("\"{kid}\"")) {
        assert_eq!(with(&kid), Err(UnknownKey), "{kid}");
    }
    for kid in r#"null|0|true|[]|["k"]|{"k":"k"}"#.split('|') {
        assert!(with(kid).is_err(), "{kid}");
    }
}

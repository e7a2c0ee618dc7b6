use VerifyErrorKind::*;

use super::*;

/// The verdict on good claims but for the value of `name`, which is this very text.
fn with_value(name: &str, value: &str) -> Result<(), VerifyErrorKind> {
    let claims = super::super::claims(json!({ name: null })).to_string();
    let member = format!(r#""{name}":{value}"#);
    verdict(&with_payload(with_member(&claims, &member)))
}

#[test]
fn claims_that_repeat_a_member_are_refused_in_any_spelling() {
    let members = json!({
        "nbf": 1, "jti": "j", "sid": "s", "client_id": "c", "scope": "a", "auth_time": 1,
        "acr": "1", "other": 1,
    });
    let claims = super::super::claims(members);
    let once = claims.to_string();
    assert_eq!(verdict(&with_payload(&once)), Ok(()));
    for (name, value) in claims.as_object().unwrap() {
        let escaped = format!("\\u{:04x}{}", name.as_bytes()[0], &name[1..]);
        for spelling in [name, &escaped] {
            let member = format!(r#""{spelling}":{value}"#);
            for claims in [
                with_member(&once, &member),
                with_first_member(&once, &member),
            ] {
                let answer = verdict(&with_payload(&claims));
                assert_eq!(answer, Err(MalformedClaims), "{claims}");
            }
        }
    }
    for bound in [
        r#"{"jkt":"a","jkt":"a"}"#,
        r#"{"jkt":"a","x":{"y":1,"y":1}}"#,
    ] {
        assert_eq!(with_value("cnf", bound), Err(MalformedClaims), "{bound}");
    }
    assert_eq!(with_value("cnf", r#"{"jkt":"a"}"#), Err(ProofRequired));
}

#[test]
fn a_date_is_a_finite_number_before_the_year_10000() {
    for (name, value, expected) in [
        ("exp", "1800000010", Ok(())),
        ("exp", "1800000010.0", Ok(())),
        ("exp", "1.80000001E9", Ok(())),
        ("exp", "1800000010000e-3", Ok(())),
        ("exp", "1800000000.001", Ok(())),
        ("exp", "1800000000.0", Err(Expired)),
        ("exp", "1799999999.999", Err(Expired)),
        ("exp", "0", Err(Expired)),
        ("exp", "-0", Err(Expired)),
        ("exp", "-0.0", Err(Expired)),
        ("exp", "-1.5", Err(Expired)),
        ("exp", "1e-400", Err(Expired)),
        ("exp", "253402300800", Err(MalformedClaims)),
        ("exp", "253402300800.0", Err(MalformedClaims)),
        ("exp", "2.534023008e11", Err(MalformedClaims)),
        ("exp", "1800000010000", Err(MalformedClaims)),
        ("nbf", "0", Ok(())),
        ("nbf", "-1", Ok(())),
        ("nbf", "-1.5", Ok(())),
        ("nbf", "1800000030.0", Ok(())),
        ("nbf", "1800000030.001", Err(NotYetValid)),
        ("nbf", "253402300799", Err(NotYetValid)),
        ("nbf", "253402300800", Err(MalformedClaims)),
        ("iat", "0", Ok(())),
        ("iat", "-1", Ok(())),
        ("iat", "1800000030.001", Err(IssuedInFuture)),
        ("iat", "253402300799", Err(IssuedInFuture)),
        ("iat", "253402300800", Err(MalformedClaims)),
    ] {
        assert_eq!(with_value(name, value), expected, "{name} {value}");
    }
}

#[test]
fn a_date_that_is_not_such_a_number_is_refused() {
    const OTHERS: &str = r#"1e308|1e309|1e999|-1e999|1E+400|18446744073709551616|NaN|nan|-NaN|
        Infinity|-Infinity|inf|1.#INF|undefined|true|false|[]|[1800000010]|{}|
        {"$numberLong":"1800000010"}|""|"1800000010"|"NaN"|"1e9"|"2027-01-15T08:00:10Z"|01800000010|
        +1800000010|0x6b49d20a|1_800_000_010|1800000010.|.5|1.8e|--1|1 8|"#;
    let many_digits = format!("1{}", "0".repeat(400));
    for name in ["exp", "nbf", "iat", "auth_time"] {
        assert_eq!(with_value(name, "1800000010"), Ok(()), "{name}");
        for value in OTHERS.split('|').chain([&*many_digits]) {
            assert_eq!(
                with_value(name, value),
                Err(MalformedClaims),
                "{name} {value}"
            );
        }
    }
}

#[test]
fn a_null_instead_of_a_claim_that_the_verdict_needs_is_refused() {
    assert_eq!(verdict(&with_payload(good_claims())), Ok(()));
    for name in ["exp", "iss", "aud", "cnf"] {
        assert!(with_value(name, "null").is_err(), "{name}");
    }
}

#[test]
fn an_issuer_is_the_configured_name_byte_by_byte() {
    const OTHERS: &str = r#"""|"HTTPS://AUTH.EXAMPLE"|"http://auth.example"|
        "https://auth.example "|"https://auth.example\u0000"|"https://auth.example:443"|
        "https://auth.example/."|"https://auth.example.attacker.example"|
        "https://auth.example@attacker.example"|"https://\u0430uth.example"|"auth.example"|
        "https://api.example""#;
    assert_eq!(with_value("iss", r#""https:\/\/auth.example""#), Ok(()));
    for value in OTHERS.split('|') {
        assert_eq!(with_value("iss", value), Err(WrongIssuer), "{value}");
    }
    for value in ["true", "[]", r#"{"iss":"https://auth.example"}"#] {
        assert_eq!(with_value("iss", value), Err(MalformedClaims), "{value}");
    }
}

#[test]
fn an_audience_has_the_configured_name_among_its_strings() {
    const OTHERS: &str = r#"""|[""]|"https://api.example/"|"https://API.example"|
        "https://api.exampl"|"https://api.example https://other.example"|"https://api.example,x"|
        "*"|"[\"https://api.example\"]"|["https://other.example","https://auth.example"]"#;
    const NO_STRINGS: &str = r#"[["https://api.example"]]|["https://api.example",null]|
        [1,"https://api.example"]|{"https://api.example":true}|{}|false|1"#;
    for value in [
        r#""https:\/\/api.example""#,
        r#"["https://api.example","https://api.example"]"#,
    ] {
        assert_eq!(with_value("aud", value), Ok(()), "{value}");
    }
    for value in OTHERS.split('|') {
        assert_eq!(with_value("aud", value), Err(WrongAudience), "{value}");
    }
    for value in NO_STRINGS.split('|') {
        assert_eq!(with_value("aud", value), Err(MalformedClaims), "{value}");
    }
}

#[test]
fn a_registered_claim_of_another_type_is_refused() {
    for name in ["sub", "jti", "sid", "client_id", "acr"] {
        assert_eq!(with_value(name, r#""text""#), Ok(()), "{name}");
        for value in ["1", "true", "[]", r#"["text"]"#, "{}"] {
            assert_eq!(
                with_value(name, value),
                Err(MalformedClaims),
                "{name} {value}"
            );
        }
    }
    for value in ["1", "true", r#""jkt""#, "[]"] {
        assert_eq!(
            with_value("cnf", value),
            Err(MalformedClaims),
            "cnf {value}"
        );
    }
}

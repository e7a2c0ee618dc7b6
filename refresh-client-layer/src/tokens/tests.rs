use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::*;

const NOW: SystemTime = SystemTime::UNIX_EPOCH;

fn parse(json: &str) -> Result<TokenSet, InvalidTokensKind> {
    TokenSet::from_json(json.as_bytes()).map_err(|error| error.kind())
}

fn lifetime(expires_in: &str) -> Option<Duration> {
    let json = format!(r#"{{"access_token":"a","refresh_token":"r","expires_in":{expires_in}}}"#);
    parse(&json).unwrap().lifetime(NOW)
}

fn jwt(claims: &str) -> String {
    format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims))
}

#[test]
fn camel_case_members_are_read_like_the_standard_ones() {
    let json =
        r#"{"accessToken":"a","refreshToken":"r","tokenType":"bearer","expiresIn":5,"other":[1]}"#;
    let tokens = parse(json).unwrap();
    assert_eq!(tokens.access_token().secret(), "a");
    assert_eq!(tokens.refresh_token().secret(), "r");
    assert_eq!(tokens.lifetime(NOW), Some(Duration::from_secs(5)));
}

#[test]
fn members_that_a_server_means_otherwise_do_not_matter() {
    let json = r#"{"access_token":"a","refresh_token":"r","expires_at":"2026-11-21T00:00:00Z",
        "generation":{},"idempotency_key":7,"scope":[]}"#;
    assert!(parse(json).is_ok());
    assert!(crate::StoredTokens::from_json(json.as_bytes()).is_ok());
}

#[test]
fn a_token_type_other_than_bearer_is_refused() {
    let json = r#"{"access_token":"a","refresh_token":"r","token_type":"DPoP"}"#;
    assert_eq!(parse(json).unwrap_err(), InvalidTokensKind::NotBearer);
}

#[test]
fn an_array_is_no_object() {
    let json = r#"["a",null,"r",null,null,null,null,null,null,null,null,null]"#;
    assert_eq!(parse(json).unwrap_err(), InvalidTokensKind::NotJson);
}

#[test]
fn a_missing_token_is_named() {
    let no_access = parse(r#"{"refresh_token":"r"}"#).unwrap_err();
    assert_eq!(no_access, InvalidTokensKind::NoAccessToken);
    let no_refresh = parse(r#"{"access_token":"a"}"#).unwrap_err();
    assert_eq!(no_refresh, InvalidTokensKind::NoRefreshToken);
    let empty = parse(r#"{"access_token":"a","refresh_token":""}"#).unwrap_err();
    assert_eq!(empty, InvalidTokensKind::NoRefreshToken);
    let truncated = parse(r#"{"access_token":"a","#).unwrap_err();
    assert_eq!(truncated, InvalidTokensKind::NotJson);
}

/// Law S5.
#[test]
fn characters_that_a_header_cannot_carry_are_a_clean_error() {
    for bad in [
        "",
        "a\\rb",
        "a\\nb",
        "a\\u0000b",
        "a b",
        "\\u00e9",
        "a\\u007f",
    ] {
        let json = format!(r#"{{"access_token":"{bad}","refresh_token":"r"}}"#);
        assert_eq!(
            parse(&json).unwrap_err(),
            InvalidTokensKind::Characters,
            "access token {bad:?}"
        );
    }
    for bad in ["a\\rb", "a\\u0000b", "\\u00e9"] {
        let json = format!(r#"{{"access_token":"a","refresh_token":"{bad}"}}"#);
        assert_eq!(
            parse(&json).unwrap_err(),
            InvalidTokensKind::Characters,
            "refresh token {bad:?}"
        );
    }
}

#[test]
fn lifetimes_are_read_from_whatever_servers_write() {
    assert_eq!(lifetime("900"), Some(Duration::from_secs(900)));
    assert_eq!(lifetime("1.5"), Some(Duration::from_millis(1500)));
    assert_eq!(lifetime("\"60\""), Some(Duration::from_secs(60)));
    assert_eq!(lifetime("0"), Some(Duration::ZERO));
    assert_eq!(lifetime("-5"), Some(Duration::ZERO));
    assert_eq!(lifetime("1e300"), Some(LONGEST_LIFETIME));
    assert_eq!(lifetime("18446744073709551615"), Some(LONGEST_LIFETIME));
    assert_eq!(lifetime("\"soon\""), None);
    assert_eq!(lifetime("null"), None);
    assert_eq!(lifetime("[]"), None);
}

#[test]
fn without_a_stated_lifetime_the_exp_of_a_jwt_counts() {
    let tokens = TokenSet::new(jwt(r#"{"exp":120}"#), "r");
    assert_eq!(tokens.lifetime(NOW), Some(Duration::from_secs(120)));
    let stated = tokens.expires_in(Duration::from_secs(7));
    assert_eq!(stated.lifetime(NOW), Some(Duration::from_secs(7)));
}

#[test]
fn an_exp_is_counted_from_the_servers_own_date() {
    let server_now = NOW + Duration::from_secs(100);
    let tokens = TokenSet::new(jwt(r#"{"exp":120}"#), "r").dated(server_now);
    assert_eq!(tokens.lifetime(NOW), Some(Duration::from_secs(20)));
}

#[test]
fn what_is_not_a_jwt_has_no_expiry() {
    for access in ["opaque", "a.b", "a.b.c.d", &jwt("{}"), &jwt("[]")] {
        assert_eq!(TokenSet::new(access, "r").lifetime(NOW), None, "{access}");
    }
    let far = TokenSet::new(jwt(r#"{"exp":1e300}"#), "r").lifetime(NOW);
    assert!(far.is_none_or(|lifetime| lifetime == LONGEST_LIFETIME));
}

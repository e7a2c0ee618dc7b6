//! Is this response a request for a fresher token?

use std::sync::Arc;

use http::header::WWW_AUTHENTICATE;
use http::{HeaderMap, HeaderName, StatusCode};

/// The rule in use.
#[derive(Clone, Default)]
pub(crate) enum Rule {
    #[default]
    Default,
    Own(Arc<Predicate>),
}

type Predicate = dyn Fn(StatusCode, &HeaderMap) -> bool + Send + Sync;

impl Rule {
    pub(crate) fn asks(&self, status: StatusCode, headers: &HeaderMap) -> bool {
        match self {
            Self::Default => wants_fresher_token(status, headers),
            Self::Own(rule) => rule(status, headers),
        }
    }
}

/// The default rule: true for a 401 whose `Bearer` or `DPoP` challenge says `invalid_token`, or that has no
/// such challenge with an error code at all (RFC 6750 section 3, RFC 9449 section 7.1); and for a gRPC
/// status of 16, unauthenticated.
///
/// A challenge that gives another code, such as `insufficient_scope`, is not cured by a new token. Of
/// several challenges one is enough.
fn wants_fresher_token(status: StatusCode, headers: &HeaderMap) -> bool {
    match status {
        StatusCode::UNAUTHORIZED => {
            let codes = error_codes(headers);
            codes.is_empty() || codes.iter().any(|code| code == "invalid_token")
        }
        StatusCode::OK => headers.get(GRPC_STATUS).is_some_and(|code| code == "16"),
        _ => false,
    }
}

/// True for a 401 that brings the nonce that it misses in the proof (RFC 9449 section 9).
pub(crate) fn wants_nonce(status: StatusCode, headers: &HeaderMap) -> bool {
    status == StatusCode::UNAUTHORIZED
        && headers.contains_key("dpop-nonce")
        && error_codes(headers).contains(&"use_dpop_nonce".to_owned())
}

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// The error codes of all `Bearer` and `DPoP` challenges.
fn error_codes(headers: &HeaderMap) -> Vec<String> {
    let values = headers.get_all(WWW_AUTHENTICATE).iter();
    values
        .filter(|value| value.len() <= LONGEST_HEADER)
        // Quoted strings may have bytes that are no text (RFC 9110 section 5.5).
        .map(|value| String::from_utf8_lossy(value.as_bytes()))
        .flat_map(|value| error_codes_in(&value))
        .collect()
}

/// Walks the comma-separated mixture of schemes and parameters of RFC 9110 section 11.6.1.
fn error_codes_in(value: &str) -> Vec<String> {
    let mut codes = Vec::new();
    let mut is_ours = false;
    for item in split_outside_quotes(value) {
        let (scheme, parameter) = split_scheme(item);
        if let Some(scheme) = scheme {
            is_ours = ["bearer", "dpop"]
                .iter()
                .any(|it| scheme.eq_ignore_ascii_case(it));
        }
        let Some((name, value)) = parameter.split_once('=') else {
            continue;
        };
        if is_ours && name.trim().eq_ignore_ascii_case("error") {
            codes.push(unquote(value.trim()));
        }
    }
    codes.retain(|code| code.is_ascii());
    codes
}

/// `Bearer realm="x"` is a scheme and a parameter, `Basic` a scheme alone, `error="x"` a parameter.
fn split_scheme(item: &str) -> (Option<&str>, &str) {
    let end = item
        .find(|c: char| c.is_ascii_whitespace() || c == '=')
        .unwrap_or(item.len());
    let (word, rest) = item.split_at(end);
    let rest = rest.trim_start();
    if rest.starts_with('=') {
        (None, item)
    } else {
        (Some(word), rest)
    }
}

fn split_outside_quotes(value: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    let mut escaped = false;
    value
        .split(move |c| {
            match c {
                _ if escaped => escaped = false,
                '\\' if quoted => escaped = true,
                '"' => quoted = !quoted,
                _ => {}
            }
            c == ',' && !quoted
        })
        .map(str::trim)
        .filter(|item| !item.is_empty())
}

fn unquote(value: &str) -> String {
    let Some(inner) = value.strip_prefix('"') else {
        return value.to_owned();
    };
    let mut text = String::new();
    let mut escaped = false;
    for c in inner.chars() {
        match c {
            _ if escaped => {
                text.push(c);
                escaped = false;
            }
            '\\' => escaped = true,
            '"' => break,
            _ => text.push(c),
        }
    }
    text
}

/// No honest challenge is longer; a longer one counts as none.
const LONGEST_HEADER: usize = 8 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn wants(status: u16, challenges: &[&str]) -> bool {
        let mut headers = HeaderMap::new();
        for challenge in challenges {
            headers.append(WWW_AUTHENTICATE, challenge.parse().unwrap());
        }
        wants_fresher_token(StatusCode::from_u16(status).unwrap(), &headers)
    }

    #[test]
    fn a_401_without_a_bearer_code_or_with_invalid_token_wants_a_fresher_token() {
        assert!(wants(401, &[]));
        assert!(wants(401, &["Bearer"]));
        assert!(wants(401, &["Bearer realm=\"api\""]));
        assert!(wants(401, &["Bearer error=\"invalid_token\""]));
        assert!(wants(401, &["bearer realm=x, ERROR = invalid_token"]));
        assert!(wants(401, &["Basic realm=\"a\""]));
        assert!(wants(401, &["Basic error=\"invalid_request\""]));
    }

    /// Law H4.
    #[test]
    fn a_grpc_status_of_16_wants_a_fresher_token() {
        for (code, wants) in [("16", true), ("0", false), ("7", false), ("160", false)] {
            let mut headers = HeaderMap::new();
            headers.insert("grpc-status", code.parse().unwrap());
            assert_eq!(
                wants_fresher_token(StatusCode::OK, &headers),
                wants,
                "{code}"
            );
        }
    }

    /// Law H5.
    #[test]
    fn other_statuses_and_codes_never_refresh() {
        assert!(!wants(403, &["Bearer error=\"insufficient_scope\""]));
        assert!(!wants(403, &["Bearer error=\"invalid_token\""]));
        assert!(!wants(401, &["Bearer error=\"insufficient_scope\""]));
        assert!(!wants(401, &["Bearer error=\"invalid_request\""]));
        assert!(!wants(200, &["Bearer error=\"invalid_token\""]));
        assert!(!wants(407, &[]));
    }

    #[test]
    fn a_dpop_challenge_counts_like_a_bearer_challenge() {
        assert!(wants(401, &["DPoP algs=\"ES256\""]));
        assert!(wants(
            401,
            &["DPoP error=\"invalid_token\", algs=\"ES256\""]
        ));
        assert!(wants(401, &["Bearer, DPoP error=\"invalid_token\""]));
        let codes = [
            "Bearer error=\"invalid_request\"",
            "DPoP error=\"invalid_token\"",
        ];
        for [first, second] in [codes, [codes[1], codes[0]]] {
            assert!(wants(401, &[first, second]));
            assert!(wants(401, &[&format!("{first}, {second}")]));
        }
        assert!(!wants(401, &["DPoP error=\"use_dpop_nonce\""]));
        assert!(!wants(401, &["DPoP error=\"invalid_dpop_proof\""]));
    }

    #[test]
    fn a_nonce_is_wanted_by_a_401_that_brings_it() {
        let mut headers = HeaderMap::new();
        let challenge = "DPoP error=\"use_dpop_nonce\"".parse().unwrap();
        headers.insert(WWW_AUTHENTICATE, challenge);
        assert!(!wants_nonce(StatusCode::UNAUTHORIZED, &headers));
        headers.insert("dpop-nonce", "n".parse().unwrap());
        assert!(wants_nonce(StatusCode::UNAUTHORIZED, &headers));
        assert!(!wants_nonce(StatusCode::BAD_REQUEST, &headers));
    }

    /// Law H5.
    #[test]
    fn a_bearer_challenge_is_found_among_others() {
        assert!(!wants(
            401,
            &[
                "Basic realm=\"a, Bearer error=x\", Bearer realm=\"b\", error=\"insufficient_scope\""
            ]
        ));
        assert!(!wants(
            401,
            &["Negotiate", "Bearer error=\"insufficient_scope\""]
        ));
        assert!(wants(
            401,
            &[r#"Basic realm="a\", Bearer error=insufficient_scope, b=\"""#]
        ));
        assert!(wants(
            401,
            &["Bearer error=\"invalid_token\", Basic error=\"other\""]
        ));
    }

    /// Law H5.
    #[test]
    fn a_quoted_string_may_have_any_bytes() {
        for realm in [&b"M\xfcller"[..], "M\u{fc}ller".as_bytes()] {
            for (code, wants) in [("insufficient_scope", false), ("invalid_token", true)] {
                let code = format!("\", error=\"{code}\"");
                let challenge = [b"Bearer realm=\"", realm, code.as_bytes()].concat();
                let challenge = http::HeaderValue::from_bytes(&challenge).unwrap();
                let headers = HeaderMap::from_iter([(WWW_AUTHENTICATE, challenge)]);
                let asks = wants_fresher_token(StatusCode::UNAUTHORIZED, &headers);
                assert_eq!(asks, wants, "{code}");
            }
        }
    }

    /// Law H5.
    #[test]
    fn malformed_and_huge_challenges_count_as_none() {
        for challenge in [
            "",
            ",,,",
            "=",
            "Bearer =",
            "Bearer \"",
            "Bearer error",
            "\"\\",
        ] {
            assert!(wants(401, &[challenge]), "{challenge:?}");
        }
        let huge = format!("Bearer x=\"{}\", error=\"other\"", "a".repeat(9000));
        assert!(wants(401, &[&huge]));
        let mut headers = HeaderMap::new();
        let bytes = http::HeaderValue::from_bytes(b"Bearer error=\"\xff\"").unwrap();
        headers.insert(WWW_AUTHENTICATE, bytes);
        assert!(wants_fresher_token(StatusCode::UNAUTHORIZED, &headers));
    }
}

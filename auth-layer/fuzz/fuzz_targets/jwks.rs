//! Any text as a key set: read or refused, and every key that is used has its one algorithm.
#![no_main]

use auth_layer::VerifyingKey;
use auth_layer::keys::Jwks;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(key) = VerifyingKey::from_jwk(text) {
        assert!(VerifyingKey::from_jwk_as(key.algorithm(), text).is_ok());
    }
    if let Ok(set) = Jwks::parse(text) {
        for skipped in set.skipped() {
            assert!(!skipped.error().to_string().is_empty());
        }
        let _ = format!("{:?}", set.keys());
    }
});

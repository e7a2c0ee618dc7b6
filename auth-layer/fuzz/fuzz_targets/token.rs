//! Any text as a token: a verdict, no panic, and never acceptance without the key's signature. The
//! second half signs what the fuzzer made up, so that claims are read too.
#![no_main]

use std::sync::LazyLock;

use auth_layer::clock::ManualClock;
use auth_layer::{Algorithm, SigningKey, Timestamp, Verifier, Verify as _};
use libfuzzer_sys::fuzz_target;

static VERIFIER: LazyLock<Verifier> = LazyLock::new(|| {
    Verifier::builder()
        .key(key().verifying())
        .issuer("https://auth.example")
        .audience("https://api.example")
        .clock(ManualClock::at(Timestamp::from_secs(1_800_000_000)))
        .build()
        .expect("it is configured")
});

fn key() -> SigningKey {
    SigningKey::from_secret(Algorithm::HS256, &[7; 32]).expect("32 bytes")
}

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    assert!(pollster::block_on(VERIFIER.verify(text)).is_err());
    // Claims that the fuzzer chose, under a good signature: read or refused.
    if let Some((header, claims)) = text.split_once('\n') {
        let token = signed::jws(header, claims);
        if let Ok(claims) = pollster::block_on(VERIFIER.verify(&token)) {
            assert_eq!(claims.issuer(), Some("https://auth.example"));
            assert!(claims.expires_at() > Some(Timestamp::from_secs(1_800_000_000)));
        }
    }
});

mod signed {
    use aws_lc_rs::hmac;
    use base64::Engine as _;
    use base64::prelude::BASE64_URL_SAFE_NO_PAD;

    /// A JWS over these very bytes.
    pub fn jws(header: &str, claims: &str) -> String {
        let encode = |part: &str| BASE64_URL_SAFE_NO_PAD.encode(part);
        let message = format!("{}.{}", encode(header), encode(claims));
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &[7; 32]), message.as_bytes());
        format!("{message}.{}", BASE64_URL_SAFE_NO_PAD.encode(tag))
    }
}

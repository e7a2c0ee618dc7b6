mod attacks;
mod claims;
mod differential;
mod headers;
mod rfc;
mod vectors;
mod wycheproof;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::clock::{ManualClock, Timestamp};
use crate::keys::{Algorithm, SigningKey};
use crate::verify::{Verifier, VerifierBuilder, VerifyErrorKind};

const NOW: i64 = 1_800_000_000;

fn key() -> SigningKey {
    SigningKey::from_secret(Algorithm::HS256, &[7; 32]).unwrap()
}

fn builder() -> VerifierBuilder {
    builder_without_key().key(key().verifying())
}

fn builder_without_key() -> VerifierBuilder {
    Verifier::builder()
        .issuer("https://auth.example")
        .audience("https://api.example")
        .clock(ManualClock::at(Timestamp::from_secs(NOW)))
}

/// The claims of a good token, less or more what `changes` says; null takes a claim away.
fn claims(changes: Value) -> Value {
    let mut claims = json!({
        "iss": "https://auth.example",
        "aud": "https://api.example",
        "sub": "alice",
        "iat": NOW - 10,
        "exp": NOW + 10,
    });
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
        .as_object_mut()
        .unwrap()
        .retain(|_, value| !value.is_null());
    claims
}

fn verify<C>(verifier: &Verifier<C>, token: &str) -> Result<crate::Claims<C>, VerifyErrorKind>
where
    C: serde::de::DeserializeOwned + Send + Sync + 'static,
{
    use crate::verify::Verify as _;
    let answer = verifier
        .verify(token)
        .now()
        .unwrap_or_else(|_| panic!("it waits"));
    answer.map_err(|it| it.kind())
}

/// A token with these very bytes as header and claims, properly signed.
fn token(header: &str, payload: &str) -> String {
    let encode = |part: &str| BASE64_URL_SAFE_NO_PAD.encode(part);
    let message = format!("{}.{}", encode(header), encode(payload));
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &[7; 32]);
    let tag = aws_lc_rs::hmac::sign(&key, message.as_bytes());
    format!("{message}.{}", BASE64_URL_SAFE_NO_PAD.encode(tag))
}

fn refused(header: &str, payload: &str) -> VerifyErrorKind {
    verify(&builder().build().unwrap(), &token(header, payload)).expect_err("it was accepted")
}

const HEADER: &str = r#"{"alg":"HS256"}"#;

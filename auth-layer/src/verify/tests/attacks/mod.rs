//! Tokens as an attacker may send them, generated from the rules. Most have a good signature, so
//! that nothing but the check that a test is about can refuse them.

mod algorithms;
mod claims;
mod encoding;
mod header;
mod json;
mod keys;
mod signatures;
mod signers;

use super::*;

/// The verdict of a fresh verifier.
fn verdict(token: &str) -> Result<(), VerifyErrorKind> {
    verify(&builder().build().unwrap(), token).map(drop)
}

/// A token of these two parts as they stand, signed with the right key.
fn sealed(header: &str, payload: &str) -> String {
    let message = format!("{header}.{payload}");
    let tag = signers::mac(Algorithm::HS256, &[7; 32], message.as_bytes());
    format!("{message}.{}", encode(tag))
}

/// A good token but for its claims, which are these very bytes.
fn with_payload(payload: impl AsRef<[u8]>) -> String {
    sealed(&encode(HEADER), &encode(payload))
}

/// A good token but for its header, which is these very bytes.
fn with_header(header: impl AsRef<[u8]>) -> String {
    sealed(&encode(header), &encode(good_claims()))
}

/// The claims of the good token.
fn good_claims() -> String {
    super::claims(json!({})).to_string()
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// The object with one more member at its end.
fn with_member(object: &str, member: &str) -> String {
    let open = object.strip_suffix('}').unwrap();
    format!("{open},{member}}}")
}

/// The object with one more member at its start.
fn with_first_member(object: &str, member: &str) -> String {
    let rest = object.strip_prefix('{').unwrap();
    format!("{{{member},{rest}")
}

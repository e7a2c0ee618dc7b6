use std::fmt;

use auth_layer::SessionId;
use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use zeroize::Zeroizing;

/// Closes records with AES-256-GCM, so that a store that is stolen tells nothing. Each is tied to its
/// session: moved to another, it does not open.
pub(crate) struct Seal(RandomizedNonceKey);

impl Seal {
    pub(crate) fn new(secret: &[u8; 32]) -> Result<Self, Broken> {
        let key = RandomizedNonceKey::new(&AES_256_GCM, secret);
        key.map(Self).map_err(|_| Broken)
    }

    pub(crate) fn close(&self, sid: SessionId, record: &[u8]) -> Result<Vec<u8>, Broken> {
        let mut sealed = record.to_vec();
        let nonce = self
            .0
            .seal_in_place_append_tag(Aad::from(sid.as_bytes()), &mut sealed);
        let nonce = nonce.map_err(|_| Broken)?;
        Ok([nonce.as_ref().as_slice(), &sealed].concat())
    }

    pub(crate) fn open(&self, sid: SessionId, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Broken> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_LEN>().ok_or(Broken)?;
        let mut record = Zeroizing::new(sealed.to_vec());
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let opened = self
            .0
            .open_in_place(nonce, Aad::from(sid.as_bytes()), &mut record);
        let length = opened.map_err(|_| Broken)?.len();
        record.truncate(length);
        Ok(record)
    }
}

/// A record that was not sealed here, or not for this session.
#[derive(Debug)]
pub(crate) struct Broken;

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the seal of a record is broken: gateways that share a store need the same --keys",
        )
    }
}

impl std::error::Error for Broken {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_opens_under_its_own_key_and_session_only() {
        let [alice, bob] = [1, 2].map(|it| SessionId::from_bytes([it; 16]));
        let seal = Seal::new(&[7; 32]).unwrap();
        let sealed = seal.close(alice, b"refresh token").unwrap();
        assert_eq!(**seal.open(alice, &sealed).unwrap(), *b"refresh token");
        assert!(seal.open(bob, &sealed).is_err());
        assert!(Seal::new(&[8; 32]).unwrap().open(alice, &sealed).is_err());
        assert!(seal.open(alice, &sealed[..5]).is_err());
        let text = String::from_utf8_lossy(&sealed);
        assert!(!text.contains("token"));
        assert_ne!(seal.close(alice, b"refresh token").unwrap(), sealed);
    }
}

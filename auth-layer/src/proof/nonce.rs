use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::HeaderValue;

use crate::clock::Timestamp;

/// Nonces that clients have to put into their proofs (RFC 9449 s9): nobody can make proofs for later,
/// and a client's wrong clock does not matter.
///
/// They are derived from the time and a secret, so nothing is stored, and all processes with the
/// same secret accept each other's. A nonce is handed out for one window and accepted for one more;
/// clients get the next one with an answer while the old one still does.
///
/// ```
/// use auth_layer::proof::{Dpop, Nonces};
///
/// # let secret = [7; 32];
/// let dpop = Dpop::new().nonces(Nonces::new(&secret)?);
/// # Ok::<(), auth_layer::proof::NonceSecretTooShort>(())
/// ```
#[derive(Clone)]
pub struct Nonces {
    key: Arc<hmac::Key>,
    window: Duration,
}

/// What a nonce that is still accepted says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Accepted {
    /// When it will not be accepted any more.
    pub(super) until: Timestamp,
    /// Whether a newer one is handed out already.
    pub(super) is_stale: bool,
}

impl Nonces {
    /// Nonces of a window of 60 s, from a secret that nobody else has.
    ///
    /// # Errors
    /// When the secret is shorter than 32 bytes.
    pub fn new(secret: &[u8]) -> Result<Self, NonceSecretTooShort> {
        if secret.len() < 32 {
            return Err(NonceSecretTooShort(()));
        }
        Ok(Self {
            key: Arc::new(hmac::Key::new(hmac::HMAC_SHA256, secret)),
            window: Duration::from_secs(60),
        })
    }

    /// Hands out a new nonce so often; at least a second. Default: 60 s.
    #[must_use]
    pub fn window(mut self, window: Duration) -> Self {
        self.window = window.max(Duration::from_secs(1));
        self
    }

    /// The nonce to hand out now.
    pub(super) fn current(&self, now: Timestamp) -> HeaderValue {
        let nonce = self.nonce(self.number(now));
        // base64url only.
        HeaderValue::from_str(&nonce).unwrap_or(HeaderValue::from_static(""))
    }

    pub(super) fn check(&self, nonce: &str, now: Timestamp) -> Option<Accepted> {
        let number = self.number(now);
        let is = |number| {
            verify_slices_are_equal(self.nonce(number).as_bytes(), nonce.as_bytes()).is_ok()
        };
        let accepted = |number: i64, is_stale| Accepted {
            until: Timestamp::from_millis(number.saturating_add(2).saturating_mul(self.millis())),
            is_stale,
        };
        match () {
            () if is(number) => Some(accepted(number, false)),
            () if is(number - 1) => Some(accepted(number - 1, true)),
            () => None,
        }
    }

    fn number(&self, now: Timestamp) -> i64 {
        now.as_millis().div_euclid(self.millis())
    }

    fn millis(&self) -> i64 {
        i64::try_from(self.window.as_millis()).unwrap_or(i64::MAX)
    }

    fn nonce(&self, number: i64) -> String {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(b"auth-layer DPoP nonce 1\0");
        context.update(&number.to_be_bytes());
        BASE64_URL_SAFE_NO_PAD.encode(&context.sign().as_ref()[..24])
    }
}

impl fmt::Debug for Nonces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nonces")
            .field("window", &self.window)
            .finish_non_exhaustive()
    }
}

/// A secret of fewer than 32 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NonceSecretTooShort(());

impl fmt::Display for NonceSecretTooShort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the secret of the DPoP nonces is shorter than 32 random bytes")
    }
}

impl std::error::Error for NonceSecretTooShort {}

//! The one thing a client may read in its own access token, without verifying it: when it dies.

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use super::LONGEST_LIFETIME;

/// The `exp` of a JWT, `None` if `token` is not one (RFC 7519 section 4.1.4).
pub(super) fn expiry(token: &str) -> Option<SystemTime> {
    let mut parts = token.split('.');
    let (_header, claims, _signature) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || claims.len() > LONGEST_CLAIMS {
        return None;
    }
    let claims = URL_SAFE_NO_PAD.decode(claims).ok()?;
    let Claims { exp } = serde_json::from_slice(&claims).ok()?;
    let since_epoch = Duration::try_from_secs_f64(exp.max(0.0)).ok()?;
    SystemTime::UNIX_EPOCH.checked_add(since_epoch.min(LATEST))
}

#[derive(Deserialize)]
struct Claims {
    exp: f64,
}

const LONGEST_CLAIMS: usize = 16 * 1024;

/// Some centuries after the epoch: an `exp` beyond it would not fit every platform's clock.
const LATEST: Duration = LONGEST_LIFETIME.saturating_mul(50);

use std::sync::{Mutex, PoisonError};

use http::HeaderMap;

/// The newest nonce of each origin (RFC 9449 section 8.2).
#[derive(Default)]
pub(super) struct Nonces(Mutex<Vec<(String, String)>>);

impl Nonces {
    pub(super) fn of(&self, url: &str) -> Option<String> {
        let origin = origin(url)?;
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, nonce) = known.iter().find(|(of, _)| *of == origin)?;
        Some(nonce.clone())
    }

    pub(super) fn note(&self, url: &str, headers: &HeaderMap) {
        let nonce = headers.get("dpop-nonce").and_then(|it| it.to_str().ok());
        let nonce = nonce.filter(|it| !it.is_empty() && it.len() <= LONGEST);
        let (Some(nonce), Some(origin)) = (nonce, origin(url)) else {
            return;
        };
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, kept)) = known.iter_mut().find(|(of, _)| *of == origin) {
            if kept != nonce {
                nonce.clone_into(kept);
            }
            return;
        }
        known.truncate(MOST - 1);
        known.insert(0, (origin, nonce.to_owned()));
    }
}

/// Scheme, host and port as they are written.
fn origin(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    Some(format!("{scheme}://{authority}").to_ascii_lowercase())
}

/// No honest nonce is longer.
const LONGEST: usize = 1024;

/// A session is for a handful of origins.
const MOST: usize = 32;

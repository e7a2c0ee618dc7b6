mod address;
mod nonces;
mod replays;
mod rfc;

use http::Request;
use http::request::Parts;

use super::ProofUse;
use crate::claims::Thumbprint;
use crate::clock::Timestamp;

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

fn head(request: http::request::Builder) -> Parts {
    request.body(()).unwrap().into_parts().0
}

fn get(uri: &str) -> http::request::Builder {
    Request::get(uri)
}

fn proof_use(key: u8, jti: &str, now: Timestamp) -> ProofUse {
    let until = now.plus(std::time::Duration::from_secs(65));
    ProofUse::new(Thumbprint::of(&[key]), jti, now, until)
}

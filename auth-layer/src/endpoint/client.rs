use std::collections::BTreeMap;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{self, Digest};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};

use super::form::Form;
use super::refusal::Refusal;

/// The OAuth clients that are known, with the hash of their secret if they have one.
#[derive(Clone, Default)]
pub(super) struct Clients(BTreeMap<String, Option<Digest>>);

impl Clients {
    pub(super) fn add(&mut self, id: String, secret: Option<&str>) {
        self.0.insert(id, secret.map(hash));
    }

    /// The client that sent the request: none, if it does not say.
    pub(super) fn authenticate(
        &self,
        headers: &HeaderMap,
        form: &Form<'_>,
    ) -> Result<Option<String>, Refusal> {
        let stated = form.get("client_id");
        let Some(basic) = basic(headers)? else {
            return match stated {
                Some(id) => self.check(id, form.get("client_secret")).map(Some),
                None if form.get("client_secret").is_some() => Err(Refusal::INVALID_CLIENT),
                None => Ok(None),
            };
        };
        let is_stated = |id: &str| stated.is_none_or(|stated| stated == id);
        let is_consistent = basic.iter().any(|pair| is_stated(&pair.id));
        if form.get("client_secret").is_some() || !is_consistent {
            return Err(Refusal::invalid(
                "The client authenticated with more than one method",
            ));
        }
        let mut client = Err(Refusal::INVALID_CLIENT);
        for pair in basic.iter().filter(|pair| is_stated(&pair.id)) {
            let secret = Some(&*pair.secret).filter(|secret| !secret.is_empty());
            client = client.or_else(|_| self.check(&pair.id, secret));
        }
        client.map(Some).map_err(Refusal::challenge_basic)
    }

    /// The client that sent the request, and that has proved it by a secret.
    pub(super) fn authenticate_confidential(
        &self,
        headers: &HeaderMap,
        form: &Form<'_>,
    ) -> Result<String, Refusal> {
        let client = self.authenticate(headers, form)?;
        let is_confidential = |id: &String| self.0.get(id).is_some_and(Option::is_some);
        client
            .filter(is_confidential)
            .ok_or(Refusal::INVALID_CLIENT)
    }

    pub(super) fn any_confidential(&self) -> bool {
        self.0.values().any(Option::is_some)
    }

    fn check(&self, id: &str, secret: Option<&str>) -> Result<String, Refusal> {
        let is_right = match (self.0.get(id), secret) {
            (Some(None), None) => true,
            (Some(Some(known)), Some(secret)) => {
                verify_slices_are_equal(known.as_ref(), hash(secret).as_ref()).is_ok()
            }
            _ => false,
        };
        is_right
            .then(|| id.to_owned())
            .ok_or(Refusal::INVALID_CLIENT)
    }
}

struct Basic {
    id: String,
    secret: String,
}

/// HTTP Basic, where both halves are encoded as in a form (RFC 6749 s2.3.1): the pair decoded, and as
/// it came, for the many clients that encode neither.
fn basic(headers: &HeaderMap) -> Result<Option<[Basic; 2]>, Refusal> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(Refusal::invalid("Authorization occurs twice"));
    }
    if carries_access_token(value) {
        return Ok(None);
    }
    let parse = || {
        let (scheme, encoded) = value.to_str().ok()?.split_once(' ')?;
        let decoded = BASE64_STANDARD.decode(encoded.trim()).ok()?;
        let (id, secret) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
        let decoded = Basic {
            id: form_decoded(id),
            secret: form_decoded(secret),
        };
        let raw = Basic {
            id: id.to_owned(),
            secret: secret.to_owned(),
        };
        let is_basic = scheme.eq_ignore_ascii_case("basic");
        is_basic.then_some([decoded, raw])
    };
    let refusal = || Refusal::INVALID_CLIENT.challenge_basic();
    parse().map(Some).ok_or_else(refusal)
}

/// Whether an `Authorization` carries an access token, which authenticates no client.
fn carries_access_token(value: &HeaderValue) -> bool {
    let scheme = value.as_bytes().split(|byte| *byte == b' ').next();
    scheme.is_some_and(|scheme| {
        scheme.eq_ignore_ascii_case(b"bearer") || scheme.eq_ignore_ascii_case(b"dpop")
    })
}

fn form_decoded(text: &str) -> String {
    let with_blanks = text.replace('+', " ");
    percent_encoding::percent_decode_str(&with_blanks)
        .decode_utf8_lossy()
        .into_owned()
}

fn hash(secret: &str) -> Digest {
    digest::digest(&digest::SHA256, secret.as_bytes())
}

//! What a verification costs the server, with and without the cache, beside jsonwebtoken.

use std::future::Future as _;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use auth_layer::{Algorithm, Claims, SigningKey, SigningKeys, Verifier, Verify as _};
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{DecodingKey, Validation};
use serde::Deserialize;
use serde_json::json;

use crate::BoxError;
use crate::report::Report;
use crate::rounds::{self, Effort, Series};

pub(crate) fn run(effort: Effort, report: &mut Report) -> Result<(), BoxError> {
    report.title("verify: one token, microseconds and ratios to jsonwebtoken, median (min..max)");
    report.row(&[
        &"",
        &"jsonwebtoken",
        &"uncached",
        &"ratio",
        &"cached",
        &"ratio",
    ]);
    for (ours, theirs) in [
        (Algorithm::HS256, jsonwebtoken::Algorithm::HS256),
        (Algorithm::ES256, jsonwebtoken::Algorithm::ES256),
        (Algorithm::EdDSA, jsonwebtoken::Algorithm::EdDSA),
    ] {
        let case = Case::new(ours, theirs)?;
        case.compare(effort, report)?;
    }
    Ok(())
}

struct Case {
    key: SigningKey,
    decoding: DecodingKey,
    validation: Validation,
    token: String,
}

const ISSUER: &str = "https://auth.example";
const AUDIENCE: &str = "https://api.example";

/// What the peer reads, as our `Claims` hold it.
#[derive(Deserialize)]
#[expect(dead_code, reason = "it is read for what it costs")]
struct Registered {
    iss: String,
    sub: String,
    aud: String,
    exp: u64,
    iat: u64,
    jti: String,
    sid: String,
    scope: String,
}

impl Case {
    fn new(ours: Algorithm, theirs: jsonwebtoken::Algorithm) -> Result<Self, BoxError> {
        let secret = [7; 32];
        let (key, decoding) = if ours == Algorithm::HS256 {
            let key = SigningKey::from_secret(ours, &secret)?;
            (key, DecodingKey::from_secret(&secret)?)
        } else {
            let key = SigningKey::generate(ours)?;
            let set: JwkSet = serde_json::from_str(&SigningKeys::new(key.clone()).jwks())?;
            (key, DecodingKey::from_jwk(&set.keys[0])?)
        };
        let token = key.sign(&json!({
            "iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "iat": 1_700_000_000, "exp": 4_000_000_000_u64,
            "jti": "0123456789abcdef", "sid": "0123456789abcdef", "scope": "read write",
        }))?;
        let mut validation = Validation::new(theirs);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[AUDIENCE]);
        Ok(Self {
            key,
            decoding,
            validation,
            token,
        })
    }

    fn compare(&self, effort: Effort, report: &Report) -> Result<(), BoxError> {
        let (cached, uncached) = (self.verifier(8_192)?, self.verifier(0)?);
        let (mut peer, mut slow, mut fast) = <(Series, Series, Series)>::default();
        for _ in 0..effort.rounds {
            let mut spent = [Duration::ZERO; 3];
            for _ in 0..BATCHES {
                spent[0] += batch(|| self.decode());
                spent[1] += batch(|| verify(&uncached, &self.token));
                spent[2] += batch(|| verify(&cached, &self.token));
            }
            let per_call = spent.map(|it| it.as_secs_f64() * 1e6 / f64::from(BATCHES * BATCH));
            peer.push(per_call[0]);
            slow.push(per_call[1]);
            fast.push(per_call[2]);
        }
        let name = format!("{:?}", self.key.algorithm());
        report.row(&[
            &name,
            &peer,
            &slow,
            &slow.over(&peer),
            &fast,
            &fast.over(&peer),
        ]);
        Ok(())
    }

    fn verifier(&self, cached_tokens: usize) -> Result<Verifier, BoxError> {
        let verifier = Verifier::builder()
            .key(self.key.verifying())
            .issuer(ISSUER)
            .audience(AUDIENCE)
            .cached_tokens(cached_tokens)
            .build()?;
        Ok(verifier)
    }

    fn decode(&self) -> bool {
        jsonwebtoken::decode::<Registered>(&self.token, &self.decoding, &self.validation).is_ok()
    }
}

const BATCH: u32 = 50;
const BATCHES: u32 = 20;

fn batch(verifies: impl Fn() -> bool) -> Duration {
    let begin = rounds::now();
    for _ in 0..BATCH {
        assert!(verifies());
    }
    begin.elapsed()
}

fn verify(verifier: &Verifier, token: &str) -> bool {
    let verification = pin!(verifier.verify(token));
    let answer: Poll<Result<Claims, _>> =
        verification.poll(&mut Context::from_waker(Waker::noop()));
    matches!(answer, Poll::Ready(Ok(_)))
}

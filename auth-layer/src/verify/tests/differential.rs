use std::sync::LazyLock;

use jsonwebtoken as peer;
use proptest::prelude::*;
use proptest::strategy::Union;

use super::*;
use crate::clock::Clock as _;
use crate::keys::SigningKeys;

/// What a generated token says otherwise than a good one, and whether the peer, strictly configured,
/// judges that as we do. There is one difference: it looks neither at `iat` nor at `cnf`.
fn changes() -> impl Strategy<Value = (Value, bool)> {
    let changes = [
        (json!({}), true),
        (json!({ "exp": NOW + 1 }), true),
        (json!({ "exp": NOW - 1 }), true),
        (json!({ "exp": null }), true),
        (json!({ "exp": "tomorrow" }), true),
        (json!({ "nbf": NOW - 1 }), true),
        (json!({ "nbf": NOW + 1 }), true),
        (json!({ "iss": "https://other.example" }), true),
        (json!({ "iss": null }), true),
        (json!({ "aud": "https://other.example" }), true),
        (json!({ "aud": ["https://api.example", "x"] }), true),
        (json!({ "aud": [] }), true),
        (json!({ "aud": null }), true),
        (json!({ "sub": null }), true),
        (
            json!({ "more": { "deep": [1, 2.5, "x", null, true] } }),
            true,
        ),
        (json!({ "iat": NOW + 1 }), false),
        (json!({ "cnf": {} }), false),
    ];
    Union::new(changes.map(|change| Just(change).boxed()))
}

struct Party {
    key: SigningKey,
    verifier: Verifier,
    algorithm: peer::Algorithm,
    peer: peer::DecodingKey,
}

static PARTIES: LazyLock<[Party; 4]> = LazyLock::new(|| {
    let asymmetric = |ours, algorithm| {
        let key = SigningKey::generate(ours).unwrap();
        let jwks = SigningKeys::new(key.clone()).jwks();
        let jwks: peer::jwk::JwkSet = serde_json::from_str(&jwks).unwrap();
        let peer = peer::DecodingKey::from_jwk(&jwks.keys[0]).unwrap();
        Party::new(key, algorithm, peer)
    };
    let peer = peer::DecodingKey::from_secret(&[7; 32]).unwrap();
    [
        Party::new(key(), peer::Algorithm::HS256, peer),
        asymmetric(Algorithm::EdDSA, peer::Algorithm::EdDSA),
        asymmetric(Algorithm::ES256, peer::Algorithm::ES256),
        asymmetric(Algorithm::RS256, peer::Algorithm::RS256),
    ]
});

impl Party {
    fn new(key: SigningKey, algorithm: peer::Algorithm, peer: peer::DecodingKey) -> Self {
        let verifier = builder_without_key()
            .key(key.verifying())
            .clock(crate::SystemClock);
        Self {
            verifier: verifier.build().unwrap(),
            key,
            algorithm,
            peer,
        }
    }

    fn accepts(&self, token: &str) -> bool {
        verify(&self.verifier, token).is_ok()
    }

    fn peer_accepts(&self, token: &str) -> bool {
        let mut validation = peer::Validation::new(self.algorithm);
        validation.leeway = 0;
        validation.validate_nbf = true;
        validation.set_issuer(&["https://auth.example"]);
        validation.set_audience(&["https://api.example"]);
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        peer::decode::<Value>(token, &self.peer, &validation).is_ok()
    }
}

/// Puts another character of the alphabet, or one outside it, somewhere.
fn damage(token: &str, at: usize, with: char) -> String {
    let at = at % token.len();
    format!("{}{with}{}", &token[..at], &token[at + 1..])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, failure_persistence: None, ..Default::default() })]

    /// V1: the peer reads the real clock, so the generated times are put around that.
    #[test]
    fn ours_and_jsonwebtoken_agree_but_for_what_is_written_down(
        (changes, agree) in changes(),
        party in 0..4_usize,
        harm in prop::option::weighted(0.3, (any::<usize>(), prop::sample::select(b"AZaz09-_=+ .".to_vec()))),
    ) {
        let now = crate::SystemClock.now().as_secs();
        let mut claims = claims(changes);
        for name in ["exp", "nbf", "iat"] {
            if let Some(time) = claims.get(name).and_then(Value::as_i64) {
                // Wide of now, so that a slow machine does not matter.
                claims[name] = json!(now + (time - NOW).signum() * 1_000);
            }
        }
        let party = &PARTIES[party];
        let token = party.key.sign(&claims).unwrap();
        let harmed = harm.map(|(at, with)| damage(&token, at, with.into()));
        let is_whole = harmed.as_ref().is_none_or(|it| *it == token);
        let token = harmed.unwrap_or(token);
        let ours = party.accepts(&token);
        if agree || !is_whole {
            prop_assert_eq!(ours, party.peer_accepts(&token), "{}", claims);
        } else {
            prop_assert!(!ours, "{}", claims);
        }
    }
}

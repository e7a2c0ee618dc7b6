use jsonwebtoken as peer;
use proptest::prelude::*;
use proptest::strategy::Union;

use super::*;

/// What a generated token may have wrong, and whether the peer, strictly configured, minds it too.
fn faults() -> impl Strategy<Value = (Value, bool)> {
    Union::new(
        [
            (json!({}), true),
            (json!({ "exp": NOW + 1 }), true),
            (json!({ "exp": NOW - 1 }), true),
            (json!({ "exp": null }), true),
            (json!({ "nbf": NOW - 1 }), true),
            (json!({ "nbf": NOW + 100 }), true),
            (json!({ "iss": "https://other.example" }), true),
            (json!({ "iss": null }), true),
            (json!({ "aud": "https://other.example" }), true),
            (json!({ "aud": ["https://api.example", "x"] }), true),
            (json!({ "aud": null }), true),
            // Written differences: the peer looks neither at `iat` nor at `cnf`.
            (json!({ "iat": NOW + 100 }), false),
            (json!({ "cnf": {} }), false),
        ]
        .map(|fault| Just(fault).boxed()),
    )
}

fn peer_accepts(token: &str) -> bool {
    let mut validation = peer::Validation::new(peer::Algorithm::HS256);
    validation.leeway = 0;
    validation.validate_nbf = true;
    validation.set_issuer(&["https://auth.example"]);
    validation.set_audience(&["https://api.example"]);
    validation.set_required_spec_claims(&["exp", "iss", "aud"]);
    peer::decode::<Value>(
        token,
        &peer::DecodingKey::from_secret(&[7; 32]),
        &validation,
    )
    .is_ok()
}

fn flip(token: &str, at: usize) -> String {
    let mut bytes = token.as_bytes().to_vec();
    let at = at % bytes.len();
    bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
    String::from_utf8(bytes).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..Default::default() })]

    /// V1: the peer reads the real clock, so the generated times are moved around it.
    #[test]
    fn ours_and_jsonwebtoken_agree_but_for_what_is_written_down(
        (fault, agree) in faults(),
        damage in prop::option::weighted(0.3, any::<usize>()),
    ) {
        use crate::clock::Clock as _;
        let clock = crate::SystemClock;
        let shift = clock.now().as_secs() - NOW;
        let mut claims = claims(fault);
        for name in ["exp", "nbf", "iat"] {
            if let Some(time) = claims.get(name).and_then(Value::as_i64) {
                // Wide of now, so that a slow machine does not matter.
                claims[name] = json!(time + shift + (time - NOW).signum() * 1_000);
            }
        }
        let token = key().sign(&claims).unwrap();
        let token = damage.map_or(token.clone(), |at| flip(&token, at));
        let verifier = builder().clock(clock).build().unwrap();
        let ours = verify(&verifier, &token).is_ok();
        if agree || damage.is_some() {
            prop_assert_eq!(ours, peer_accepts(&token), "{}", claims);
        } else {
            prop_assert!(!ours, "{}", claims);
        }
    }
}

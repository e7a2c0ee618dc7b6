//! A verifier, its clock and tokens for it.

use std::time::Duration;

use auth_layer::clock::ManualClock;
use auth_layer::{Algorithm, Revocations, SigningKey, Timestamp, Verifier};
use serde_json::{Value, json};

pub(crate) const NOW: i64 = 1_800_000_000;

pub(crate) struct Authority {
    pub(crate) key: SigningKey,
    pub(crate) clock: ManualClock,
    pub(crate) revocations: Revocations,
}

impl Authority {
    pub(crate) fn new() -> Self {
        Self {
            key: SigningKey::generate(Algorithm::EdDSA).expect("a key"),
            clock: ManualClock::at(Timestamp::from_secs(NOW)),
            revocations: Revocations::new(Duration::from_secs(900)),
        }
    }

    pub(crate) fn verifier(&self) -> Verifier {
        Verifier::builder()
            .key(self.key.verifying())
            .issuer("https://auth.example")
            .audience("https://api.example")
            .clock(self.clock.clone())
            .revocations(self.revocations.clone())
            .build()
            .expect("a verifier")
    }

    /// A token for a minute.
    pub(crate) fn token(&self) -> String {
        self.token_with(json!({}))
    }

    pub(crate) fn token_with(&self, more: Value) -> String {
        let mut claims = json!({
            "iss": "https://auth.example",
            "aud": "https://api.example",
            "sub": "alice",
            "sid": "s1",
            "iat": NOW,
            "exp": NOW + 60,
        });
        for (name, value) in more.as_object().expect("an object") {
            claims[name] = value.clone();
        }
        self.key.sign(&claims).expect("a token")
    }
}

//! Any text as a DPoP proof of a good, bound token: refused, no panic. The second half signs what
//! the fuzzer made up with the right key, so that the claims of proofs are judged too.
#![no_main]

use std::convert::Infallible;
use std::sync::LazyLock;

use auth_layer::clock::ManualClock;
use auth_layer::protect::proof::Dpop;
use auth_layer::{Algorithm, AuthLayer, SigningKey, Timestamp, Verifier};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use bytes::Bytes;
use http::{HeaderValue, Request, Response};
use http_body_util::Empty;
use libfuzzer_sys::fuzz_target;
use tower::{Layer as _, ServiceExt as _, service_fn};

const NOW: i64 = 1_800_000_000;

struct Setting {
    layer: AuthLayer<Verifier>,
    key: Ed25519KeyPair,
    token: String,
}

static SETTING: LazyLock<Setting> = LazyLock::new(|| {
    let issuer = SigningKey::from_secret(Algorithm::HS256, &[7; 32]).expect("32 bytes");
    let key = Ed25519KeyPair::from_seed_unchecked(&[3; 32]).expect("32 bytes");
    let x = BASE64.encode(key.public_key());
    let jkt = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
    let jkt = BASE64.encode(digest(&SHA256, jkt.as_bytes()));
    let token = issuer.sign(&serde_json::json!({
        "iss": "https://auth.example", "aud": "https://api.example", "exp": NOW + 60,
        "cnf": { "jkt": jkt },
    }));
    let clock = ManualClock::at(Timestamp::from_secs(NOW));
    let verifier = Verifier::builder()
        .key(issuer.verifying())
        .issuer("https://auth.example")
        .audience("https://api.example")
        .clock(clock.clone())
        .accept_sender_constrained()
        .build()
        .expect("it is configured");
    let dpop = Dpop::new().clock(clock).public_url("https://api.example").expect("a URL");
    Setting { layer: AuthLayer::new(verifier).dpop(dpop), key, token: token.expect("claims") }
});

fuzz_target!(|text: &str| {
    assert_eq!(status(text), 401, "nobody guesses a signature");
    if let Some((header, claims)) = text.split_once('\n') {
        let message = format!("{}.{}", BASE64.encode(header), BASE64.encode(claims));
        let signature = BASE64.encode(SETTING.key.sign(message.as_bytes()));
        if status(&format!("{message}.{signature}")) == 200 {
            let claims: serde_json::Value = serde_json::from_str(claims).expect("they were read");
            assert_eq!(claims["htm"], "GET");
        }
    }
});

fn status(proof: &str) -> u16 {
    let Ok(proof) = HeaderValue::from_str(proof) else { return 401 };
    let request = Request::get("/things")
        .header("authorization", format!("DPoP {}", SETTING.token))
        .header("dpop", proof)
        .body(Empty::<Bytes>::new())
        .expect("it is well-formed");
    let service = SETTING.layer.layer(service_fn(inner));
    let Ok(response) = pollster::block_on(service.oneshot(request));
    response.status().as_u16()
}

async fn inner(_: Request<Empty<Bytes>>) -> Result<Response<Empty<Bytes>>, Infallible> {
    Ok(Response::new(Empty::new()))
}

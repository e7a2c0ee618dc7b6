//! Any configuration and any `Authorization` in a request: the challenge is one header value whose
//! quotes close.
#![no_main]

use std::convert::Infallible;

use auth_layer::{Algorithm, AuthLayer, SigningKey, Verifier};
use bytes::Bytes;
use http::{HeaderValue, Request, Response};
use http_body_util::Empty;
use libfuzzer_sys::fuzz_target;
use tower::{Layer as _, ServiceExt as _, service_fn};

fuzz_target!(|input: (&str, &str, &[u8])| {
    let (realm, metadata, authorization) = input;
    let Ok(authorization) = HeaderValue::from_bytes(authorization) else { return };
    let key = SigningKey::from_secret(Algorithm::HS256, &[7; 32]).expect("32 bytes");
    let verifier = Verifier::builder().key(key.verifying()).issuer("i").audience("a");
    let layer = AuthLayer::new(verifier.build().expect("it is configured"));
    let service = layer.realm(realm).resource_metadata(metadata).layer(service_fn(inner));
    let request = Request::get("/").header("authorization", authorization).body(Empty::new());
    let response = pollster::block_on(service.oneshot(request.expect("it is well-formed")));
    let Ok(response) = response;
    let challenge = response.headers()["www-authenticate"].to_str().expect("it is ASCII");
    let mut is_quoted = false;
    let mut characters = challenge.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => is_quoted = !is_quoted,
            '\\' => assert!(is_quoted && matches!(characters.next(), Some('"' | '\\'))),
            _ => {}
        }
    }
    assert!(challenge.starts_with("Bearer realm=\"") && !is_quoted);
});

async fn inner(_: Request<Empty<Bytes>>) -> Result<Response<Empty<Bytes>>, Infallible> {
    panic!("nobody has a good token")
}

//! What the layer costs for a token that was verified before.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

#[path = "it/support/authority.rs"]
mod authority;

use std::convert::Infallible;
use std::future::{Future as _, Ready, ready};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use allocation_counter::measure;
use auth_layer::verify::Verify as _;
use auth_layer::{AuthLayer, Claims, Verifier};
use authority::Authority;
use http::{Request, Response};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tower::{Layer, Service, service_fn};

/// How many times the layer allocates from the call to the answer of an inner service that is
/// ready at once; the request has an extension already, as a request of hyper has. In an empty
/// map, the first claims would cost one more: the map itself.
fn allocations<C>(verifier: &Verifier<C>, token: &str) -> u64
where
    C: DeserializeOwned + Send + Sync + 'static,
{
    allocations_among(1, verifier, token)
}

/// The same for a request with this number of headers.
fn allocations_among<C>(headers: usize, verifier: &Verifier<C>, token: &str) -> u64
where
    C: DeserializeOwned + Send + Sync + 'static,
{
    let inner = service_fn(|request: Request<()>| -> Ready<Result<_, Infallible>> {
        assert!(request.extensions().get::<Claims>().is_some());
        ready(Ok(Response::new(())))
    });
    let mut service = AuthLayer::new(verifier.clone()).layer(inner);
    let mut request = Request::get("/")
        .header("authorization", format!("Bearer {token}"))
        .extension(Connection);
    for number in 1..headers {
        request = request.header(format!("x-{number}"), "y");
    }
    let request = request.body(()).unwrap();
    let mut context = Context::from_waker(Waker::noop());
    assert!(service.poll_ready(&mut context).is_ready());
    let mut response = None;
    let counted = measure(|| {
        let future = pin!(service.call(request));
        // Polled once: it never waits.
        if let Poll::Ready(answer) = future.poll(&mut context) {
            response = answer.ok();
        }
    });
    assert_eq!(response.unwrap().status(), 200);
    counted.count_total
}

#[derive(Clone)]
struct Connection;

#[derive(Deserialize)]
struct Mine {
    #[expect(dead_code, reason = "it is read for what it costs")]
    sid: String,
}

#[test]
fn a_token_verified_before_costs_one_allocation() {
    let authority = Authority::new();
    let (verifier, token) = (authority.verifier(), authority.token());
    let cold = allocations(&verifier, &token);
    let warm = allocations(&verifier, &token);
    assert!(warm <= 1, "{warm} allocations");
    assert!(cold > warm, "{cold} allocations when the token is new");
}

#[test]
fn your_own_claims_cost_one_more_for_the_pair_without_them() {
    let authority = Authority::new();
    let verifier = Verifier::builder()
        .key(authority.key.verifying())
        .issuer("https://auth.example")
        .audience("https://api.example")
        .clock(authority.clock.clone())
        .claims::<Mine>()
        .build()
        .unwrap();
    let token = authority.token();
    allocations(&verifier, &token);
    let warm = allocations(&verifier, &token);
    assert!(warm <= 2, "{warm} allocations");
}

/// A header map is full with 6, 12 or 24 headers: to look one up must not make room for another.
#[test]
fn full_header_map_costs_no_more_than_another() {
    let authority = Authority::new();
    let (verifier, token) = (authority.verifier(), authority.token());
    allocations(&verifier, &token);
    for headers in [5, 6, 7, 12, 13, 24, 25] {
        let warm = allocations_among(headers, &verifier, &token);
        assert!(warm <= 1, "{warm} allocations among {headers} headers");
    }
}

/// 2 KiB for each entry, 16 MiB by default, also with claims that hold far more than their text.
#[test]
fn verified_tokens_stay_within_the_bytes_that_the_cache_is_said_to_hold() {
    let authority = Authority::new();
    let verifier = || {
        Verifier::builder()
            .key(authority.key.verifying())
            .issuer("https://auth.example")
            .audience("https://api.example")
            .clock(authority.clock.clone())
            .cached_tokens(1_024)
            .claims::<Value>()
            .build()
            .unwrap()
    };
    let shapes = [
        json!(vec![json!({ "a": 1 }); 40]),
        json!({ "roles": vec!["a"; 100] }),
        json!(vec![json!([[0]]); 60]),
        json!("x".repeat(600)),
        json!(1),
    ];
    // What is dropped within the count is not held.
    let mut verifiers = Vec::new();
    for shape in shapes {
        let held = measure(|| {
            let verifier = verifier();
            for number in 0..1_200 {
                let token = authority.token_with(json!({ "jti": number.to_string(), "c": shape }));
                let verified = verifier.verify(&token);
                let verified = pin!(verified).poll(&mut Context::from_waker(Waker::noop()));
                assert!(matches!(verified, Poll::Ready(Ok(_))));
            }
            verifiers.push(verifier);
        });
        let mib = held.bytes_current as f64 / 1_048_576.0;
        assert!(mib <= 2.0, "{mib} MiB of {shape}");
    }
}

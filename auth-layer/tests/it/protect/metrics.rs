//! What is counted.

use std::collections::BTreeMap;
use std::convert::Infallible;

use auth_layer::{AuthLayer, RequireScopes};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Empty;
use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use tower::{ServiceBuilder, ServiceExt as _, service_fn};

use crate::support::authority::Authority;

#[test]
fn every_request_is_counted_by_its_outcome_and_every_token_timed() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let authority = Authority::new();
    let (good, other) = (
        authority.token_with(serde_json::json!({ "scope": "read" })),
        authority.token(),
    );
    let app = ServiceBuilder::new()
        .layer(AuthLayer::new(authority.verifier()).optional())
        .layer(RequireScopes::all(["read"]))
        .service(service_fn(async |_: Request<Empty<Bytes>>| {
            Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
        }));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    metrics::with_local_recorder(&recorder, || {
        for token in [
            Some(good.as_str()),
            Some(&good),
            Some(&other),
            Some("bad"),
            None,
        ] {
            let mut request = Request::new(Empty::new());
            if let Some(token) = token {
                let bearer = format!("Bearer {token}").parse().unwrap();
                request.headers_mut().insert("authorization", bearer);
            }
            runtime.block_on(app.clone().oneshot(request)).unwrap();
        }
    });

    let mut counted = BTreeMap::new();
    for (key, _, _, value) in snapshotter.snapshot().into_vec() {
        let label = key.key().labels().next().map(|it| it.value().to_owned());
        let count = match value {
            DebugValue::Counter(count) => count,
            DebugValue::Histogram(times) => times.len() as u64,
            DebugValue::Gauge(_) => panic!("there is no gauge"),
        };
        counted.insert(format!("{}/{}", key.key().name(), label.unwrap()), count);
    }
    let expected = [
        ("auth_layer_requests_total/accepted", 3),
        ("auth_layer_requests_total/anonymous", 1),
        ("auth_layer_requests_total/insufficient_scope", 1),
        ("auth_layer_requests_total/invalid_token", 1),
        ("auth_layer_requests_total/no_credential", 1),
        ("auth_layer_verify_seconds/false", 3),
        ("auth_layer_verify_seconds/true", 1),
    ];
    let expected = expected.map(|(name, count)| (name.to_owned(), count));
    assert_eq!(counted, BTreeMap::from(expected));
}

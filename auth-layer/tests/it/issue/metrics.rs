//! What is counted of sessions.

use std::collections::BTreeMap;

use auth_layer::issue::{NewSession, RefreshRequest};
use auth_layer::store::MemoryStore;
use metrics_util::debugging::{DebugValue, DebuggingRecorder};

use crate::support::issue::*;

#[test]
fn every_event_and_failure_is_counted_by_its_label_and_every_refresh_timed() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    metrics::with_local_recorder(&recorder, || runtime.block_on(a_life()));

    let mut counted = BTreeMap::new();
    for (key, _, _, value) in snapshotter.snapshot().into_vec() {
        let labels = key
            .key()
            .labels()
            .map(|it| format!("{}={}", it.key(), it.value()));
        let labels: Vec<_> = labels.collect();
        let count = match value {
            DebugValue::Counter(count) => count,
            DebugValue::Histogram(times) => times.len() as u64,
            DebugValue::Gauge(_) => panic!("there is no gauge"),
        };
        let name = key.key().name().strip_prefix("auth_layer_").unwrap();
        counted.insert(format!("{name} {}", labels.join(" ")), count);
    }
    let expected = [
        ("refresh_failures_total kind=malformed", 1),
        ("refresh_failures_total kind=reused", 1),
        ("refresh_failures_total kind=revoked", 1),
        ("refresh_failures_total kind=unavailable", 1),
        ("refresh_seconds granted=false", 4),
        ("refresh_seconds granted=true", 3),
        ("sessions_total event=rate_limited", 1),
        ("sessions_total event=refresh_failed", 4),
        ("sessions_total event=refreshed", 2),
        ("sessions_total event=replayed", 1),
        ("sessions_total event=reuse_detected", 1),
        ("sessions_total event=revoked", 1),
        ("sessions_total event=started", 2),
    ];
    let expected = expected.map(|(name, count)| (name.to_owned(), count));
    assert_eq!(counted, BTreeMap::from(expected));
}

/// A session that is refreshed, repeated, stolen and missed; then a store that is down, and a session
/// that asks too often.
async fn a_life() {
    let server = Server::new(MemoryStore::new());
    let pair = server.issuer.start(NewSession::new("alice")).await.unwrap();
    for byte in [1, 1, 2, 2] {
        let _ = server.issuer.refresh(keyed(&pair, byte)).await;
    }
    let _ = server.issuer.refresh(RefreshRequest::new("x")).await;
    let down = Server::new(Down);
    let token = pair.refresh_token().expose();
    assert_eq!(down.refresh(token, None).await.status, 503);
    let one = std::num::NonZero::<u32>::MIN;
    let limits = auth_layer::endpoint::Limits::new().by_session(one, one);
    let mut strict = Server::new(MemoryStore::new());
    strict.endpoints = strict.endpoints.limits(limits);
    let token = signed_in(&strict).await;
    let next = strict.refresh(&token, None).await.refresh_token();
    assert_eq!(strict.refresh(&next, None).await.status, 429);
}

//! What is counted and timed.

use std::collections::BTreeMap;
use std::time::Duration;

use http::StatusCode;
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use refresh_client_layer::{MemoryStore, RefreshErrorKind, RefreshLayer, TokenSet};
use tower::Layer as _;

use crate::support::records::Records as _;
use crate::support::{World, send, settle};

/// Counters and gauges by name and label, and how often a time was taken.
#[derive(Default)]
struct Counted(BTreeMap<String, f64>);

impl Counted {
    /// Adds what has been counted since the last time.
    fn add(&mut self, snapshotter: &Snapshotter) -> &BTreeMap<String, f64> {
        for (key, _, _, value) in snapshotter.snapshot().into_vec() {
            let label = key.key().labels().next().map_or("", |it| it.value());
            let value = match value {
                DebugValue::Counter(count) => count as f64,
                DebugValue::Gauge(level) => level.into_inner(),
                DebugValue::Histogram(times) => times.len() as f64,
            };
            let name = format!("{} {label}", key.key().name());
            *self.0.entry(name).or_default() += value;
        }
        &self.0
    }
}

#[tokio::test(start_paused = true)]
async fn refreshes_retries_and_waiters_are_counted() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let mut counted = Counted::default();
    let _recording = metrics::set_default_local_recorder(&recorder);
    let world = World::new();
    let store = MemoryStore::new();
    let session = world.builder().store(store.clone()).build().unwrap();
    let api = world.layered(&session);
    send(&api).await.unwrap();

    // Refused, and refreshed.
    world.accept(None);
    world.hold();
    let requests: Vec<_> = (0..3)
        .map(|_| {
            let api = api.clone();
            tokio::spawn(async move { send(&api).await.unwrap() })
        })
        .collect();
    world.called(1).await;
    settle().await;
    assert_eq!(counted.add(&snapshotter)["refresh_client_waiters "], 3.0);
    world.release();
    for request in requests {
        request.await.unwrap();
    }

    // Another process was faster.
    let newer = TokenSet::new("access-9", "refresh-9").with_generation(9);
    store.save(&newer).await.unwrap();
    session.force_refresh().await.unwrap();
    // A fault; a sign-in meanwhile; the end.
    world.fail_next(RefreshErrorKind::Transient);
    session.force_refresh().await.unwrap_err();
    tokio::time::advance(Duration::from_secs(60)).await;
    world.hold();
    let late = tokio::spawn({
        let session = session.clone();
        async move { session.force_refresh().await }
    });
    world.called(3).await;
    session
        .sign_in(TokenSet::new("access-10", "refresh-10"))
        .unwrap();
    late.await.unwrap().unwrap_err();
    world.release();
    settle().await;
    world.fail_next(RefreshErrorKind::Refused);
    session.force_refresh().await.unwrap_err();

    // A rule of the user's own.
    let other = World::new();
    let layer = RefreshLayer::new(other.session()).retry_when(|status, _| status == StatusCode::OK);
    send(&layer.layer(other.clone())).await.unwrap();

    let expected = [
        ("refresh_client_refresh_seconds ", 6.0),
        ("refresh_client_refreshes_total adopted", 1.0),
        ("refresh_client_refreshes_total discarded", 1.0),
        ("refresh_client_refreshes_total failed", 1.0),
        ("refresh_client_refreshes_total refreshed", 2.0),
        ("refresh_client_refreshes_total refused", 1.0),
        ("refresh_client_retries_total rule", 1.0),
        ("refresh_client_retries_total unauthorized", 3.0),
        ("refresh_client_waiters ", 0.0),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), value));
    assert_eq!(*counted.add(&snapshotter), BTreeMap::from(expected));
}

//! What the layer keeps in memory.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed"
)]

#[expect(dead_code, reason = "a part of it is used here")]
#[path = "it/support/mod.rs"]
mod support;

use std::time::Duration;

use allocation_counter::measure;
use futures_util::future::join_all;
use refresh_client_layer::TokenSet;
use support::{World, send};

/// The most bytes that are in use while `requests` wait for one refresh.
fn bytes_of_waiting(requests: usize) -> u64 {
    let used = measure(|| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let world = World::new();
            let expired = TokenSet::new("access-1", "refresh-1").expires_in(Duration::ZERO);
            let session = world.builder().tokens(expired).build().unwrap();
            let api = world.layered(&session);
            world.hold();
            let refreshed = async {
                world.called(1).await;
                world.release();
            };
            let sent = join_all((0..requests).map(|_| send(&api)));
            let (responses, ()) = tokio::join!(sent, refreshed);
            assert!(responses.into_iter().all(|it| it.unwrap().status() == 200));
            assert_eq!(world.calls(), 1);
        });
    });
    used.bytes_max
}

/// Law C18: memory, per request that waits; its own head and body included.
#[test]
fn a_request_that_waits_for_a_refresh_keeps_no_more_than_two_kibibytes() {
    let (few, many) = (bytes_of_waiting(1_000), bytes_of_waiting(10_000));
    let each = (many - few) / 9_000;
    assert!(each <= 2 * 1024, "{each} bytes each");
}

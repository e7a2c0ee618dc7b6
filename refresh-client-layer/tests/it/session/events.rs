//! What is told, in which order, and that nothing is locked meanwhile.

use std::error::Error;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, mpsc};
use std::thread;
use std::time::Duration;

use refresh_client_layer::{Event, RefreshError, RefreshErrorKind, TokenManager, TokenSet};

use crate::support::shelf::Shelf;
use crate::support::{Answer, World, drain};

/// The first listener is still at the refresh when the session ends.
#[test]
fn events_are_told_in_the_order_in_which_they_happen() {
    let (told, is_told) = mpsc::channel();
    let (go_on, may_go_on) = mpsc::channel();
    let may_go_on = Mutex::new(may_go_on);
    let seen: Arc<Mutex<Vec<Event>>> = Arc::default();
    let session = World::new()
        .builder()
        .on_event({
            let seen = seen.clone();
            move |event| {
                if matches!(event, Event::Refreshed { .. }) {
                    told.send(()).unwrap();
                    may_go_on.lock().unwrap().recv().unwrap();
                }
                seen.lock().unwrap().push(event);
            }
        })
        .build()
        .unwrap();
    let mut stream = session.events();
    let refresh = thread::spawn({
        let session = session.clone();
        move || block_on(session.force_refresh())
    });
    is_told.recv().unwrap();
    block_on(session.sign_out());
    go_on.send(()).unwrap();
    drop(refresh.join().unwrap());
    let seen = seen.lock().unwrap().clone();
    assert!(
        matches!(
            seen[..],
            [Event::Refreshed { .. }, Event::SessionEnded { .. }]
        ),
        "{seen:?}"
    );
    assert_eq!(drain(&mut stream), seen);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_again_is_told_again() {
    let shelf = Shelf::default();
    let world = World::new();
    let session = world.builder().store(shelf.clone()).build().unwrap();
    session.access_token().await.unwrap();
    assert!(session.flush(Duration::from_secs(60)).await);
    let mut events = session.events();
    let mut refresh_with = async |is_locked| {
        shelf.fail(is_locked);
        session.force_refresh().await.unwrap();
        tokio::time::sleep(Duration::from_secs(600)).await;
        let events = drain(&mut events);
        events
            .iter()
            .filter(|it| **it == Event::StoreFailed)
            .count()
    };
    assert_eq!(refresh_with(true).await, 1);
    assert_eq!(refresh_with(true).await, 0);
    assert_eq!(refresh_with(false).await, 0);
    assert_eq!(refresh_with(true).await, 1);
}

/// It is told of the first refresh, and waits for the second.
#[test]
fn a_callback_may_wait_for_a_token() {
    let slot: Arc<OnceLock<TokenManager>> = Arc::default();
    let (told, is_told) = mpsc::channel();
    let session = World::new()
        .builder()
        .on_event({
            let slot = slot.clone();
            move |event| {
                if matches!(event, Event::Refreshed { generation: 2, .. }) {
                    let session = slot.get().unwrap().clone();
                    let refresh = thread::spawn(move || block_on(session.force_refresh()));
                    let token = refresh.join().unwrap().unwrap();
                    told.send(token.secret().to_owned()).unwrap();
                }
            }
        })
        .build()
        .unwrap();
    slot.set(session.clone()).unwrap();
    in_time(move || drop(block_on(session.force_refresh()).unwrap()));
    assert_eq!(is_told.recv().unwrap(), "access-3");
}

/// A last try before the program ends.
#[test]
fn a_callback_may_wait_for_the_store() {
    let shelf = Shelf::default();
    shelf.fail(true);
    let slot: Arc<OnceLock<TokenManager>> = Arc::default();
    let session = World::new()
        .builder()
        .store(shelf)
        .on_event({
            let slot = slot.clone();
            move |event| {
                if event == Event::StoreFailed {
                    let session = slot.get().unwrap().clone();
                    let flush =
                        thread::spawn(move || block_on(session.flush(Duration::from_secs(60))));
                    assert!(!flush.join().unwrap());
                }
            }
        })
        .build()
        .unwrap();
    slot.set(session.clone()).unwrap();
    in_time(move || {
        session.sign_in(TokenSet::new("access", "refresh")).unwrap();
        assert!(!block_on(session.flush(Duration::from_secs(60))));
    });
}

/// An error that looks at its session when it is dropped.
#[derive(Debug)]
struct Nosy(TokenManager);

impl fmt::Display for Nosy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nosy")
    }
}

impl Error for Nosy {}

impl Drop for Nosy {
    fn drop(&mut self) {
        let _ = format!("{:?}", self.0);
    }
}

#[test]
fn the_cause_of_a_failure_is_not_dropped_under_a_lock() {
    let world = World::new();
    let session = world.session();
    for _ in 0..2 {
        let cause = Nosy(session.clone());
        let error = RefreshError::new(RefreshErrorKind::Transient, "as the test wants");
        world.answer_next(Answer::Error(error.with_source(cause)));
    }
    in_time(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build();
        runtime.unwrap().block_on(async {
            for _ in 0..2 {
                drop(session.force_refresh().await);
                tokio::time::sleep(Duration::from_secs(10)).await;
            }
            session.force_refresh().await.unwrap();
        });
    });
}

fn block_on<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    runtime.unwrap().block_on(future)
}

#[track_caller]
fn in_time(work: impl FnOnce() + Send + 'static) {
    let (done, is_done) = mpsc::channel();
    thread::spawn(move || {
        work();
        done.send(()).unwrap();
    });
    let waited = is_done.recv_timeout(Duration::from_secs(10));
    assert_eq!(waited, Ok(()), "a deadlock, or a panic");
}

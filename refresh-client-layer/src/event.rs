//! What happened to the session, once each.

use std::cell::Cell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};

use tokio::sync::broadcast;

/// Something that happened to a session. It carries no secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The server answered a refresh with new tokens.
    #[non_exhaustive]
    Refreshed {
        /// The generation of the new tokens.
        generation: u64,
    },
    /// A refresh was tried and brought no tokens.
    #[non_exhaustive]
    RefreshFailed {
        /// True if the session may still be alive: a fault of the network, of the server, or of the
        /// configuration.
        transient: bool,
    },
    /// The session is over. Reported once for each session.
    #[non_exhaustive]
    SessionEnded {
        /// Who ended it.
        reason: EndReason,
    },
    /// The store failed; the session goes on in memory. Reported once until the store works again.
    StoreFailed,
}

/// Why there is no session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EndReason {
    /// Nobody has signed in yet.
    NeverSignedIn,
    /// Signed out, here or in another process that shares the store.
    SignedOut,
    /// The server refused the refresh token for good.
    Refused,
    /// Another sign-in took the place of the one that a request belonged to. It is an error of that
    /// request alone: there is a session, so no user has to sign in.
    Replaced,
    /// The loader of [`TokenManagers`](crate::TokenManagers) says that the session cannot be brought
    /// back.
    Lost,
}

/// A stream of [`Event`]s, from the moment of its creation.
///
/// Those of [`TokenManagers`](crate::TokenManagers) come with the key of their session.
pub struct Events<E = Event> {
    receiver: broadcast::Receiver<E>,
}

impl<E: Clone> Events<E> {
    /// Waits for the next event; `None` once every clone of the manager is gone.
    ///
    /// A receiver that falls more than 64 events behind, or 1,024 of many sessions, misses the oldest
    /// ones.
    pub async fn recv(&mut self) -> Option<E> {
        loop {
            match self.receiver.recv().await {
                Ok(event) => return Some(event),
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }

    /// The next event if there is one already.
    pub fn try_recv(&mut self) -> Option<E> {
        loop {
            match self.receiver.try_recv() {
                Ok(event) => return Some(event),
                Err(broadcast::error::TryRecvError::Lagged(_)) => {}
                Err(_) => return None,
            }
        }
    }
}

impl<E> fmt::Debug for Events<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Events(..)")
    }
}

/// Tells everybody who wants to know.
pub(crate) struct Announcer<E = Event> {
    /// Not there until somebody listens: there may be many sessions, and few who do.
    sender: OnceLock<broadcast::Sender<E>>,
    kept: usize,
    callback: Option<Callback<E>>,
}

pub(crate) type Callback<E = Event> = Arc<dyn Fn(E) + Send + Sync>;

impl<E: Clone> Announcer<E> {
    /// A slow receiver may fall `kept` events behind.
    pub(crate) fn new(callback: Option<Callback<E>>, kept: usize) -> Self {
        Self {
            sender: OnceLock::new(),
            kept,
            callback,
        }
    }

    pub(crate) fn subscribe(&self) -> Events<E> {
        let sender = self
            .sender
            .get_or_init(|| broadcast::Sender::new(self.kept));
        Events {
            receiver: sender.subscribe(),
        }
    }

    /// Runs foreign code: no lock may be held.
    pub(crate) fn tell(&self, event: E) {
        if let Some(sender) = self.sender.get() {
            // Nobody listening any more is no error.
            drop(sender.send(event.clone()));
        }
        if let Some(callback) = &self.callback {
            survive(|| callback(event));
        }
    }
}

impl Announcer {
    /// Tells it to the log too.
    pub(crate) fn announce(&self, event: Event) {
        survive(|| log(event));
        self.tell(event);
    }
}

fn log(event: Event) {
    match event {
        Event::Refreshed { generation } => tracing::debug!(generation, "tokens refreshed"),
        // Told by the refresh itself, which knows more.
        Event::RefreshFailed { .. } => {}
        Event::SessionEnded { reason } => tracing::info!(?reason, "session ended"),
        Event::StoreFailed => tracing::error!("the token store failed"),
    }
}

/// If foreign code panics, the hook for panics has told so, and what the event is about goes on.
fn survive(foreign: impl FnOnce()) {
    let outer = IN_CALLBACK.replace(true);
    drop(catch_unwind(AssertUnwindSafe(foreign)));
    IN_CALLBACK.set(outer);
}

/// True while this thread runs a callback, during which no refresh goes on.
pub(crate) fn is_in_callback() -> bool {
    IN_CALLBACK.get()
}

thread_local! {
    static IN_CALLBACK: Cell<bool> = const { Cell::new(false) };
}

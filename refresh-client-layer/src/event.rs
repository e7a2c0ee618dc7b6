//! What happened to the session, once each.

use std::fmt;
use std::sync::Arc;

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
}

/// A stream of [`Event`]s, from the moment of its creation.
pub struct Events {
    receiver: broadcast::Receiver<Event>,
}

impl Events {
    /// Waits for the next event; `None` once every clone of the manager is gone.
    ///
    /// A receiver that falls more than 64 events behind misses the oldest ones.
    pub async fn recv(&mut self) -> Option<Event> {
        loop {
            match self.receiver.recv().await {
                Ok(event) => return Some(event),
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }

    /// The next event if there is one already.
    pub fn try_recv(&mut self) -> Option<Event> {
        loop {
            match self.receiver.try_recv() {
                Ok(event) => return Some(event),
                Err(broadcast::error::TryRecvError::Lagged(_)) => {}
                Err(_) => return None,
            }
        }
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Events(..)")
    }
}

/// Tells everybody who wants to know.
pub(crate) struct Announcer {
    sender: broadcast::Sender<Event>,
    callback: Option<Callback>,
}

pub(crate) type Callback = Arc<dyn Fn(Event) + Send + Sync>;

impl Announcer {
    pub(crate) fn new(callback: Option<Callback>) -> Self {
        Self {
            sender: broadcast::Sender::new(KEPT),
            callback,
        }
    }

    pub(crate) fn subscribe(&self) -> Events {
        Events {
            receiver: self.sender.subscribe(),
        }
    }

    /// Runs foreign code: no lock may be held.
    pub(crate) fn announce(&self, event: Event) {
        match event {
            Event::Refreshed { generation } => tracing::debug!(generation, "tokens refreshed"),
            Event::RefreshFailed { transient } => tracing::warn!(transient, "refresh failed"),
            Event::SessionEnded { reason } => tracing::info!(?reason, "session ended"),
            Event::StoreFailed => tracing::error!("the token store failed"),
        }
        // Nobody listening is no error.
        drop(self.sender.send(event));
        if let Some(callback) = &self.callback {
            callback(event);
        }
    }
}

/// How far a slow receiver may fall behind.
const KEPT: usize = 64;

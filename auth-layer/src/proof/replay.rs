use std::fmt;
use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::task::{Context, Poll};

use aws_lc_rs::digest::{self, SHA256};

use crate::claims::Thumbprint;
use crate::clock::Timestamp;

/// Remembers which proofs were used, so that none is used twice (RFC 9449 s11.1).
///
/// [`MemoryReplays`](super::MemoryReplays) is the one for a single process. Several processes behind
/// one address need one that they share, such as Redis with `SET id 1 NX PXAT until`.
///
/// ```
/// use auth_layer::proof::{Freshness, ProofUse, ReplayCheck, ReplayStore};
///
/// #[derive(Debug)]
/// struct Elsewhere;
///
/// impl ReplayStore for Elsewhere {
///     fn remember(&self, proof: ProofUse) -> ReplayCheck {
///         ReplayCheck::pending(async move {
///             match insert_if_absent(proof.id(), proof.until().as_millis()).await {
///                 Ok(true) => Freshness::Fresh,
///                 Ok(false) => Freshness::Replayed,
///                 Err(_) => Freshness::Unknown,
///             }
///         })
///     }
/// }
/// # async fn insert_if_absent(_: &[u8; 32], _: i64) -> std::io::Result<bool> { Ok(true) }
/// ```
pub trait ReplayStore: fmt::Debug + Send + Sync + 'static {
    /// Remembers `proof` and says whether it was known, both in one step: of two requests with the
    /// same proof, at most one may hear [`Freshness::Fresh`], however close together they are.
    fn remember(&self, proof: ProofUse) -> ReplayCheck;
}

/// A proof that is good unless it was used before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProofUse {
    id: [u8; 32],
    key: Thumbprint,
    now: Timestamp,
    until: Timestamp,
}

impl ProofUse {
    /// The use of the proof `jti` that `key` signed; the layer makes them, and so do tests of stores.
    pub fn new(key: Thumbprint, jti: &str, now: Timestamp, until: Timestamp) -> Self {
        let mut context = digest::Context::new(&SHA256);
        context.update(key.as_bytes());
        context.update(jti.as_bytes());
        let mut id = [0; 32];
        id.copy_from_slice(context.finish().as_ref());
        Self {
            id,
            key,
            now,
            until,
        }
    }

    /// Its name: a hash of the key and of the proof's `jti`.
    pub const fn id(&self) -> &[u8; 32] {
        &self.id
    }

    /// The key that signed it, for quotas.
    pub const fn key(&self) -> &Thumbprint {
        &self.key
    }

    /// The time now.
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// Until when it has to be remembered; after that it is refused by its age.
    pub const fn until(&self) -> Timestamp {
        self.until
    }
}

/// What a [`ReplayStore`] knows of a proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Freshness {
    /// Not used before; it is now.
    Fresh,
    /// Used before.
    Replayed,
    /// Not remembered: its key has used too many. The request is refused with 429.
    OverQuota,
    /// Not remembered: the store is full or out of reach. The request is refused with 503.
    Unknown,
}

/// The answer of a [`ReplayStore`]: there at once, or after a wait.
#[must_use = "an answer that nobody looks at protects nothing"]
pub struct ReplayCheck(Answer);

/// An answer that takes time.
pub(crate) type PendingReplay = Pin<Box<dyn Future<Output = Freshness> + Send>>;

enum Answer {
    Ready(Ready<Freshness>),
    Pending(PendingReplay),
}

impl ReplayCheck {
    /// An answer without a wait.
    pub fn ready(answer: Freshness) -> Self {
        Self(Answer::Ready(ready(answer)))
    }

    /// An answer after a wait. Bound the wait: the request waits with it.
    pub fn pending(answer: impl Future<Output = Freshness> + Send + 'static) -> Self {
        Self(Answer::Pending(Box::pin(answer)))
    }

    /// The answer if it is there, else what to wait for.
    pub(crate) fn now(self) -> Result<Freshness, PendingReplay> {
        match self.0 {
            Answer::Ready(answer) => Ok(answer.into_inner()),
            Answer::Pending(pending) => Err(pending),
        }
    }
}

impl Future for ReplayCheck {
    type Output = Freshness;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Freshness> {
        match &mut self.0 {
            Answer::Ready(answer) => Pin::new(answer).poll(cx),
            Answer::Pending(pending) => pending.as_mut().poll(cx),
        }
    }
}

impl fmt::Debug for ReplayCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplayCheck")
            .field("ready", &matches!(self.0, Answer::Ready(_)))
            .finish()
    }
}

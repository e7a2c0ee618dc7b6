use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sqlx::Postgres;
use sqlx::pool::PoolConnection;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::batch::{Batch, Waiting};
use super::failure::Failure;
use super::statements::{self, Connections};
use crate::store::ticket::Ticket;
use crate::store::{Rotated, Rotation, StoreError, StoreErrorKind};

/// Rotations that wait, and carriers: tasks that take all that waits, one batch after the other, and
/// end when nothing does.
#[derive(Clone)]
pub(super) struct Rotations(Arc<Shared>);

struct Shared {
    connections: Connections,
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Waiting>,
    carriers: usize,
}

impl Rotations {
    pub(super) fn new(connections: Connections) -> Self {
        let queue = Mutex::default();
        Self(Arc::new(Shared { connections, queue }))
    }

    pub(super) async fn rotate(&self, rotation: Rotation) -> Result<Rotated, StoreError> {
        let (reply, answer) = oneshot::channel();
        let (ticket, timeout) = (Ticket::default(), rotation.timeout);
        let waiting = Waiting {
            refused_at: Instant::now() + timeout.min(FOREVER),
            rotation,
            reply,
            ticket: ticket.clone(),
        };
        if self.0.enqueue(waiting)? {
            let carrier = Carrier {
                shared: self.0.clone(),
                is_done: false,
            };
            tokio::spawn(carrier.carry());
        }
        ticket.answer(timeout, answer).await
    }
}

impl fmt::Debug for Rotations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let queue = self.0.queue();
        f.debug_struct("Rotations")
            .field("waiting", &queue.waiting.len())
            .field("carriers", &queue.carriers)
            .finish()
    }
}

/// How many rotations may wait: above, callers are turned away rather than kept for seconds.
pub(super) const QUEUE: usize = 16 * 1024;
/// How many travel together at most.
const BATCH: usize = 512;
/// How many batches are on their way at once, each on a connection.
const CARRIERS: usize = 4;
/// Longer than any caller waits, and short enough to be added to an instant.
const FOREVER: Duration = Duration::from_secs(24 * 3600);

impl Shared {
    /// Whether a carrier is to be started for it.
    fn enqueue(&self, it: Waiting) -> Result<bool, StoreError> {
        let mut queue = self.queue();
        if queue.waiting.len() >= QUEUE {
            return Err(StoreErrorKind::Overloaded.into());
        }
        queue.waiting.push_back(it);
        let wanted = queue.carriers < CARRIERS;
        queue.carriers += usize::from(wanted);
        Ok(wanted)
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    /// The oldest of each session. Who went away meanwhile is let go.
    fn take(&mut self) -> Vec<Waiting> {
        let mut ids = HashSet::new();
        let (mut batch, mut later) = (Vec::new(), VecDeque::new());
        while batch.len() < BATCH && later.len() < BATCH {
            let Some(it) = self.waiting.pop_front() else {
                break;
            };
            if it.reply.is_closed() {
                continue;
            }
            if ids.insert(it.rotation.session) {
                batch.push(it);
            } else {
                later.push_back(it);
            }
        }
        later.append(&mut self.waiting);
        self.waiting = later;
        batch
    }
}

struct Carrier {
    shared: Arc<Shared>,
    is_done: bool,
}

impl Carrier {
    async fn carry(mut self) {
        let mut connection = None;
        while let Some(batch) = self.next() {
            let mut batches = vec![batch];
            while let Some(mut batch) = batches.pop() {
                if let Err(failure) = self.attempt(&mut connection, &mut batch).await {
                    let rotations = batch.rotations().count();
                    tracing::warn!(target: "auth_layer::store", rotations, %failure, "rotations failed");
                    batches.extend(batch.after(&failure));
                }
            }
        }
    }

    /// None, and it is no carrier any more, if nothing waits.
    fn next(&mut self) -> Option<Batch> {
        let mut queue = self.shared.queue();
        let waiting = queue.take();
        if waiting.is_empty() {
            queue.carriers -= 1;
            self.is_done = true;
            return None;
        }
        Some(Batch::new(waiting))
    }

    async fn attempt(
        &self,
        connection: &mut Option<PoolConnection<Postgres>>,
        batch: &mut Batch,
    ) -> Result<(), Failure> {
        let connections = &self.shared.connections;
        let mut on = match connection.take() {
            Some(it) => it,
            None => connections.pool.acquire().await.map_err(Failure::before)?,
        };
        let result = statements::rotate(&mut on, connections.are_settled, batch).await;
        if result.as_ref().is_err_and(Failure::is_of_the_connection) {
            on.close_on_drop();
        } else {
            *connection = Some(on);
        }
        result
    }
}

/// Cut off by a panic or the end of its runtime, the last carrier leaves nobody waiting.
impl Drop for Carrier {
    fn drop(&mut self) {
        if self.is_done {
            return;
        }
        let mut queue = self.shared.queue();
        queue.carriers -= 1;
        let abandoned = match queue.carriers {
            0 => std::mem::take(&mut queue.waiting),
            _ => VecDeque::new(),
        };
        drop(queue);
        drop(abandoned);
    }
}

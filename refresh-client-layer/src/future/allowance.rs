use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::replay::Response;

/// How much of refused responses may be held while their requests wait for a token, all those of a
/// layer together.
///
/// What nobody reads yet fills the window of a connection, or keeps a connection from others. The
/// answer to the refresh may need either: too much of it, and everybody waits for everybody else.
#[derive(Clone, Debug, Default)]
pub(crate) struct Allowance {
    taken: Arc<AtomicU64>,
}

impl Allowance {
    /// Drops a response that finds no room.
    pub(super) fn hold<T: Response>(&self, response: T) -> Option<Held<T>> {
        let room = self.take(cost(response.unread()))?;
        Some(Held { response, room })
    }

    fn take(&self, cost: u64) -> Option<Room> {
        let more = |taken: u64| {
            let taken = taken.checked_add(cost)?;
            (taken <= ALLOWANCE).then_some(taken)
        };
        let taken = (self.taken).fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        taken.ok().map(|_| Room {
            allowance: self.clone(),
            cost,
        })
    }
}

/// A response, and the room that it takes until it is dropped.
pub(super) struct Held<T> {
    response: T,
    room: Room,
}

impl<T> Held<T> {
    pub(super) fn release(self) -> T {
        let Self { response, room } = self;
        drop(room);
        response
    }
}

struct Room {
    allowance: Allowance,
    cost: u64,
}

impl Drop for Room {
    fn drop(&mut self) {
        let taken = &self.allowance.taken;
        taken.fetch_sub(self.cost, Ordering::Relaxed);
    }
}

/// Nobody knows how long a body is that does not say so.
fn cost(unread: Option<u64>) -> u64 {
    unread.unwrap_or(ALLOWANCE)
}

/// Half of the smallest window that a connection has (RFC 9113 section 6.9.2).
const ALLOWANCE: u64 = 32 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_small_and_little_of_it() {
        for (unread, count) in [
            (Some(0), 100),
            (Some(300), 100),
            (Some(4 * 1024), 8),
            (Some(12 * 1024), 2),
            (Some(32 * 1024), 1),
            (None, 1),
            (Some(32 * 1024 + 1), 0),
            (Some(u64::MAX), 0),
        ] {
            let allowance = Allowance::default();
            let rooms = (0..100).map_while(|_| allowance.take(cost(unread)));
            assert_eq!(rooms.collect::<Vec<_>>().len(), count, "{unread:?}");
            assert!(allowance.take(ALLOWANCE).is_some(), "room comes back");
        }
    }

    #[test]
    fn a_body_that_is_over_takes_no_room() {
        let allowance = Allowance::default();
        let all = allowance.take(ALLOWANCE);
        assert!(allowance.take(cost(Some(0))).is_some());
        assert!(allowance.take(cost(Some(1))).is_none());
        drop(all);
    }
}

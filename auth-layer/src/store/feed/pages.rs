use std::time::Duration;

use super::{CatchUp, FeedListener};
use crate::clock::Timestamp;
use crate::refresh_token::SessionId;

/// All that was revoked, read page by page in this order.
pub(in crate::store) struct Pages<'a> {
    catch_up: CatchUp<'a>,
    /// The next page begins behind it.
    pub(in crate::store) after: Revoked,
}

/// A session and when it was revoked.
#[derive(Clone, Copy)]
pub(in crate::store) struct Revoked {
    pub(in crate::store) at: Timestamp,
    pub(in crate::store) id: SessionId,
}

impl<'a> Pages<'a> {
    /// How many are on a page.
    pub(in crate::store) const SIZE: u32 = 4_096;

    pub(in crate::store) fn new(to: &'a FeedListener) -> Self {
        let catch_up = to.catch_up();
        let after = Revoked {
            at: catch_up.since().minus(Duration::from_millis(1)),
            id: SessionId::from_bytes([0xff; 16]),
        };
        Self { catch_up, after }
    }

    /// None once the last one was told.
    pub(in crate::store) fn tell(mut self, page: &[Revoked]) -> Option<Self> {
        for it in page {
            self.catch_up.revoked(it.id, it.at);
            self.after = *it;
        }
        if page.len() == Self::SIZE as usize {
            return Some(self);
        }
        self.catch_up.done();
        None
    }
}

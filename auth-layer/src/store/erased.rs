use std::future::Future;
use std::pin::Pin;

use super::{
    FeedListener, RevokedBy, Rotated, Rotation, Selection, Session, SessionStore, StoreError,
};
use crate::clock::Timestamp;

/// A [`SessionStore`] whose type does not matter.
pub(crate) trait ErasedStore: Send + Sync {
    fn insert(&self, session: Session, epoch: Option<u64>) -> Answer<'_, ()>;
    fn epoch<'a>(&'a self, subject: &'a str) -> Answer<'a, u64>;
    fn rotate(&self, rotation: Rotation) -> Answer<'_, Rotated>;
    fn revoke(&self, which: Selection, by: RevokedBy, now: Timestamp) -> Answer<'_, Vec<Session>>;
    fn list(&self, which: Selection, now: Timestamp) -> Answer<'_, Vec<Session>>;
    fn delete_expired(&self, before: Timestamp, limit: u32) -> Answer<'_, u64>;
    fn feed<'a>(&'a self, to: &'a FeedListener) -> Answer<'a, ()>;
}

pub(crate) type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

impl<S: SessionStore> ErasedStore for S {
    fn insert(&self, session: Session, epoch: Option<u64>) -> Answer<'_, ()> {
        Box::pin(SessionStore::insert(self, session, epoch))
    }

    fn epoch<'a>(&'a self, subject: &'a str) -> Answer<'a, u64> {
        Box::pin(SessionStore::epoch(self, subject))
    }

    fn rotate(&self, rotation: Rotation) -> Answer<'_, Rotated> {
        Box::pin(SessionStore::rotate(self, rotation))
    }

    fn revoke(&self, which: Selection, by: RevokedBy, now: Timestamp) -> Answer<'_, Vec<Session>> {
        Box::pin(SessionStore::revoke(self, which, by, now))
    }

    fn list(&self, which: Selection, now: Timestamp) -> Answer<'_, Vec<Session>> {
        Box::pin(SessionStore::list(self, which, now))
    }

    fn delete_expired(&self, before: Timestamp, limit: u32) -> Answer<'_, u64> {
        Box::pin(SessionStore::delete_expired(self, before, limit))
    }

    fn feed<'a>(&'a self, to: &'a FeedListener) -> Answer<'a, ()> {
        Box::pin(SessionStore::feed(self, to))
    }
}

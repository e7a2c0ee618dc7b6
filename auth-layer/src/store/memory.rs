use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::broadcast;

use super::{
    Dead, FeedListener, LIST_LIMIT, RevokedBy, Rotated, Rotation, Selection, Session, SessionStore,
    StoreError, StoreErrorKind,
};
use crate::clock::Timestamp;
use crate::refresh_token::SessionId;

/// Sessions in memory, for tests and tools of a single process: they end with it. Clones share them.
///
/// It grows unless somebody calls [`delete_expired`](SessionStore::delete_expired) now and then: an
/// issuer does.
///
/// ```
/// use auth_layer::store::MemoryStore;
///
/// let store = MemoryStore::new();
/// ```
#[derive(Clone, Default)]
pub struct MemoryStore(Arc<Shards>);

/// A session and its subject's index are in shards of their own: no two locks are ever held at once,
/// so the index may name sessions that are not there, and never lacks one whose insertion was answered.
struct Shards {
    hasher: RandomState,
    sessions: [Mutex<HashMap<SessionId, Session>>; SHARDS],
    subjects: [Mutex<HashMap<String, Subject>>; SHARDS],
    revoked: broadcast::Sender<SessionId>,
}

#[derive(Default)]
struct Subject {
    sessions: HashSet<SessionId>,
    epoch: u64,
}

const SHARDS: usize = 32;
/// Who listens and falls back further catches up instead.
const UNHEARD: usize = 1_024;

impl Default for Shards {
    fn default() -> Self {
        Self {
            hasher: RandomState::new(),
            sessions: Default::default(),
            subjects: Default::default(),
            revoked: broadcast::Sender::new(UNHEARD),
        }
    }
}

impl MemoryStore {
    /// A store without sessions.
    pub fn new() -> Self {
        Self::default()
    }

    fn shard(&self, id: SessionId) -> MutexGuard<'_, HashMap<SessionId, Session>> {
        self.0.lock(&self.0.sessions, &id)
    }

    fn subject(&self, subject: &str) -> MutexGuard<'_, HashMap<String, Subject>> {
        self.0.lock(&self.0.subjects, subject)
    }

    fn ids(&self, selection: &Selection) -> Vec<SessionId> {
        match selection {
            Selection::One(id) => vec![*id],
            Selection::Subject(subject) | Selection::Others { subject, .. } => {
                let subjects = self.subject(subject);
                let ids = subjects.get(subject).map(|it| it.sessions.iter().copied());
                ids.into_iter().flatten().collect()
            }
        }
    }

    /// Whether the subject's epoch was the expected one.
    fn index(&self, id: SessionId, subject: String, expected: Option<u64>) -> bool {
        let mut subjects = self.subject(&subject);
        let epoch = subjects.get(&subject).map_or(0, |it| it.epoch);
        let fits = expected.is_none_or(|it| it == epoch);
        if fits {
            subjects.entry(subject).or_default().sessions.insert(id);
        }
        fits
    }

    fn next_epoch(&self, selection: &Selection) {
        if let Some(subject) = selection.subject() {
            let mut subjects = self.subject(subject);
            subjects.entry(subject.to_owned()).or_default().epoch += 1;
        }
    }

    fn tell(&self, id: SessionId) {
        let _ = self.0.revoked.send(id);
    }

    fn revoked_since(&self, since: Timestamp) -> Vec<(SessionId, Timestamp)> {
        let revoked = |it: &Session| {
            let at = it.chain.revoked_at.filter(|at| *at >= since)?;
            Some((it.id, at))
        };
        let mut found = Vec::new();
        for shard in &self.0.sessions {
            found.extend(lock(shard).values().filter_map(revoked));
        }
        found
    }

    fn forget(&self, session: &Session) {
        let mut subjects = self.subject(&session.subject);
        if let Entry::Occupied(mut subject) = subjects.entry(session.subject.clone()) {
            subject.get_mut().sessions.remove(&session.id);
            // An epoch that began anew would let in a sign-in from before.
            if subject.get().sessions.is_empty() && subject.get().epoch == 0 {
                subject.remove();
            }
        }
    }
}

impl SessionStore for MemoryStore {
    /// The session first: the epoch is checked in the step that makes it one of its subject's, where a revocation finds it.
    async fn insert(&self, session: Session, epoch: Option<u64>) -> Result<(), StoreError> {
        let (id, subject) = (session.id, session.subject.clone());
        match self.shard(id).entry(id) {
            Entry::Occupied(_) => return Err(StoreErrorKind::Conflict.into()),
            Entry::Vacant(free) => free.insert(session),
        };
        if self.index(id, subject, epoch) {
            return Ok(());
        }
        self.shard(id).remove(&id);
        Err(StoreErrorKind::Revoked.into())
    }

    async fn epoch(&self, subject: &str) -> Result<u64, StoreError> {
        let subjects = self.subject(subject);
        Ok(subjects.get(subject).map_or(0, |it| it.epoch))
    }

    async fn rotate(&self, rotation: Rotation) -> Result<Rotated, StoreError> {
        let rotated = match self.shard(rotation.session).get_mut(&rotation.session) {
            Some(session) => session.rotate(&rotation),
            None => Rotated::Dead(Dead::Unknown),
        };
        if matches!(&rotated, Rotated::Decided(outcome, _) if outcome.is_reuse()) {
            self.tell(rotation.session);
        }
        Ok(rotated)
    }

    async fn revoke(
        &self,
        selection: Selection,
        by: RevokedBy,
        now: Timestamp,
    ) -> Result<Vec<Session>, StoreError> {
        self.next_epoch(&selection);
        let mut revoked = Vec::new();
        for id in self.ids(&selection) {
            let mut shard = self.shard(id);
            let Some(session) = shard.get_mut(&id) else {
                continue;
            };
            if selection.contains(session) && session.revoke(by, now) {
                revoked.push(session.clone());
            }
        }
        revoked.iter().for_each(|it| self.tell(it.id));
        Ok(revoked)
    }

    async fn list(&self, selection: Selection, now: Timestamp) -> Result<Vec<Session>, StoreError> {
        let ids = self.ids(&selection).into_iter();
        let mut sessions: Vec<_> = ids
            .filter_map(|id| self.shard(id).get(&id).cloned())
            .filter(|it| selection.contains(it) && it.is_alive(now))
            .collect();
        sessions.sort_by_key(|it| (std::cmp::Reverse(it.created_at), it.id));
        sessions.truncate(LIST_LIMIT);
        Ok(sessions)
    }

    async fn delete_expired(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let mut deleted = 0;
        for shard in 0..SHARDS {
            let room = (limit as usize).saturating_sub(deleted);
            let mut sessions = lock(&self.0.sessions[shard]);
            let ids: Vec<_> = sessions
                .values()
                .filter(|session| session.chain.absolute_expires_at < before)
                .map(|session| session.id)
                .take(room)
                .collect();
            let expired: Vec<_> = ids.iter().filter_map(|id| sessions.remove(id)).collect();
            drop(sessions);
            expired.iter().for_each(|session| self.forget(session));
            deleted += expired.len();
        }
        Ok(deleted as u64)
    }

    async fn feed(&self, to: &FeedListener) -> Result<(), StoreError> {
        let mut news = self.0.revoked.subscribe();
        loop {
            let catch_up = to.catch_up();
            for (id, at) in self.revoked_since(catch_up.since()) {
                catch_up.revoked(id, at);
            }
            catch_up.done();
            while let Ok(id) = news.recv().await {
                to.revoked(id);
            }
        }
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sessions: usize = self.0.sessions.iter().map(|it| lock(it).len()).sum();
        f.debug_struct("MemoryStore")
            .field("sessions", &sessions)
            .finish_non_exhaustive()
    }
}

impl Shards {
    fn lock<'a, T>(
        &self,
        shards: &'a [Mutex<T>; SHARDS],
        key: &(impl std::hash::Hash + ?Sized),
    ) -> MutexGuard<'a, T> {
        lock(&shards[self.hasher.hash_one(key) as usize % SHARDS])
    }
}

fn lock<T>(shard: &Mutex<T>) -> MutexGuard<'_, T> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

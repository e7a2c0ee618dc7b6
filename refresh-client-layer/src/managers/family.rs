use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::refresh::{AnyRefresher, RefreshError, RefreshRequest, Refresher};
use crate::tokens::{IdempotencyKey, RefreshToken, TokenSet};

/// Finds the managers that hold the same refresh token, whatever their keys.
///
/// A token that two managers sent would look like a stolen one to the server. So the members of a family
/// refresh one after the other, each with the newest refresh token. They never share an access token: it
/// was issued for the resource, scope and origins of the one that asked for it.
pub(super) struct Families {
    shards: Box<[Mutex<Shard>]>,
    seeds: [RandomState; 2],
}

type Shard = HashMap<Name, Weak<Family>>;

/// Stands for a refresh token without being one.
type Name = [u64; 2];

struct Family {
    families: Weak<Families>,
    /// The latest names that lead here, the oldest first.
    names: Mutex<VecDeque<Name>>,
    line: tokio::sync::Mutex<Line>,
}

/// What the members have come to, one after the other.
#[derive(Default)]
struct Line {
    /// The tokens that replaced all others. Members send its refresh token and key, and nothing else.
    newest: Option<TokenSet>,
    /// What was sent last: whoever has to send that token again repeats it.
    sent: Option<(RefreshToken, IdempotencyKey)>,
}

impl Families {
    pub(super) fn new() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            seeds: [RandomState::new(), RandomState::new()],
        }
    }

    /// The refresher of one manager, as a member of whatever family its tokens are of.
    pub(super) fn join(self: &Arc<Self>, refresher: AnyRefresher) -> AnyRefresher {
        AnyRefresher::new(Member {
            refresher,
            families: self.clone(),
            family: Mutex::new(None),
        })
    }

    fn of(self: &Arc<Self>, token: &RefreshToken) -> Arc<Family> {
        let name = self.name(token);
        let mut shard = self.shard(&name);
        if let Some(family) = shard.get(&name).and_then(Weak::upgrade) {
            return family;
        }
        let family = Arc::new(Family {
            families: Arc::downgrade(self),
            names: Mutex::new(VecDeque::from([name])),
            line: tokio::sync::Mutex::default(),
        });
        shard.insert(name, Arc::downgrade(&family));
        family
    }

    fn add(&self, family: &Arc<Family>, token: &RefreshToken) {
        let name = self.name(token);
        let weak = Arc::downgrade(family);
        let known = self.shard(&name).insert(name, weak);
        if known.is_some_and(|known| known.ptr_eq(&Arc::downgrade(family))) {
            return;
        }
        let mut names = family.names();
        names.push_back(name);
        let forgotten = if names.len() > REMEMBERED {
            names.pop_front()
        } else {
            None
        };
        drop(names);
        if let Some(name) = forgotten {
            self.shard(&name).remove(&name);
        }
    }

    fn name(&self, token: &RefreshToken) -> Name {
        self.seeds
            .each_ref()
            .map(|seed| seed.hash_one(token.secret()))
    }

    fn shard(&self, name: &Name) -> MutexGuard<'_, Shard> {
        let shard = &self.shards[(name[0] % SHARDS as u64) as usize];
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Family {
    fn names(&self) -> MutexGuard<'_, VecDeque<Name>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Family {
    fn drop(&mut self) {
        let Some(families) = self.families.upgrade() else {
            return;
        };
        for name in std::mem::take(&mut *self.names()) {
            let mut shard = families.shard(&name);
            // Somebody may have come since, and begun another.
            if shard
                .get(&name)
                .is_some_and(|family| family.strong_count() == 0)
            {
                shard.remove(&name);
            }
        }
    }
}

impl Line {
    fn newer_than(&self, token: &RefreshToken) -> Option<&TokenSet> {
        let newest = self.newest.as_ref()?;
        (newest.refresh_token().secret() != token.secret()).then_some(newest)
    }

    /// The request with the key that its token was sent with before.
    fn begin(&mut self, request: RefreshRequest) -> RefreshRequest {
        let token = request.refresh_token();
        let request = match self.sent.take() {
            Some((sent, key)) if sent.secret() == token.secret() => request.repeating(key),
            _ => request,
        };
        let key = request.idempotency_key().cloned();
        self.sent = key.map(|key| (request.refresh_token().clone(), key));
        request
    }
}

struct Member {
    refresher: AnyRefresher,
    families: Arc<Families>,
    /// Kept, so that those who come later with an older token find it.
    family: Mutex<Option<Arc<Family>>>,
}

impl Refresher for Member {
    async fn refresh(&self, request: RefreshRequest) -> Result<TokenSet, RefreshError> {
        let token = request.refresh_token().clone();
        if token.is_in_cookie() {
            // Nobody can tell whose it is.
            return self.refresher.refresh(request).await;
        }
        let family = self.families.of(&token);
        let former = self.remember(family.clone());
        drop(former);
        let mut line = family.line.lock().await;
        let request = match line.newer_than(&token) {
            Some(newest) => request.instead(newest.clone()),
            None => request,
        };
        let request = line.begin(request);
        let tokens = self.refresher.refresh(request).await?;
        self.families.add(&family, tokens.refresh_token());
        line.newest = Some(tokens.clone());
        Ok(tokens)
    }

    async fn revoke(&self, token: RefreshToken) -> Result<(), RefreshError> {
        self.refresher.revoke(token).await
    }
}

impl Member {
    fn remember(&self, family: Arc<Family>) -> Option<Arc<Family>> {
        let mut known = self.family.lock().unwrap_or_else(PoisonError::into_inner);
        known.replace(family)
    }
}

const SHARDS: usize = 64;

/// How many refreshes another member may be behind.
const REMEMBERED: usize = 8;

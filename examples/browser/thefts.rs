use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use auth_layer::issue::SessionEvent;

/// What was stolen, and whether the server has noticed.
#[derive(Clone, Default)]
pub(crate) struct Thefts(Arc<Mutex<VecDeque<Theft>>>);

#[derive(Clone)]
pub(crate) struct Theft {
    pub(crate) id: String,
    /// The session.
    pub(crate) sid: String,
    pub(crate) loot: Loot,
    pub(crate) is_noticed: bool,
}

/// What the thief got for the token that it copied.
#[derive(Clone)]
pub(crate) struct Loot {
    pub(crate) access_token: String,
    pub(crate) cookie: String,
}

/// Older ones are forgotten.
const MOST: usize = 16;

impl Thefts {
    /// Whoever gets the id may watch the thief.
    pub(crate) fn add(&self, sid: String, loot: Loot) -> Result<String, getrandom::Error> {
        let id = examples::hex(&examples::random()?[..16]);
        let mut thefts = self.lock();
        thefts.truncate(MOST - 1);
        thefts.push_front(Theft {
            id: id.clone(),
            sid,
            loot,
            is_noticed: false,
        });
        Ok(id)
    }

    pub(crate) fn find(&self, id: &str) -> Option<Theft> {
        self.lock().iter().find(|it| it.id == id).cloned()
    }

    /// The thief has refreshed again.
    pub(crate) fn replace(&self, id: &str, loot: Loot) {
        if let Some(theft) = self.lock().iter_mut().find(|it| it.id == id) {
            theft.loot = loot;
        }
    }

    /// A real server would now write to the user.
    pub(crate) fn note(&self, event: &SessionEvent) {
        let SessionEvent::ReuseDetected { sid, .. } = event else {
            return;
        };
        let sid = sid.to_string();
        for theft in self.lock().iter_mut().filter(|it| it.sid == sid) {
            theft.is_noticed = true;
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Theft>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

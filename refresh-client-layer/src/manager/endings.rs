use std::collections::VecDeque;

use crate::store::{SignInId, StoredTokens};

/// A sign-in that is over, and how far: its records up to a generation are not used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ending {
    /// None: any, as nobody had looked which one it was.
    sign_in: Option<SignInId>,
    up_to: u64,
}

impl Ending {
    /// All of a sign-in.
    pub(super) fn of(sign_in: SignInId) -> Self {
        Self::up_to(sign_in, u64::MAX)
    }

    /// What the server refused: another process may have been faster, and have newer tokens.
    pub(super) fn up_to(sign_in: SignInId, generation: u64) -> Self {
        Self {
            sign_in: Some(sign_in),
            up_to: generation,
        }
    }

    /// Whatever was stored until a moment. Generations begin with the milliseconds of their sign-in.
    pub(super) fn until(millis: u64) -> Self {
        Self {
            sign_in: None,
            up_to: millis,
        }
    }

    pub(super) fn covers(&self, stored: &StoredTokens) -> bool {
        self.sign_in.is_none_or(|it| it == stored.sign_in())
            && stored.tokens().generation() <= self.up_to
    }
}

/// The sign-ins that ended here, the oldest first: none of them is adopted again.
#[derive(Clone, Debug, Default)]
pub(super) struct Endings(VecDeque<Ending>);

impl Endings {
    pub(super) fn add(&mut self, ending: Ending) {
        if self.0.len() == REMEMBERED {
            self.0.pop_front();
        }
        self.0.push_back(ending);
    }

    /// Somebody has signed in with the same tokens again.
    pub(super) fn forget(&mut self, sign_in: SignInId) {
        self.0.retain(|it| it.sign_in != Some(sign_in));
    }

    pub(super) fn cover(&self, stored: &StoredTokens) -> bool {
        self.0
            .iter()
            .any(|it| it.sign_in.is_some() && it.covers(stored))
    }
}

const REMEMBERED: usize = 16;

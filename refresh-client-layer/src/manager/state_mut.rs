use std::mem;
use std::ops::{Deref, DerefMut};
use std::sync::RwLockWriteGuard;

use super::state::{Failure, State};

/// The state, to be changed.
///
/// What that does away with is dropped after the lock, as an error may be anybody's.
pub(super) struct StateMut<'a> {
    // Fields are dropped in their order.
    state: RwLockWriteGuard<'a, State>,
    discarded: Vec<Failure>,
}

impl<'a> StateMut<'a> {
    pub(super) fn new(state: RwLockWriteGuard<'a, State>) -> Self {
        let discarded = Vec::new();
        Self { state, discarded }
    }
}

impl Drop for StateMut<'_> {
    fn drop(&mut self) {
        self.discarded = mem::take(&mut self.state.discarded);
    }
}

impl Deref for StateMut<'_> {
    type Target = State;

    fn deref(&self) -> &State {
        &self.state
    }
}

impl DerefMut for StateMut<'_> {
    fn deref_mut(&mut self) -> &mut State {
        &mut self.state
    }
}

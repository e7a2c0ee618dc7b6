use std::collections::VecDeque;

use crate::event::Event;

/// Events in the order in which they happened. One at a time tells them, and outside of the lock: they
/// are told to foreign code, which may make more of them happen.
#[derive(Debug, Default)]
pub(super) struct News {
    untold: VecDeque<Event>,
    is_being_told: bool,
}

impl News {
    pub(super) fn push(&mut self, event: Event) {
        self.untold.push_back(event);
    }

    /// True for the one who is to tell them now.
    pub(super) fn begin(&mut self) -> bool {
        !std::mem::replace(&mut self.is_being_told, true)
    }

    /// What to tell next; `None` at the end, from which on somebody else may begin.
    pub(super) fn next(&mut self) -> Option<Event> {
        let event = self.untold.pop_front();
        self.is_being_told = event.is_some();
        event
    }
}

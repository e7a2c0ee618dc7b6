use crate::replay::{Obstacle, Request, Spare};

/// What the next attempt sends.
pub(super) enum Next<R: Request> {
    /// The request itself.
    Unsent(R),
    /// What was kept of it.
    Again(Spare<R>),
}

impl<R: Request> Next<R> {
    pub(super) fn unsent(&self) -> Option<&R> {
        match self {
            Self::Unsent(request) => Some(request),
            Self::Again(_) => None,
        }
    }

    /// Does what can be done before there is a token.
    pub(super) fn prepare(self) -> Self {
        match self {
            Self::Unsent(request) => Self::Unsent(request),
            Self::Again(spare) => match spare.try_into_copy() {
                Ok(request) => Self::Unsent(request),
                Err(spare) => Self::Again(spare),
            },
        }
    }

    /// Ends the upload of the last attempt, if there was one.
    pub(super) fn into_request(self) -> Option<R> {
        match self {
            Self::Unsent(request) => Some(request),
            Self::Again(spare) => spare.into_again(),
        }
    }

    /// True unless the upload of the last attempt is still under way.
    pub(super) fn is_sent(&self) -> bool {
        match self {
            Self::Unsent(_) => true,
            Self::Again(spare) => spare.is_sent(),
        }
    }

    /// Halts the upload of the last attempt, unless there is something in the way of another one.
    pub(super) fn pause(&self) -> Result<(), Obstacle> {
        match self {
            Self::Unsent(_) => Ok(()),
            Self::Again(spare) => spare.pause(),
        }
    }
}

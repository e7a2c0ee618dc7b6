use std::fmt;
use std::hash::Hash;
use std::sync::Arc;

use http::Extensions;

use super::load::Boxed;
use super::{Loaded, SessionKey, TokenManagers};
use crate::manager::TokenManager;

/// Whose token goes with a request.
#[derive(Clone)]
pub(crate) enum Sessions {
    One(TokenManager),
    Keyed(Arc<dyn Pick>),
}

/// The session of one request, now or later.
pub(crate) enum Picked {
    Now(Loaded),
    Later(Picking),
}

pub(crate) type Picking = Boxed<Loaded>;

impl Sessions {
    pub(crate) fn keyed<K>(managers: TokenManagers<K>) -> Self
    where
        K: Clone + Eq + Hash + Send + Sync + 'static,
    {
        Self::Keyed(Arc::new(managers))
    }

    pub(crate) fn pick(&self, extensions: Option<&Extensions>) -> Picked {
        match self {
            Self::One(manager) => Picked::Now(Ok(Some(manager.clone()))),
            Self::Keyed(managers) => extensions.map_or(NOBODY, |given| managers.pick(given)),
        }
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(manager) => manager.fmt(f),
            Self::Keyed(managers) => managers.fmt(f),
        }
    }
}

/// [`TokenManagers`] whose keys are nobody's business.
pub(crate) trait Pick: fmt::Debug + Send + Sync {
    fn pick(&self, extensions: &Extensions) -> Picked;
}

impl<K> Pick for TokenManagers<K>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
{
    fn pick(&self, extensions: &Extensions) -> Picked {
        let Some(SessionKey(key)) = extensions.get() else {
            return NOBODY;
        };
        match self.shared.find(key) {
            Ok(loaded) => Picked::Now(loaded),
            Err(picking) => Picked::Later(picking),
        }
    }
}

/// A request without a key is nobody's, and gets nobody's token.
const NOBODY: Picked = Picked::Now(Ok(None));

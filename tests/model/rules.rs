use auth_layer::store::Chain;

use crate::message::Key;
use crate::server::Decide;

/// How the parties behave: as they do, or with a fault that the search must find.
#[derive(Clone, Copy)]
pub(crate) struct Rules {
    /// What the server's store decides.
    pub(crate) decide: Decide,
    /// With which key the server derives the child. The number says how many different answers
    /// the token has had.
    pub(crate) keying: fn(Option<Key>, usize) -> Option<Key>,
    /// Whether a client's storage has the key before the request leaves.
    pub(crate) keeps_keys: bool,
    /// Whether a client sends the key that it stored.
    pub(crate) repeats_keys: bool,
    /// Whether a client's storage compares what it holds with what the client has seen.
    pub(crate) keeps_newest: bool,
}

impl Rules {
    pub(crate) const REAL: Self = Self {
        decide: Chain::rotate,
        keying: |key, _| key,
        keeps_keys: true,
        repeats_keys: true,
        keeps_newest: true,
    };
}

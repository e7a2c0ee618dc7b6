//! Server half.
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod clock;
pub mod revocation;
pub mod scope;

pub use clock::{Clock, SystemClock, Timestamp};
pub use revocation::Revocations;
pub use scope::Scopes;

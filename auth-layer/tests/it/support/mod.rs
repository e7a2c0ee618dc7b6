//! What tests share: issuers, clients and servers that do what a test asks of them.

pub(crate) mod authority;
pub(crate) mod dpop;
pub(crate) mod feed;
pub(crate) mod issue;
pub(crate) mod jwks;
pub(crate) mod redis;
pub(crate) mod servers;

mod handle;
mod listener;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(super) mod pages;
mod status;
mod task;

pub use handle::RevocationFeed;
pub use listener::{CatchUp, FeedListener};
pub use status::FeedStatus;
pub(crate) use task::follow;

#[cfg(test)]
mod tests;

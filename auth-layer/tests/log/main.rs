//! What the library logs. A process of its own: the subscriber is for all of its threads.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod dpop;
mod feed;
mod refusals;
mod requests;
mod secrets;
mod support {
    mod log;

    #[path = "../../it/support/authority.rs"]
    pub(crate) mod authority;
    #[expect(dead_code, reason = "a part of it is used here")]
    #[path = "../../it/support/dpop.rs"]
    pub(crate) mod dpop;
    #[expect(dead_code, reason = "a part of it is used here")]
    #[path = "../../it/support/issue.rs"]
    pub(crate) mod issue;

    pub(crate) use log::Log;
}

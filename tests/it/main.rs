//! The two libraries together, over real sockets, and what the repository promises of itself.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod contract;
mod cookies;
mod dpop;
mod grpc;
mod guides;
mod layering;
mod oauth;

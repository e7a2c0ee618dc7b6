//! How to build what people build, and what to do when it does not work.
//!
//! | page | for whom |
//! | --- | --- |
//! | [`cli`] | whoever writes a program that stays signed in between its runs |
//! | [`gateways`] | whoever acts for many users at once |
//! | [`from_an_interceptor`] | whoever has a hand-written "on 401, refresh and retry" |
//! | [`operate`] | whoever is on duty: metrics, log lines, and what to be woken by |
//! | [`defaults`] | every number that this crate picked, and why |
//! | [`errors`] | every kind of error: what it means, and what to do |

#[doc = include_str!("guide/cli.md")]
pub mod cli {}

#[doc = include_str!("guide/gateways.md")]
pub mod gateways {}

#[doc = include_str!("guide/from_an_interceptor.md")]
pub mod from_an_interceptor {}

#[doc = include_str!("guide/operate.md")]
pub mod operate {}

#[doc = include_str!("guide/defaults.md")]
pub mod defaults {}

#[doc = include_str!("guide/errors.md")]
pub mod errors {}

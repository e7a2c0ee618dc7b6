//! How to build what people build, how to run it, and what to do when it does not work.
//!
//! | page | for whom |
//! | --- | --- |
//! | [`defaults`] | every number that this crate picked, and why |
//! | [`errors`] | every kind of error: what it means, and what to do |

#[doc = include_str!("defaults.md")]
pub mod defaults {}

#[doc = include_str!("errors.md")]
pub mod errors {}

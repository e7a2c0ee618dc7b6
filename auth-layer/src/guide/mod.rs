//! How to build what people build, how to run it, and what to do when it does not work.
//!
//! The pages are there with the feature `full`, as they show all of the crate.
//!
//! | page | for whom |
//! | --- | --- |
//! | [`protect_axum`] | whoever has an axum app |
//! | [`protect_tonic`] | whoever has a tonic server |
//! | [`rotate_keys`] | every secret: how it is replaced, and what to do if it leaks |
//! | [`thief`] | what a thief can do, for each place where a token is kept |
//! | [`several_machines`] | whoever runs more than one process |
//! | [`operate`] | whoever is called at night: what to watch, to keep and to restore |
//! | [`defaults`] | every number that this crate picked, and why |
//! | [`errors`] | every kind of error: what it means, and what to do |

#[cfg_attr(feature = "full", doc = include_str!("protect_axum.md"))]
#[cfg_attr(not(feature = "full"), doc = "Protect an axum app.")]
pub mod protect_axum {}

#[cfg_attr(feature = "full", doc = include_str!("protect_tonic.md"))]
#[cfg_attr(not(feature = "full"), doc = "Protect a tonic server.")]
pub mod protect_tonic {}

#[cfg_attr(feature = "full", doc = include_str!("rotate_keys.md"))]
#[cfg_attr(not(feature = "full"), doc = "Rotate keys.")]
pub mod rotate_keys {}

#[cfg_attr(feature = "full", doc = include_str!("thief.md"))]
#[cfg_attr(not(feature = "full"), doc = "What a thief can do.")]
pub mod thief {}

#[cfg_attr(feature = "full", doc = include_str!("several_machines.md"))]
#[cfg_attr(not(feature = "full"), doc = "Run it on several machines.")]
pub mod several_machines {}

#[cfg_attr(feature = "full", doc = include_str!("operate.md"))]
#[cfg_attr(not(feature = "full"), doc = "Operate it.")]
pub mod operate {}

#[cfg_attr(feature = "full", doc = include_str!("defaults.md"))]
#[cfg_attr(not(feature = "full"), doc = "Every default.")]
pub mod defaults {}

#[cfg_attr(feature = "full", doc = include_str!("errors.md"))]
#[cfg_attr(not(feature = "full"), doc = "Every error.")]
pub mod errors {}

use std::fmt;

/// Where chance comes from.
pub trait Random: fmt::Debug + Send + Sync + 'static {
    /// Fills `bytes` with what nobody can guess.
    ///
    /// # Errors
    /// When there is no randomness to be had.
    fn fill(&self, bytes: &mut [u8]) -> Result<(), NoRandomness>;
}

/// The operating system's randomness.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct SystemRandom;

impl Random for SystemRandom {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place of the issuer that draws chance"
    )]
    fn fill(&self, bytes: &mut [u8]) -> Result<(), NoRandomness> {
        aws_lc_rs::rand::fill(bytes).map_err(|_| NoRandomness)
    }
}

/// No randomness was to be had.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "implementations make it")]
pub struct NoRandomness;

impl fmt::Display for NoRandomness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no randomness is to be had")
    }
}

impl std::error::Error for NoRandomness {}

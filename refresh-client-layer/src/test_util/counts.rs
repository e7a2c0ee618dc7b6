/// What a [`TokenServer`](super::TokenServer) saw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Refreshes that arrived, whatever came of them.
    pub refreshes: u32,
    /// Refreshes that made new tokens.
    pub rotations: u32,
    /// Refreshes that repeated another one, with its idempotency key, and got its tokens.
    pub repeats: u32,
    /// Refresh tokens that came twice and ended their session.
    pub reuses: u32,
    /// Sessions that were ended by their client.
    pub sign_outs: u32,
    /// Other requests.
    pub requests: u32,
    /// Those of them that were refused for want of a live access token.
    pub refused: u32,
}

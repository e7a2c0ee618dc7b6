//! How often a session may refresh, and an address may guess.

mod bucket;
mod limiter;

use std::num::NonZeroU32;

pub(super) use limiter::{AddressCost, Limiter, SessionCharge};

/// How often the endpoints answer. A request over a limit is answered with 429 and `Retry-After`.
///
/// A session is charged for a refresh once its token has proved genuine, its client has authenticated
/// and its key is proved, so no other party can spend its limit. A repeat of the request before, with
/// the same `Idempotency-Key`, costs a sixteenth: a storm of repeats does not lock a session out.
///
/// An address (an IPv6 network of 64 bits counts as one) is charged for forged tokens, failed client
/// authentication, and tokens whose client or key is not proved; a request for a DPoP nonce costs a
/// sixteenth. These are then answered with 429. Requests that prove what they claim are answered also
/// where their address has spent its limit, as others may share it. A token of a refresh secret that is
/// not in use, such as a retired one, is charged to no party. Where the address is not known, see
/// [`ClientAddress`](super::ClientAddress), that limit does not apply.
///
/// The state is in memory: each process counts for itself, and what has not been used for as long as
/// a full burst takes to come back is forgotten.
///
/// ```
/// use std::num::NonZero;
/// use auth_layer::endpoint::Limits;
///
/// let limits = Limits::new().by_session(NonZero::new(6).unwrap(), NonZero::new(3).unwrap());
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use = "nothing is limited before `TokenEndpoints::limits`"]
pub struct Limits {
    session: Option<Rate>,
    address: Option<Rate>,
}

/// As many a minute, and as many at once.
#[derive(Clone, Copy, Debug)]
struct Rate {
    per_minute: NonZeroU32,
    burst: NonZeroU32,
}

impl Limits {
    /// 30 refreshes a minute for each session, 10 at once; 60 failed attempts a minute from each
    /// address.
    pub const fn new() -> Self {
        Self {
            session: Some(Rate {
                per_minute: THIRTY,
                burst: TEN,
            }),
            address: Some(Rate {
                per_minute: SIXTY,
                burst: SIXTY,
            }),
        }
    }

    /// None at all: for those who limit elsewhere.
    pub const fn none() -> Self {
        Self {
            session: None,
            address: None,
        }
    }

    /// How many refreshes a session may have in a minute, and how many of them at once.
    pub const fn by_session(mut self, per_minute: NonZeroU32, burst: NonZeroU32) -> Self {
        self.session = Some(Rate { per_minute, burst });
        self
    }

    /// How many failed attempts an address may make in a minute.
    pub const fn by_address(mut self, per_minute: NonZeroU32) -> Self {
        self.address = Some(Rate {
            per_minute,
            burst: per_minute,
        });
        self
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::new()
    }
}

const TEN: NonZeroU32 = NonZeroU32::new(10).expect("it is not zero");
const THIRTY: NonZeroU32 = NonZeroU32::new(30).expect("it is not zero");
const SIXTY: NonZeroU32 = NonZeroU32::new(60).expect("it is not zero");

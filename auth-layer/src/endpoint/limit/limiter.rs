use std::hash::{BuildHasher as _, Hash, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::time::Duration;

use quick_cache::sync::Cache;

use super::Limits;
use super::bucket::{Bucket, PART, WHOLE};
use crate::refresh_token::SessionId;

/// What is left of the [`Limits`].
pub(in super::super) struct Limiter {
    sessions: Option<Bucket<SessionId>>,
    addresses: Option<Bucket<IpAddr>>,
    /// Hash of each session's most recent request, used to recognise retries. If the entry has been
    /// evicted, a retry is charged as a new request.
    newest: Cache<SessionId, u64>,
    hasher: RandomState,
}

impl Limiter {
    pub(in super::super) fn new(limits: Limits) -> Self {
        Self {
            sessions: limits.session.map(Bucket::new),
            addresses: limits.address.map(Bucket::new),
            newest: Cache::new(16 * 1024),
            hasher: RandomState::new(),
        }
    }

    /// Whether `session` has enough left for a request with a genuine token of it. Takes nothing.
    /// `repeat` is what a repeat of the request has in common with it, if it can be repeated.
    pub(in super::super) fn inspect(
        &self,
        session: SessionId,
        repeat: Option<impl Hash>,
    ) -> Result<SessionCharge, Duration> {
        let request = repeat.map(|repeat| self.hasher.hash_one(repeat));
        let charge = SessionCharge { session, request };
        match &self.sessions {
            Some(sessions) => sessions
                .inspect(&session, self.parts(charge))
                .map(|()| charge),
            None => Ok(charge),
        }
    }

    /// Charges a session for a request whose sender has proved to be its holder. Where requests that
    /// ran beside this one took the last of it, nothing is left to take. Whether it is a repeat is
    /// decided only now, as repeats may run at once.
    pub(in super::super) fn charge(&self, charge: SessionCharge) {
        let Some(sessions) = &self.sessions else {
            return;
        };
        let parts = self.parts(charge);
        if let Some(request) = charge.request {
            self.newest.insert(charge.session, request);
        }
        let _ = sessions.take(&charge.session, parts);
    }

    fn parts(&self, charge: SessionCharge) -> NonZeroU32 {
        let is_repeat =
            charge.request.is_some() && self.newest.get(&charge.session) == charge.request;
        if is_repeat { PART } else { WHOLE }
    }

    /// Charges an address for a request that proved nothing, or says how long to wait.
    pub(in super::super) fn charge_address(
        &self,
        address: IpAddr,
        cost: AddressCost,
    ) -> Result<(), Duration> {
        let parts = match cost {
            AddressCost::Attempt => WHOLE,
            AddressCost::NonceRequest => PART,
        };
        match &self.addresses {
            Some(addresses) => addresses.take(&network(address), parts),
            None => Ok(()),
        }
    }
}

/// What a request costs the session of its token, if its sender proves to be the holder.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct SessionCharge {
    session: SessionId,
    request: Option<u64>,
}

impl SessionCharge {
    pub(in super::super) fn session(&self) -> SessionId {
        self.session
    }
}

/// What a request costs its address.
#[derive(Clone, Copy, Debug)]
pub(in super::super) enum AddressCost {
    /// A forged token, a failed client authentication, a bad or missing proof.
    Attempt,
    /// A proof without the newest nonce, which honest clients send all the time.
    NonceRequest,
}

/// Who has one IPv6 address has all of its network.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            const NETWORK: u128 = !(u64::MAX as u128);
            Ipv6Addr::from_bits(address.to_bits() & NETWORK).into()
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_network_counts_as_one_and_a_mapped_address_as_itself() {
        let network = |text: &str| network(text.parse().unwrap()).to_string();
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(network("::ffff:1.2.3.4"), "1.2.3.4");
        assert_eq!(network("1.2.3.4"), "1.2.3.4");
    }
}

use std::hash::{BuildHasher as _, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use quick_cache::sync::Cache;

use super::Limits;
use super::bucket::{Bucket, PART, WHOLE};
use crate::refresh_token::SessionId;

/// What is left of the [`Limits`].
pub(in super::super) struct Limiter {
    sessions: Option<Bucket<SessionId>>,
    addresses: Option<Bucket<IpAddr>>,
    /// A hash of the newest request of a session. Who falls out pays in full once more.
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

    /// A request with a genuine token of `session`. `repeat` is what a repeat of it has in common
    /// with it, if it can be repeated.
    pub(in super::super) fn session(
        &self,
        session: SessionId,
        repeat: Option<(&str, &[u8])>,
    ) -> Result<(), Duration> {
        let Some(sessions) = &self.sessions else {
            return Ok(());
        };
        let request = repeat.map(|it| self.hasher.hash_one(it));
        if request.is_some() && self.newest.get(&session) == request {
            return sessions.take(&session, PART);
        }
        sessions.take(&session, WHOLE)?;
        if let Some(request) = request {
            self.newest.insert(session, request);
        }
        Ok(())
    }

    /// A token that nobody here made.
    pub(in super::super) fn address(&self, address: IpAddr) -> Result<(), Duration> {
        match &self.addresses {
            Some(addresses) => addresses.take(&network(address), WHOLE),
            None => Ok(()),
        }
    }
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

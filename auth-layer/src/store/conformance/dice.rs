use std::time::Duration;

use crate::clock::Timestamp;
use crate::refresh_token::{SessionId, TokenHash};
use crate::store::{Rotation, Session};

/// Later than any test runs: some stores let sessions expire by a clock of their own.
pub(super) const NOW: Timestamp = Timestamp::from_secs(4_000_000_000);
pub(super) const IDLE: Duration = Duration::from_secs(600);
pub(super) const ABSOLUTE: Duration = Duration::from_secs(3_000);

/// Chance that repeats itself for the same seed (splitmix64).
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.roll() % end
    }

    pub(super) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    pub(super) fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        let index = self.below(from.len().max(1) as u64);
        from.get(usize::try_from(index).ok()?)
    }
}

/// The session that a law calls by these numbers.
pub(super) fn session_id(law: u64, number: u64) -> SessionId {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&law.to_be_bytes());
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    SessionId::from_bytes(bytes)
}

pub(super) fn session(id: SessionId, subject: &str) -> Session {
    Session::new(id, subject, first_token(id), NOW, (IDLE, ABSOLUTE))
}

pub(super) fn first_token(id: SessionId) -> TokenHash {
    stretch(u64::from_be_bytes(half(id.as_bytes())) ^ 1)
}

/// Stands for the derivation of a child: one for each parent and key.
pub(super) fn child_of(parent: TokenHash, key: u64) -> TokenHash {
    stretch(u64::from_be_bytes(half(parent.as_bytes())) ^ mix(key))
}

/// A refresh of `token` with the idempotency key `key`, 0 for none.
pub(super) fn refresh(id: SessionId, generation: u64, token: TokenHash, key: u64) -> Rotation {
    Rotation {
        keyed: key != 0,
        // Of no meaning to a store; none where a version that knew no such ids rotated.
        tag_key_id: (key != 1).then_some(u32::MAX - key as u32),
        idle: IDLE,
        ..Rotation::new(id, generation, token, child_of(token, key), NOW)
    }
}

fn stretch(seed: u64) -> TokenHash {
    let mut dice = Dice(seed);
    let mut bytes = [0; 32];
    bytes
        .chunks_mut(8)
        .for_each(|it| it.copy_from_slice(&dice.roll().to_be_bytes()));
    TokenHash::from_bytes(bytes)
}

fn half(bytes: &[u8]) -> [u8; 8] {
    let mut last = [0; 8];
    last.copy_from_slice(&bytes[bytes.len() - 8..]);
    last
}

fn mix(seed: u64) -> u64 {
    let mut z = seed;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

use std::fmt;
use std::hash::{Hash, Hasher, RandomState};

use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{Equivalent, Options, OptionsBuilder, Weighter};

use crate::claims::Claims;

/// Tokens whose signature was good, and what they say. Whether their time is over or they were
/// revoked is for the caller to ask at each hit.
///
/// Bounded by entries and by bytes. The hash is keyed by chance and covers the end of the
/// signature; a hit compares the whole token.
pub(super) struct TokenCache<C>(Cache<Token, Entry<C>, Bytes, RandomState>);

struct Entry<C> {
    claims: Claims<C>,
    /// That of the keys it was verified with.
    generation: u64,
}

impl<C> TokenCache<C> {
    /// A cache of at most `entries` tokens, each of which holds 2 KiB on average.
    pub(super) fn new(entries: usize) -> Self {
        let options = options(entries);
        let lightest = Bytes {
            lightest: BYTES_PER_ENTRY,
        };
        let lifecycle = DefaultLifecycle::default();
        Self(Cache::with_options(
            options,
            lightest,
            RandomState::new(),
            lifecycle,
        ))
    }

    /// The claims of `token`, if it was verified with the present generation of keys.
    pub(super) fn get(&self, token: &str, generation: u64) -> Option<Claims<C>> {
        let entry = self.0.get(&Borrowed(token))?;
        (entry.generation == generation).then_some(entry.claims)
    }

    pub(super) fn insert(&self, token: &str, generation: u64, claims: Claims<C>) {
        self.0
            .insert(Token(token.into()), Entry { claims, generation });
    }
}

impl<C> fmt::Debug for TokenCache<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenCache")
            .field("len", &self.0.len())
            .finish_non_exhaustive()
    }
}

impl<C> Clone for Entry<C> {
    fn clone(&self) -> Self {
        Self {
            claims: self.claims.clone(),
            generation: self.generation,
        }
    }
}

fn options(entries: usize) -> Options {
    let weight = BYTES_PER_ENTRY * entries as u64;
    OptionsBuilder::new()
        .estimated_items_capacity(entries)
        .weight_capacity(weight)
        .build()
        .expect("both capacities are set")
}

/// What an entry is reckoned to weigh at least, so that small tokens stay within the entries.
const BYTES_PER_ENTRY: u64 = 2 * 1024;

#[derive(Clone)]
struct Bytes {
    lightest: u64,
}

impl<C> Weighter<Token, Entry<C>> for Bytes {
    /// The token, its claims and the place in the table.
    fn weight(&self, token: &Token, entry: &Entry<C>) -> u64 {
        let held = token.0.len() + entry.claims.held() + TABLE;
        (held as u64).max(self.lightest)
    }
}

/// What the table takes for an entry, with what it remembers of those that are gone, and the allocator for its parts.
const TABLE: usize = 256;

struct Token(Box<str>);

struct Borrowed<'a>(&'a str);

impl Hash for Token {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Borrowed(&self.0).hash(state);
    }
}

impl Hash for Borrowed<'_> {
    /// The end of a good signature is as random as the whole.
    fn hash<H: Hasher>(&self, state: &mut H) {
        let token = self.0.as_bytes();
        state.write(&token[token.len().saturating_sub(16)..]);
    }
}

impl PartialEq for Token {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for Token {}

impl Equivalent<Token> for Borrowed<'_> {
    fn equivalent(&self, token: &Token) -> bool {
        *self.0 == *token.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims() -> Claims {
        Claims::read(b"{}").unwrap()
    }

    /// V4.
    #[test]
    fn a_token_with_the_same_hash_is_not_the_same_token() {
        let cache = TokenCache::new(8);
        let tail = "0123456789abcdef";
        cache.insert(&format!("a.{tail}"), 0, claims());
        assert!(cache.get(&format!("a.{tail}"), 0).is_some());
        assert!(cache.get(&format!("b.{tail}"), 0).is_none());
    }

    /// V4.
    #[test]
    fn other_keys_make_every_entry_worthless() {
        let cache = TokenCache::new(8);
        cache.insert("t", 0, claims());
        assert!(cache.get("t", 1).is_none());
    }

    /// V4.
    #[test]
    fn a_million_tokens_stay_within_the_bounds() {
        let cache = TokenCache::new(1_000);
        for number in 0..1_000_000 {
            cache.insert(&format!("{number:016}"), 0, claims());
        }
        assert!(cache.0.len() <= 1_000, "{} entries", cache.0.len());
        let cache = TokenCache::new(1_000);
        let long = "x".repeat(16_000);
        for number in 0..2_000 {
            cache.insert(&format!("{long}{number:016}"), 0, claims());
        }
        let len = cache.0.len();
        assert!((1..=128).contains(&len), "{len} entries of 16 KiB in 2 MiB");
    }
}

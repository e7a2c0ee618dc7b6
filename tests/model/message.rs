//! What travels, by names instead of secrets: a state of the search is then a few words.

use std::fmt::Debug;

/// A refresh token: how often the session was rotated before it, and which one of those it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Token {
    pub(crate) generation: u8,
    pub(crate) name: u8,
}

/// An idempotency key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key(pub(crate) u8);

impl Key {
    /// The thief's own: nobody told them the owner's.
    pub(crate) const THIEF: Self = Self(200);
}

/// What is sent, and what an answer answers.
pub(crate) type Request = (Token, Option<Key>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Answer {
    Child(Token),
    Superseded,
    InvalidGrant,
}

/// What a client's storage keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Kept {
    pub(crate) token: Token,
    pub(crate) key: Option<Key>,
}

/// Numbers things in the order in which they turn up.
#[derive(Debug)]
pub(crate) struct Numbers<T>(Vec<T>);

impl<T: Copy + Eq + Debug> Numbers<T> {
    pub(crate) fn new() -> Self {
        Self(Vec::new())
    }

    pub(crate) fn set(&mut self, set: Set, thing: T) -> Set {
        let number = self.0.iter().position(|it| *it == thing);
        let number = number.unwrap_or_else(|| {
            self.0.push(thing);
            self.0.len() - 1
        });
        assert!(number < 64, "a Set has no room for {thing:?}");
        Set(set.0 | 1 << number)
    }

    pub(crate) fn members(&self, set: Set) -> impl Iterator<Item = T> + '_ {
        let mut rest = set.0;
        std::iter::from_fn(move || {
            let number = rest.checked_ilog2()?;
            rest ^= 1 << number;
            Some(self.0[number as usize])
        })
    }
}

/// Which of the numbered things.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Set(u64);

impl Set {
    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }
}

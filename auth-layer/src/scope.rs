//! Scope sets (RFC 6749 s3.3).

use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A set of scopes: what an access token may be used for.
///
/// Written as scope tokens with a blank between them. Order is kept, repeats are dropped.
///
/// ```
/// use auth_layer::Scopes;
///
/// let granted: Scopes = "read write".parse()?;
/// assert!(granted.contains("read"));
/// assert!(granted.contains_all(&"write".parse()?));
/// # Ok::<(), auth_layer::scope::InvalidScope>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scopes(Vec<String>);

impl Scopes {
    /// The set of `scopes`.
    ///
    /// # Errors
    /// When one of them is empty or has a character outside RFC 6749's `scope-token`.
    pub fn new<I>(scopes: I) -> Result<Self, InvalidScope>
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        let scopes: Vec<String> = scopes.into_iter().map(Into::into).collect();
        if !scopes.iter().all(|scope| is_scope_token(scope)) {
            return Err(InvalidScope(()));
        }
        Ok(Self(without_repeats(scopes)))
    }

    /// Whether `scope` is in the set.
    pub fn contains(&self, scope: &str) -> bool {
        self.iter().any(|it| it == scope)
    }

    /// Whether every scope of `other` is in the set.
    pub fn contains_all(&self, other: &Self) -> bool {
        other.iter().all(|scope| self.contains(scope))
    }

    /// Whether there is no scope at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The scopes, one by one.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl FromStr for Scopes {
    type Err = InvalidScope;

    fn from_str(s: &str) -> Result<Self, InvalidScope> {
        Self::new(s.split(' ').filter(|scope| !scope.is_empty()))
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, scope) in self.iter().enumerate() {
            let blank = if i == 0 { "" } else { " " };
            write!(f, "{blank}{scope}")?;
        }
        Ok(())
    }
}

impl Serialize for Scopes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Scopes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A scope that RFC 6749 s3.3 does not allow: printable ASCII but blank, `"` and `\`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidScope(());

impl fmt::Display for InvalidScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a scope is one or more printable ASCII characters without blank, \" and \\")
    }
}

impl std::error::Error for InvalidScope {}

/// Linear, since clients send scopes too.
fn without_repeats(mut scopes: Vec<String>) -> Vec<String> {
    let mut seen = HashSet::with_capacity(scopes.len());
    let is_new: Vec<bool> = scopes.iter().map(|scope| seen.insert(&**scope)).collect();
    let mut is_new = is_new.into_iter();
    scopes.retain(|_| is_new.next() == Some(true));
    scopes
}

fn is_scope_token(scope: &str) -> bool {
    !scope.is_empty()
        && scope
            .bytes()
            .all(|b| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_reads_and_prints_with_blanks_and_without_repeats() {
        let scopes: Scopes = "read  write read".parse().unwrap();
        assert_eq!(scopes.to_string(), "read write");
        assert!(!scopes.contains("rea") && !scopes.is_empty());
        assert!("  ".parse::<Scopes>().unwrap().is_empty());
    }

    #[test]
    fn many_scopes_keep_their_order_and_lose_their_repeats() {
        let names: Vec<String> = (0..3_000).map(|number| format!("s{number}")).collect();
        let scopes = Scopes::new(names.iter().chain(&names).cloned()).unwrap();
        assert!(scopes.iter().eq(&names));
    }

    #[test]
    fn a_quote_or_a_line_break_is_no_scope() {
        for bad in ["a\"b", "a\\b", "a\nb", "ä"] {
            assert!(bad.parse::<Scopes>().is_err(), "{bad:?}");
        }
    }
}

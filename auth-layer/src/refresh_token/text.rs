use std::fmt;

use zeroize::Zeroizing;

/// A refresh token as it travels. It cannot print itself; dropping it wipes its memory.
///
/// ```
/// use auth_layer::RefreshToken;
///
/// let token = RefreshToken::from("AQ...".to_owned());
/// assert_eq!(format!("{token:?}"), "RefreshToken(..)");
/// assert_eq!(token.expose(), "AQ...");
/// ```
#[derive(Clone)]
pub struct RefreshToken(Zeroizing<String>);

impl RefreshToken {
    /// The secret itself: for the answer to the client that owns it, and for nobody else.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for RefreshToken {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl From<&str> for RefreshToken {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RefreshToken(..)")
    }
}

use std::fmt::Write as _;

use http::HeaderValue;

/// How a token is sent, and what a challenge asks for (RFC 9110 s11).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Scheme {
    /// RFC 6750.
    #[default]
    Bearer,
    /// RFC 9449 s7.
    Dpop,
}

/// A `WWW-Authenticate` value (RFC 6750 s3, RFC 9449 s7.1), parameter by parameter.
#[derive(Debug)]
pub(super) struct Challenge(String);

impl Challenge {
    pub(super) fn new(scheme: Scheme) -> Self {
        Self(match scheme {
            Scheme::Bearer => "Bearer".to_owned(),
            Scheme::Dpop => "DPoP".to_owned(),
        })
    }

    /// Adds `name="value"`; characters that RFC 9110 s5.6.4 wants escaped are, those that no header
    /// can have are left out.
    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        let comma = if self.0.contains('=') { "," } else { "" };
        // Writing to a string cannot fail.
        let _ = write!(self.0, "{comma} {name}=\"");
        for character in value.chars().filter(|it| matches!(it, ' '..='~')) {
            if matches!(character, '"' | '\\') {
                self.0.push('\\');
            }
            self.0.push(character);
        }
        self.0.push('"');
        self
    }

    pub(super) fn with_some(self, name: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    pub(super) fn into_value(self) -> HeaderValue {
        // Only printable ASCII got in.
        HeaderValue::from_str(&self.0).unwrap_or(HeaderValue::from_static("Bearer"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_break_out_of_the_quotes_is_escaped_or_left_out() {
        let challenge = Challenge::new(Scheme::Bearer)
            .with("realm", "a\"b\\c\r\nd")
            .with("scope", "x y");
        assert_eq!(
            challenge.into_value(),
            r#"Bearer realm="a\"b\\cd", scope="x y""#
        );
    }
}

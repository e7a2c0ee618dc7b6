use serde::Deserialize;
use serde_json::Value;

use super::RemoteKeysErrorKind;
use crate::keys::{Jwks, SkippedKey, VerifyingKey};

/// A fetched key set.
#[derive(Debug)]
pub(super) struct Document {
    pub(super) keys: Vec<VerifyingKey>,
    pub(super) skipped: Vec<SkippedKey>,
    /// How many JWKs are used; one may stand for several `keys`.
    pub(super) used: usize,
    /// The JWKs in an order of their own: issuers shuffle them.
    content: Vec<String>,
}

impl Document {
    pub(super) fn parse(json: &[u8]) -> Result<Self, RemoteKeysErrorKind> {
        #[derive(Deserialize)]
        struct Members {
            keys: Vec<Value>,
        }

        let Members { keys } =
            serde_json::from_slice(json).map_err(|_| RemoteKeysErrorKind::Malformed)?;
        if keys.len() > MAX_KEYS {
            return Err(RemoteKeysErrorKind::TooManyKeys);
        }
        let mut content: Vec<_> = keys.iter().map(Value::to_string).collect();
        content.sort_unstable();
        let count = keys.len();
        let (keys, skipped) = Jwks::prepare(&keys).without_secrets().into_parts();
        Ok(Self {
            used: count - skipped.len(),
            keys,
            skipped,
            content,
        })
    }

    /// What it says, to be compared with what another says.
    pub(super) fn content(&self) -> &[String] {
        &self.content
    }
}

const MAX_KEYS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::KeyErrorKind;

    const OKP: &str =
        r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;

    fn set(keys: &[&str]) -> String {
        format!(r#"{{"keys":[{}]}}"#, keys.join(","))
    }

    fn parse(text: &str) -> Result<Document, RemoteKeysErrorKind> {
        Document::parse(text.as_bytes())
    }

    #[test]
    fn a_set_of_64_keys_is_read_and_one_of_65_refused() {
        assert_eq!(parse(&set(&[OKP; 64])).unwrap().used, 64);
        assert_eq!(
            parse(&set(&[OKP; 65])).unwrap_err(),
            RemoteKeysErrorKind::TooManyKeys
        );
        for broken in ["", "[]", "{}", r#"{"keys":{}}"#, "<html>", "\u{feff}{}"] {
            assert_eq!(
                parse(broken).unwrap_err(),
                RemoteKeysErrorKind::Malformed,
                "{broken}"
            );
        }
    }

    #[test]
    fn a_published_secret_is_not_used() {
        let oct = r#"{"kty":"oct","alg":"HS256","kid":"s","k":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}"#;
        let document = parse(&set(&[oct, OKP])).unwrap();
        assert_eq!((document.used, document.keys.len()), (1, 1));
        assert_eq!(document.skipped[0].kid(), Some("s"));
        assert_eq!(
            document.skipped[0].error().kind(),
            KeyErrorKind::PublishedSecret
        );
    }

    #[test]
    fn the_order_of_keys_says_nothing() {
        let other = &OKP.replace("11q", "12q");
        let [one, two] = [[OKP, other], [other, OKP]].map(|it| parse(&set(&it)).unwrap());
        assert_eq!(one.content(), two.content());
        assert_ne!(one.content(), parse(&set(&[OKP])).unwrap().content());
    }
}

use http::Uri;
use http::uri::Scheme;
use serde::Deserialize;

use super::place::safe_url;
use super::{RemoteKeysError, RemoteKeysErrorKind};

/// Where an issuer's metadata may be: OpenID Connect Discovery s4 appends to the issuer's path,
/// RFC 8414 s3 inserts before it.
pub(super) fn addresses(issuer: &Uri) -> Result<[Uri; 2], RemoteKeysError> {
    let path = issuer.path().trim_end_matches('/');
    let address = |path: String| {
        let mut parts = issuer.clone().into_parts();
        parts.path_and_query = path.parse().ok();
        Uri::from_parts(parts).map_err(|_| RemoteKeysErrorKind::InvalidUrl)
    };
    Ok([
        address(format!("{path}/.well-known/openid-configuration"))?,
        address(format!("/.well-known/oauth-authorization-server{path}"))?,
    ])
}

/// The address of the key set, from the metadata of the issuer `name`.
pub(super) fn key_set_address(
    name: &str,
    issuer: &Uri,
    metadata: &[u8],
) -> Result<Uri, RemoteKeysError> {
    let metadata: Metadata =
        serde_json::from_slice(metadata).map_err(|_| RemoteKeysErrorKind::Malformed)?;
    if metadata.issuer != name {
        return Err(RemoteKeysError::wrong_issuer(name, &metadata.issuer));
    }
    let address = safe_url(&metadata.jwks_uri)?;
    // What an issuer elsewhere says of "this machine" is not for us.
    if address.scheme() == Some(&Scheme::HTTP) && issuer.scheme() != Some(&Scheme::HTTP) {
        return Err(RemoteKeysErrorKind::InvalidUrl.into());
    }
    Ok(address)
}

#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    jwks_uri: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(issuer: &str) -> [String; 2] {
        addresses(&issuer.parse().unwrap())
            .unwrap()
            .map(|it| it.to_string())
    }

    #[test]
    fn metadata_are_after_the_path_or_before_it() {
        let root = [
            "https://a.example/.well-known/openid-configuration",
            "https://a.example/.well-known/oauth-authorization-server",
        ];
        assert_eq!(at("https://a.example"), root);
        assert_eq!(at("https://a.example/"), root);
        let tenant = [
            "https://a.example:8443/t/1/.well-known/openid-configuration",
            "https://a.example:8443/.well-known/oauth-authorization-server/t/1",
        ];
        assert_eq!(at("https://a.example:8443/t/1"), tenant);
        assert_eq!(at("https://a.example:8443/t/1/"), tenant);
    }

    #[test]
    fn the_issuer_must_be_the_one_that_was_asked_and_its_keys_at_a_safe_place() {
        let read = |name: &str, metadata: &str| {
            key_set_address(name, &name.parse().unwrap(), metadata.as_bytes())
                .map(|it| it.to_string())
                .map_err(|it| it.kind())
        };
        let metadata = |issuer: &str, jwks_uri: &str| {
            serde_json::json!({ "issuer": issuer, "jwks_uri": jwks_uri, "x": 1 }).to_string()
        };
        let (far, near) = ("https://a.example", "http://127.0.0.1:8080");
        assert_eq!(
            read(far, &metadata(far, "https://keys.example/jwks")),
            Ok("https://keys.example/jwks".to_owned())
        );
        assert!(read(near, &metadata(near, "http://127.0.0.1:8080/jwks")).is_ok());
        for (name, text, kind) in [
            (
                far,
                metadata("https://a.example/", "https://a.example/jwks"),
                RemoteKeysErrorKind::WrongIssuer,
            ),
            (
                far,
                metadata(far, "http://a.example/jwks"),
                RemoteKeysErrorKind::InvalidUrl,
            ),
            (
                far,
                metadata(far, "http://127.0.0.1/jwks"),
                RemoteKeysErrorKind::InvalidUrl,
            ),
            (
                near,
                metadata(near, "http://a.example/jwks"),
                RemoteKeysErrorKind::InvalidUrl,
            ),
            (
                far,
                format!(r#"{{"issuer":"{far}"}}"#),
                RemoteKeysErrorKind::Malformed,
            ),
            (far, "<html>".to_owned(), RemoteKeysErrorKind::Malformed),
        ] {
            assert_eq!(read(name, &text), Err(kind), "{text}");
        }
    }

    #[test]
    fn trailing_slash_that_is_the_only_difference_is_named_in_the_error() {
        let error = |name: &str, issuer: &str| {
            let metadata =
                serde_json::json!({ "issuer": issuer, "jwks_uri": "https://a.example/jwks" });
            let read = key_set_address(
                name,
                &name.parse().unwrap(),
                metadata.to_string().as_bytes(),
            );
            let error = read.unwrap_err();
            assert_eq!(error.kind(), RemoteKeysErrorKind::WrongIssuer);
            error.to_string()
        };
        let [bare, slash] = ["https://a.example", "https://a.example/"];
        assert!(error(bare, slash).contains("trailing slash"));
        assert!(error(slash, bare).contains("trailing slash"));
        assert!(!error(bare, "https://b.example/").contains("slash"));
    }
}

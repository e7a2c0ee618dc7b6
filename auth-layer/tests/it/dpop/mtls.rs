//! Tokens that are bound to the client's certificate (RFC 8705 s3).

use auth_layer::claims::Thumbprint;
use auth_layer::protect::proof::CertificateSource;
use http::request::Parts;
use serde_json::json;

use crate::support::dpop::{Setting, bearer, call, label, proved, sha256, text};

const CERTIFICATE: &[u8] = b"the DER of a certificate";

/// What a TLS acceptor would have found in the handshake.
#[derive(Clone)]
struct PeerCertificate(&'static [u8]);

fn from_handshake(request: &Parts) -> Option<Thumbprint> {
    let certificate: &PeerCertificate = request.extensions.get()?;
    Some(Thumbprint::of_certificate(certificate.0))
}

/// P1, RFC 8705 s3.
#[tokio::test]
async fn a_token_is_good_with_its_own_certificate_only() {
    let setting = Setting::new();
    let layer = setting.layer().mtls(from_handshake);
    let token = setting.token(json!({ "x5t#S256": sha256(CERTIFICATE) }));
    let good = bearer(&token).extension(PeerCertificate(CERTIFICATE));
    assert_eq!(label(&layer, good).await, "passed");
    for (request, expected, description) in [
        (
            bearer(&token).extension(PeerCertificate(b"of somebody else")),
            "token_bound_to_other_certificate",
            "The access token is bound to another client certificate",
        ),
        (
            bearer(&token),
            "client_certificate_missing",
            "The access token is bound to a client certificate",
        ),
    ] {
        let response = call(&layer, request).await;
        assert_eq!(response.status(), 401);
        let rejection: &auth_layer::protect::Rejection = response.extensions().get().unwrap();
        assert_eq!(rejection.label(), expected);
        let challenge = format!(
            r#"Bearer realm="api", error="invalid_token", error_description="{description}""#
        );
        let values = response.headers().get_all("www-authenticate");
        assert_eq!(values.iter().collect::<Vec<_>>(), [challenge.as_str()]);
        let body = json!({ "error": "invalid_token", "error_description": description });
        assert_eq!(text(response).await, body.to_string());
    }
}

#[tokio::test]
async fn an_unbound_token_needs_no_certificate_unless_all_tokens_have_to_be_bound() {
    let setting = Setting::new();
    let layer = setting.layer().mtls(from_handshake);
    let token = setting.unbound_token();
    assert_eq!(label(&layer, bearer(&token)).await, "passed");
    let strict = layer.require_sender_constrained();
    let with_certificate = bearer(&token).extension(PeerCertificate(CERTIFICATE));
    assert_eq!(label(&strict, with_certificate).await, "token_not_bound");
}

#[tokio::test]
async fn a_token_that_is_bound_to_a_key_and_a_certificate_needs_both() {
    let setting = Setting::new();
    let layer = setting.dpop_layer().mtls(from_handshake);
    let jkt = setting.client.jkt();
    let token = setting.token(json!({ "jkt": jkt, "x5t#S256": sha256(CERTIFICATE) }));
    let proved = || proved(&token, &setting.client.proof(&token).sign());
    let certificate = || PeerCertificate(CERTIFICATE);
    assert_eq!(
        label(&layer, proved().extension(certificate())).await,
        "passed"
    );
    let only_proof = label(&layer, proved()).await;
    assert_eq!(only_proof, "client_certificate_missing");
    let only_certificate = bearer(&token).extension(certificate());
    assert_eq!(
        label(&layer, only_certificate).await,
        "bound_token_sent_as_bearer"
    );
    // With one of the two checks there is no way in.
    let half = setting.dpop_layer();
    assert_eq!(
        label(&half, proved().extension(certificate())).await,
        "invalid_token"
    );
    let half = setting.layer().mtls(from_handshake);
    let as_bearer = bearer(&token).extension(certificate());
    assert_eq!(label(&half, as_bearer).await, "invalid_token");
}

#[tokio::test]
async fn a_token_that_is_bound_to_a_certificate_is_no_dpop_token() {
    let setting = Setting::new();
    let layer = setting.dpop_layer().mtls(from_handshake);
    let token = setting.token(json!({ "x5t#S256": sha256(CERTIFICATE) }));
    let request = proved(&token, &setting.client.proof(&token).sign());
    let request = request.extension(PeerCertificate(CERTIFICATE));
    assert_eq!(label(&layer, request).await, "token_not_bound_to_key");
}

#[tokio::test]
async fn the_source_is_asked_for_tokens_that_are_bound_to_a_certificate_only() {
    struct Untouched;

    impl CertificateSource for Untouched {
        fn certificate(&self, _: &Parts) -> Option<Thumbprint> {
            panic!("asked for a token that is not bound to a certificate")
        }
    }

    let setting = Setting::new();
    let layer = setting.dpop_layer().mtls(Untouched);
    assert_eq!(
        label(&layer, bearer(&setting.unbound_token())).await,
        "passed"
    );
    assert_eq!(label(&layer, setting.request()).await, "passed");
}

//! The error codes of token servers: those of RFC 6749 section 5.2, and those that widely used servers write
//! instead.

use super::RefreshErrorKind;

/// Whether a code is one of these, which a log may repeat: any other may be anything.
pub(super) fn is_known(code: &str) -> bool {
    meaning(&code.to_ascii_lowercase()).is_some()
}

/// What a code means, in lower case; `None` if it is not known.
pub(super) fn meaning(code: &str) -> Option<(RefreshErrorKind, &'static str)> {
    use RefreshErrorKind::{Configuration, Refused, SignInRequired, Transient};

    Some(match code {
        "invalid_grant" => (Refused, "the server refused the refresh token"),
        // GitHub, Slack, Firebase, Supabase, simplejwt and others; the session is over.
        "bad_refresh_token"
        | "invalid_refresh_token"
        | "invalid_token"
        | "refresh_token_already_used"
        | "refresh_token_expired"
        | "refresh_token_not_found"
        | "session_expired"
        | "session_not_found"
        | "token_expired"
        | "token_not_valid"
        | "token_revoked"
        | "user_banned"
        | "user_disabled"
        | "user_not_found" => (
            Refused,
            "the server refused the refresh token by a code of its own",
        ),
        // OpenID Connect Core section 3.1.2.6.
        "interaction_required"
        | "login_required"
        | "consent_required"
        | "account_selection_required" => (SignInRequired, "the server wants the user to sign in"),
        "invalid_client" => (Configuration, "the server answered invalid_client"),
        // GitHub, Slack and Google.
        "bad_client_secret"
        | "deleted_client"
        | "incorrect_client_credentials"
        | "invalid_client_id" => (
            Configuration,
            "the server refused the client by a code of its own",
        ),
        "unauthorized_client" => (Configuration, "the server answered unauthorized_client"),
        "invalid_request" => (Configuration, "the server answered invalid_request"),
        "unsupported_grant_type" => (Configuration, "the server answered unsupported_grant_type"),
        "invalid_scope" => (Configuration, "the server answered invalid_scope"),
        "invalid_target" => (Configuration, "the server answered invalid_target"),
        "invalid_dpop_proof" => (
            Configuration,
            "the server answered invalid_dpop_proof: the clock of this machine may be wrong",
        ),
        "csrf" => (
            Configuration,
            "the server answered csrf: it does not take cookies from here",
        ),
        "use_dpop_nonce" => (Transient, "the server wants another nonce in the proof"),
        "server_error" | "temporarily_unavailable" => (Transient, "the token server failed"),
        _ => return None,
    })
}

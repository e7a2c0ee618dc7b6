//! Law C25: the answers of twelve token servers that are in wide use, as they word them.

use std::time::Duration;

use refresh_client_layer::{
    HttpRefresher, MemoryStore, RefreshErrorKind, TokenError, TokenManager, TokenSet,
    TokenStore as _, UnavailableKind,
};

use crate::support::token_server::{Http, JSON_URL, OAUTH_URL, Server, answer};

/// What the client does, told by what its caller and its store see.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Verdict {
    Renewed,
    /// The session is over, and its record gone.
    Over,
    /// The session is over, and its record kept for a sign-in that says whose it was.
    SignIn,
    Configuration,
    /// The session goes on, and the server is asked again soon.
    Transient,
    /// The session goes on, and the server is asked again in a minute.
    Unknown,
}
use Verdict::{Configuration, Over, Renewed, SignIn, Transient, Unknown};

const JSON: &str = "application/json";
const UTF8: &str = "application/json; charset=utf-8";

type Row = (&'static str, u16, &'static str, &'static str, Verdict);

const OAUTH2: &[Row] = &[
    (
        "Auth0",
        200,
        JSON,
        r#"{"access_token":"a.b.c","id_token":"d.e.f","scope":"openid offline_access","expires_in":86400,"token_type":"Bearer"}"#,
        Renewed,
    ),
    (
        "Auth0",
        403,
        JSON,
        r#"{"error":"invalid_grant","error_description":"Unknown or invalid refresh token."}"#,
        Over,
    ),
    (
        "Auth0",
        401,
        JSON,
        r#"{"error":"access_denied","error_description":"Unauthorized"}"#,
        Unknown,
    ),
    (
        "Auth0",
        429,
        UTF8,
        r#"{"error":"too_many_requests","error_description":"Global limit has been reached"}"#,
        Transient,
    ),
    (
        "Okta",
        200,
        JSON,
        r#"{"token_type":"Bearer","expires_in":3600,"access_token":"a.b.c","scope":"offline_access openid","refresh_token":"r"}"#,
        Renewed,
    ),
    (
        "Okta",
        400,
        JSON,
        r#"{"error":"invalid_grant","error_description":"The refresh token is invalid or expired."}"#,
        Over,
    ),
    (
        "Okta",
        401,
        JSON,
        r#"{"errorCode":"invalid_client","errorSummary":"Invalid value for 'client_id' parameter.","errorLink":"invalid_client","errorId":"oae0","errorCauses":[]}"#,
        Configuration,
    ),
    (
        "Okta",
        429,
        JSON,
        r#"{"errorCode":"E0000047","errorSummary":"API call exceeded rate limit due to too many requests.","errorLink":"E0000047","errorId":"oae1","errorCauses":[]}"#,
        Transient,
    ),
    (
        "Keycloak",
        200,
        JSON,
        r#"{"access_token":"a.b.c","expires_in":300,"refresh_expires_in":1800,"refresh_token":"d.e.f","token_type":"Bearer","not-before-policy":0,"session_state":"s","scope":"email profile"}"#,
        Renewed,
    ),
    (
        "Keycloak",
        400,
        JSON,
        r#"{"error":"invalid_grant","error_description":"Token is not active"}"#,
        Over,
    ),
    (
        "Keycloak",
        400,
        JSON,
        r#"{"error":"invalid_grant","error_description":"Maximum allowed refresh token reuse exceeded"}"#,
        Over,
    ),
    (
        "Keycloak",
        401,
        JSON,
        r#"{"error":"invalid_client","error_description":"Invalid client or Invalid client credentials"}"#,
        Configuration,
    ),
    (
        "Keycloak",
        500,
        JSON,
        r#"{"error":"unknown_error"}"#,
        Transient,
    ),
    (
        "Cognito",
        200,
        UTF8,
        r#"{"id_token":"d.e.f","access_token":"a.b.c","expires_in":3600,"token_type":"Bearer"}"#,
        Renewed,
    ),
    ("Cognito", 400, UTF8, r#"{"error":"invalid_grant"}"#, Over),
    (
        "Cognito",
        400,
        UTF8,
        r#"{"error":"invalid_client"}"#,
        Configuration,
    ),
    (
        "Firebase",
        200,
        UTF8,
        r#"{"access_token":"a.b.c","expires_in":"3600","token_type":"Bearer","refresh_token":"r","id_token":"a.b.c","user_id":"u","project_id":"7"}"#,
        Renewed,
    ),
    (
        "Firebase",
        400,
        UTF8,
        r#"{"error":{"code":400,"message":"TOKEN_EXPIRED","status":"INVALID_ARGUMENT"}}"#,
        Over,
    ),
    (
        "Firebase",
        400,
        UTF8,
        r#"{"error":{"code":400,"message":"INVALID_REFRESH_TOKEN","status":"INVALID_ARGUMENT"}}"#,
        Over,
    ),
    (
        "Firebase",
        400,
        UTF8,
        r#"{"error":{"code":400,"message":"USER_DISABLED","status":"INVALID_ARGUMENT"}}"#,
        Over,
    ),
    (
        "Firebase",
        400,
        UTF8,
        r#"{"error":{"code":400,"message":"USER_NOT_FOUND","status":"INVALID_ARGUMENT"}}"#,
        Over,
    ),
    (
        "Firebase",
        400,
        UTF8,
        r#"{"error":{"code":400,"message":"API key not valid. Please pass a valid API key.","status":"INVALID_ARGUMENT"}}"#,
        Transient,
    ),
    (
        "Firebase",
        503,
        UTF8,
        r#"{"error":{"code":503,"message":"The service is currently unavailable.","status":"UNAVAILABLE"}}"#,
        Transient,
    ),
    (
        "GitHub",
        200,
        UTF8,
        r#"{"access_token":"ghu_a","expires_in":28800,"refresh_token":"ghr_b","refresh_token_expires_in":15897600,"token_type":"bearer","scope":""}"#,
        Renewed,
    ),
    (
        "GitHub",
        200,
        UTF8,
        r#"{"error":"bad_refresh_token","error_description":"The refresh token passed is incorrect or expired.","error_uri":"https://docs.github.com"}"#,
        Over,
    ),
    (
        "GitHub",
        200,
        UTF8,
        r#"{"error":"incorrect_client_credentials","error_description":"The client_id and/or client_secret passed are incorrect.","error_uri":"https://docs.github.com"}"#,
        Configuration,
    ),
    (
        "Google",
        200,
        UTF8,
        r#"{"access_token":"ya29.a","expires_in":3599,"scope":"openid","token_type":"Bearer","id_token":"d.e.f"}"#,
        Renewed,
    ),
    (
        "Google",
        400,
        UTF8,
        r#"{"error":"invalid_grant","error_description":"Token has been expired or revoked."}"#,
        Over,
    ),
    (
        "Google",
        400,
        UTF8,
        r#"{"error":"invalid_grant","error_description":"reauth related error (invalid_rapt)","error_subtype":"invalid_rapt"}"#,
        Over,
    ),
    (
        "Google",
        401,
        UTF8,
        r#"{"error":"invalid_client","error_description":"The OAuth client was not found."}"#,
        Configuration,
    ),
    (
        "Google",
        401,
        UTF8,
        r#"{"error":"deleted_client","error_description":"The OAuth client was deleted."}"#,
        Configuration,
    ),
    (
        "Entra",
        200,
        UTF8,
        r#"{"token_type":"Bearer","scope":"User.Read","expires_in":3736,"ext_expires_in":3736,"access_token":"a.b.c","refresh_token":"r"}"#,
        Renewed,
    ),
    (
        "Entra",
        400,
        UTF8,
        r#"{"error":"invalid_grant","error_description":"AADSTS700082: The refresh token has expired due to inactivity.","error_codes":[700082],"correlation_id":"c"}"#,
        Over,
    ),
    (
        "Entra",
        400,
        UTF8,
        r#"{"error":"interaction_required","error_description":"AADSTS50076: Due to a configuration change made by your administrator, you must use multi-factor authentication.","error_codes":[50076],"suberror":"basic_action"}"#,
        SignIn,
    ),
    (
        "Entra",
        401,
        UTF8,
        r#"{"error":"invalid_client","error_description":"AADSTS7000215: Invalid client secret provided.","error_codes":[7000215]}"#,
        Configuration,
    ),
    (
        "Entra",
        400,
        UTF8,
        r#"{"error":"temporarily_unavailable","error_description":"AADSTS90033: A transient error has occurred.","error_codes":[90033]}"#,
        Transient,
    ),
    (
        "Slack",
        200,
        UTF8,
        r#"{"ok":true,"access_token":"xoxe.xoxp-1","expires_in":43200,"refresh_token":"xoxe-1","token_type":"Bearer"}"#,
        Renewed,
    ),
    (
        "Slack",
        200,
        UTF8,
        r#"{"ok":true,"access_token":"xoxe.xoxb-1","expires_in":43200,"refresh_token":"xoxe-1","token_type":"bot","bot_user_id":"U0"}"#,
        Configuration,
    ),
    (
        "Slack",
        200,
        UTF8,
        r#"{"ok":false,"error":"invalid_refresh_token"}"#,
        Over,
    ),
    (
        "Slack",
        200,
        UTF8,
        r#"{"ok":false,"error":"bad_client_secret"}"#,
        Configuration,
    ),
    (
        "Slack",
        200,
        UTF8,
        r#"{"ok":false,"error":"invalid_client_id"}"#,
        Configuration,
    ),
    (
        "Slack",
        200,
        UTF8,
        r#"{"ok":false,"error":"internal_error"}"#,
        Unknown,
    ),
    (
        "Slack",
        429,
        UTF8,
        r#"{"ok":false,"error":"ratelimited"}"#,
        Transient,
    ),
    (
        "Zitadel",
        200,
        JSON,
        r#"{"access_token":"a","token_type":"Bearer","refresh_token":"r","expires_in":43199,"id_token":"d.e.f"}"#,
        Renewed,
    ),
    (
        "Zitadel",
        400,
        JSON,
        r#"{"error":"invalid_grant","error_description":"Errors.OIDCSession.RefreshTokenInvalid"}"#,
        Over,
    ),
    // As older versions of it word the same: nothing tells it from a request that is set up wrongly.
    (
        "Zitadel",
        400,
        JSON,
        r#"{"error":"invalid_request","error_description":"Errors.User.RefreshToken.Invalid"}"#,
        Configuration,
    ),
];

const OWN_JSON: &[Row] = &[
    (
        "Supabase",
        200,
        JSON,
        r#"{"access_token":"a.b.c","token_type":"bearer","expires_in":3600,"expires_at":9999999999,"refresh_token":"r","user":{"id":"u"}}"#,
        Renewed,
    ),
    (
        "Supabase",
        400,
        JSON,
        r#"{"code":400,"error_code":"refresh_token_not_found","msg":"Invalid Refresh Token: Refresh Token Not Found"}"#,
        Over,
    ),
    (
        "Supabase",
        400,
        JSON,
        r#"{"code":"refresh_token_already_used","message":"Invalid Refresh Token: Already Used"}"#,
        Over,
    ),
    (
        "Supabase",
        403,
        JSON,
        r#"{"code":403,"error_code":"session_not_found","msg":"Session from session_id claim in JWT does not exist"}"#,
        Over,
    ),
    (
        "Supabase",
        400,
        JSON,
        r#"{"code":"session_expired","message":"Invalid Refresh Token: Session Expired"}"#,
        Over,
    ),
    (
        "Supabase",
        403,
        JSON,
        r#"{"code":403,"error_code":"user_banned","msg":"User is banned"}"#,
        Over,
    ),
    (
        "Supabase",
        429,
        JSON,
        r#"{"code":429,"error_code":"over_request_rate_limit","msg":"Request rate limit reached"}"#,
        Transient,
    ),
    (
        "Supabase",
        401,
        JSON,
        r#"{"message":"Invalid API key","hint":"Double check your Supabase `anon` or `service_role` API key."}"#,
        Over,
    ),
    (
        "simplejwt",
        401,
        JSON,
        r#"{"detail":"Token is invalid or expired","code":"token_not_valid"}"#,
        Over,
    ),
    (
        "simplejwt",
        401,
        JSON,
        r#"{"detail":"Token is blacklisted","code":"token_not_valid"}"#,
        Over,
    ),
    (
        "simplejwt",
        401,
        JSON,
        r#"{"detail":"User not found","code":"user_not_found"}"#,
        Over,
    ),
    (
        "simplejwt",
        400,
        JSON,
        r#"{"refresh":["This field is required."]}"#,
        Transient,
    ),
];

#[tokio::test(start_paused = true)]
async fn each_answer_of_a_well_known_server_means_what_that_server_says() {
    for row in OAUTH2 {
        let refresher = HttpRefresher::oauth2(OAUTH_URL, answering(row));
        assert_eq!(verdict(refresher).await, row.4, "{row:?}");
    }
    for row in OWN_JSON {
        let refresher = HttpRefresher::json(JSON_URL, answering(row));
        assert_eq!(verdict(refresher).await, row.4, "{row:?}");
    }
}

/// What brings tokens needs no rule, and none is asked.
#[tokio::test(start_paused = true)]
async fn a_rule_of_the_caller_overrides_each_answer_without_tokens() {
    let rules = [
        (RefreshErrorKind::Refused, Over),
        (RefreshErrorKind::SignInRequired, SignIn),
        (RefreshErrorKind::Configuration, Configuration),
        (RefreshErrorKind::Transient, Transient),
    ];
    for row in OAUTH2.iter().chain(OWN_JSON) {
        for (kind, expected) in rules {
            let refresher =
                HttpRefresher::oauth2(OAUTH_URL, answering(row)).classify(move |status, body| {
                    assert_eq!((status.as_u16(), body), (row.1, row.3.as_bytes()));
                    Some(kind)
                });
            let expected = match has_tokens(row) {
                true => row.4,
                false => expected,
            };
            assert_eq!(verdict(refresher).await, expected, "{kind:?}: {row:?}");
        }
        let undecided = HttpRefresher::oauth2(OAUTH_URL, answering(row)).classify(|_, _| None);
        let conventions = HttpRefresher::oauth2(OAUTH_URL, answering(row));
        assert_eq!(verdict(undecided).await, verdict(conventions).await);
    }
}

fn has_tokens(row: &Row) -> bool {
    row.3.contains(r#""access_token""#)
}

fn answering(row: &'static Row) -> Http {
    let &(_, status, content_type, body, _) = row;
    Server::default().answering(move || answer(status, Some(content_type), body))
}

async fn verdict<S, B>(refresher: HttpRefresher<S, B>) -> Verdict
where
    HttpRefresher<S, B>: refresh_client_layer::Refresher,
{
    let store = MemoryStore::new();
    let session = TokenManager::builder(refresher)
        .tokens(TokenSet::new("access-1", "refresh-1"))
        .store(store.clone())
        .build()
        .unwrap();
    let result = session.force_refresh().await;
    let is_kept = store.load().await.unwrap().is_some();
    match result {
        Ok(_) => Renewed,
        Err(TokenError::SessionEnded(_)) if is_kept => SignIn,
        Err(TokenError::SessionEnded(_)) => Over,
        Err(TokenError::RefreshUnavailable(error)) => {
            assert!(is_kept);
            let minute = Some(Duration::from_secs(60));
            match error.kind() {
                UnavailableKind::Configuration => Configuration,
                UnavailableKind::Failed if error.retry_after() >= minute => Unknown,
                UnavailableKind::Failed => Transient,
                kind => panic!("{kind:?}"),
            }
        }
        Err(error) => panic!("{error}"),
    }
}

//! Servers that do it their own way, on real sockets.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::Full;
use refresh_client_layer::reqwest::ReqwestService;
use refresh_client_layer::{
    AuthClient, EndReason, Event, HttpRefresher, MemoryStore, TokenError, TokenManager, TokenSet,
    TokenStore as _, UnavailableKind,
};

use crate::support::drain;
use crate::support::site::{Hit, Site, ok, status};

fn service(builder: reqwest::ClientBuilder) -> ReqwestService {
    ReqwestService::new(builder).unwrap()
}

fn json(code: u16, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = status(code);
    *response.body_mut() = Full::from(body.into());
    let json = http::HeaderValue::from_static("application/json");
    response.headers_mut().insert("content-type", json);
    response
}

fn cookie(hit: &Hit) -> Option<&str> {
    hit.headers.get("cookie")?.to_str().ok()
}

/// A site whose `/refresh` knows the refresh token from an HttpOnly cookie alone, and whose `/api` lets
/// the newest access token in. The first answer is lost on the way.
#[derive(Default)]
struct CookieSite {
    rotations: u32,
    /// The key of the last rotation: a repeat gets the same child.
    key: Option<String>,
    has_lost_one: bool,
}

impl CookieSite {
    async fn start() -> Site {
        let state = Mutex::new(Self::default());
        Site::start(move |hit| {
            let mut state = state.lock().unwrap();
            match hit.path.as_str() {
                "/login" => state.tokens(),
                "/refresh" => state.refresh(hit),
                "/logout" if hit.body == "{}" => status(204),
                _ if hit.token() == Some(&format!("Bearer access-{}", state.rotations)) => ok(),
                _ => status(401),
            }
        })
        .await
    }

    fn refresh(&mut self, hit: &Hit) -> Response<Full<Bytes>> {
        if hit.headers.get("origin").is_none() {
            return json(403, r#"{"error":"csrf"}"#);
        }
        let key = hit.headers["idempotency-key"].to_str().unwrap().to_owned();
        let is = |number| cookie(hit) == Some(&format!("refresh=secret-{number}"));
        if is(self.rotations) && hit.body == "{}" {
            self.rotations += 1;
            self.key = Some(key);
        } else if self.rotations == 0 || !is(self.rotations - 1) || self.key != Some(key) {
            return json(401, r#"{"error":"invalid_grant"}"#);
        }
        match std::mem::replace(&mut self.has_lost_one, true) {
            false => status(504),
            true => self.tokens(),
        }
    }

    fn tokens(&self) -> Response<Full<Bytes>> {
        let body = format!(
            r#"{{"access_token":"access-{}","expires_in":900}}"#,
            self.rotations
        );
        let mut response = json(200, body);
        let cookie = format!("refresh=secret-{}; HttpOnly; Path=/", self.rotations);
        let headers = response.headers_mut();
        headers.insert("set-cookie", cookie.parse().unwrap());
        response
    }
}

/// Cookie mode: a lost answer, a rotation, a restart with what the store kept, a sign-out.
#[tokio::test]
async fn a_refresh_token_in_a_cookie_is_rotated_like_any_other() {
    let site = CookieSite::start().await;
    let jar = Arc::new(reqwest::cookie::Jar::default());
    let http = reqwest::Client::builder().cookie_provider(jar.clone());
    let login = http.build().unwrap().post(site.url("/login")).send().await;
    let login = login.unwrap().bytes().await.unwrap();

    let store = MemoryStore::new();
    let build = || {
        let http = reqwest::Client::builder().cookie_provider(jar.clone());
        TokenManager::builder(HttpRefresher::cookie(site.url("/refresh"), service(http)))
            .store(store.clone())
    };
    let session = build()
        .tokens(TokenSet::in_cookie_from_json(&login).unwrap())
        .build()
        .unwrap();
    let error = session.force_refresh().await.unwrap_err();
    assert!(matches!(error, TokenError::RefreshUnavailable(_)));
    let stored = store.load().await.unwrap().unwrap();
    assert!(stored.tokens().refresh_token().is_in_cookie());
    assert!(
        stored.idempotency_key().is_some(),
        "written before it was sent"
    );

    // Another process takes over with the same key.
    let session = build().build().unwrap();
    let api = AuthClient::new(reqwest::Client::new(), session.clone());
    let response = api.get(site.url("/api")).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    session.force_refresh().await.unwrap();
    assert!(session.sign_out().await.is_revoked());

    let refreshes: Vec<_> = site.hits();
    let refreshes = refreshes.iter().filter(|hit| hit.path == "/refresh");
    let sent: Vec<_> = refreshes
        .map(|hit| (cookie(hit).unwrap().to_owned(), hit))
        .collect();
    let secrets: Vec<_> = sent.iter().map(|(cookie, _)| &**cookie).collect();
    assert_eq!(
        secrets,
        ["refresh=secret-0", "refresh=secret-0", "refresh=secret-1"]
    );
    let keys = [0, 1, 2].map(|at| &sent[at].1.headers["idempotency-key"]);
    assert!(keys[0] == keys[1] && keys[1] != keys[2]);
    assert!(
        sent.iter()
            .all(|(_, hit)| hit.headers["origin"] == site.url(""))
    );
    // Nothing of the session is left to send.
    assert!(store.load().await.unwrap().is_none());
}

#[tokio::test]
async fn a_refresh_token_in_a_cookie_cannot_be_sent_in_a_body() {
    let site = Site::start(|_| ok()).await;
    let http = || service(reqwest::Client::builder());
    let url = site.url("/refresh");
    for refresher in [
        HttpRefresher::json(&url, http()),
        HttpRefresher::oauth2(&url, http()),
    ] {
        let session = TokenManager::builder(refresher).tokens(TokenSet::in_cookie("a"));
        let error = session.build().unwrap().force_refresh().await.unwrap_err();
        let TokenError::RefreshUnavailable(error) = error else {
            panic!("{error}")
        };
        assert_eq!(error.kind(), UnavailableKind::Configuration);
    }
    assert!(site.hits().is_empty());
}

/// A server with rotation and a grace window, in which a used token brings a *fresh* child; with reuse
/// detection outside of it; without idempotency keys. The first answer is lost on the way.
#[tokio::test]
async fn a_lost_answer_within_a_servers_grace_window_is_made_good_by_the_repeat() {
    // All refresh tokens by number; the parent of each is still good while it is the newest used one.
    #[derive(Default)]
    struct Grace {
        minted: u32,
        live: Vec<u32>,
    }
    let state = Mutex::new(Grace {
        minted: 1,
        live: vec![1],
    });
    let auth = Site::start(move |hit| {
        let mut state = state.lock().unwrap();
        let form: Vec<_> = form_urlencoded::parse(&hit.body).into_owned().collect();
        let token = form.iter().find(|(name, _)| name == "refresh_token");
        let number = token.and_then(|(_, it)| it.strip_prefix("refresh-")?.parse().ok());
        let Some(number) = number.filter(|it| state.live.contains(it)) else {
            return json(400, r#"{"error":"invalid_grant"}"#);
        };
        state.minted += 1;
        let minted = state.minted;
        state.live = vec![number, minted];
        match minted {
            2 => status(504),
            _ => json(
                200,
                format!(
                    r#"{{"access_token":"access-{minted}","refresh_token":"refresh-{minted}"}}"#
                ),
            ),
        }
    })
    .await;
    let store = MemoryStore::new();
    let build = || {
        let http = service(reqwest::Client::builder());
        TokenManager::builder(HttpRefresher::oauth2(auth.url("/token"), http))
            .tokens(TokenSet::new("access-1", "refresh-1"))
            .store(store.clone())
            .without_idempotency_key()
            .build()
            .unwrap()
    };
    build().force_refresh().await.unwrap_err();
    let session = build();
    let mut events = session.events();
    assert_eq!(session.force_refresh().await.unwrap().secret(), "access-3");
    assert_eq!(session.force_refresh().await.unwrap().secret(), "access-4");
    assert!(
        auth.hits()
            .iter()
            .all(|hit| !hit.headers.contains_key("idempotency-key"))
    );
    let events = drain(&mut events);
    assert!(
        !events
            .iter()
            .any(|event| matches!(event, Event::SessionEnded { .. }))
    );
}

/// One refresh token for ever, as many servers have it.
#[tokio::test]
async fn a_server_that_never_rotates_is_asked_with_the_same_token() {
    let auth = Site::start(|_| json(200, r#"{"accessToken":"access-2","expiresIn":"60"}"#)).await;
    let api = Site::api().await;
    let refresher = HttpRefresher::json(auth.url("/refresh"), service(reqwest::Client::builder()));
    let session = TokenManager::builder(refresher)
        .tokens(TokenSet::new("access-1", "for ever"))
        .origin(api.url(""))
        .build()
        .unwrap();
    let client = AuthClient::new(reqwest::Client::new(), session.clone());
    let response = client.get(api.url("/")).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    for _ in 0..2 {
        session.force_refresh().await.unwrap();
    }
    let bodies: Vec<_> = auth.hits().into_iter().map(|hit| hit.body).collect();
    assert_eq!(bodies, [r#"{"refresh_token":"for ever"}"#; 3]);
}

/// How a session ends at servers that say so in their own way.
#[tokio::test]
async fn a_refusal_in_a_servers_own_words_ends_the_session_once() {
    let forbidden = || {
        json(
            403,
            r#"{"error":"invalid_grant","error_description":"Unknown"}"#,
        )
    };
    let bare = || {
        let mut response = status(401);
        *response.body_mut() = Full::default();
        response
    };
    for (name, refusal) in [
        (
            "403 invalid_grant",
            Arc::new(forbidden) as Arc<dyn Fn() -> _ + Send + Sync>,
        ),
        ("401 without a body", Arc::new(bare)),
    ] {
        let auth = Site::start(move |_| refusal()).await;
        let api = Site::api().await;
        let http = service(reqwest::Client::builder());
        let session = TokenManager::builder(HttpRefresher::json(auth.url("/refresh"), http))
            .tokens(TokenSet::new("access-1", "refresh-1"))
            .origin(api.url(""))
            .build()
            .unwrap();
        let mut events = session.events();
        let client = AuthClient::new(reqwest::Client::new(), session);
        let response = client.get(api.url("/")).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{name}");
        client.get(api.url("/")).send().await.unwrap_err();
        assert_eq!((api.hits().len(), auth.hits().len()), (1, 1), "{name}");
        let refused = EndReason::Refused;
        let ends = drain(&mut events)
            .into_iter()
            .filter(|it| matches!(it, Event::SessionEnded { reason, .. } if *reason == refused));
        assert_eq!(ends.count(), 1, "{name}");
    }
}

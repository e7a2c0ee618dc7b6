//! A user's sessions: listed and ended with an access token.

use auth_layer::issue::{NewSession, TokenPair};
use auth_layer::store::{MemoryStore, RevokedBy, Selection, SessionStore as _};
use auth_layer::{SessionId, SigningKey};
use http::Request;
use serde_json::{Value, json};

use crate::support::issue::*;

async fn start(server: &Server, session: NewSession) -> TokenPair {
    server.issuer.start(session).await.unwrap()
}

async fn ask(server: &Server, method: &str, path: &str, token: &str) -> Answer {
    let request = Request::builder().method(method).uri(path);
    let request = request.header("authorization", format!("Bearer {token}"));
    server.send(request.body(String::new()).unwrap()).await
}

async fn sids(server: &Server, subject: &str) -> Vec<SessionId> {
    let sessions = server.issuer.list(subject).await.unwrap();
    sessions.iter().map(|it| it.id).collect()
}

#[tokio::test]
async fn a_user_sees_their_sessions_and_which_one_asks() {
    let server = Server::new(MemoryStore::new());
    let old = NewSession::new("alice")
        .label("Firefox on Linux")
        .ip("1.2.3.4".parse().unwrap())
        .user_agent("Firefox");
    let old = start(&server, old).await;
    server.clock.advance(MINUTE);
    let new = start(&server, NewSession::new("alice")).await;
    start(&server, NewSession::new("bob")).await;
    let answer = ask(&server, "GET", "/sessions", new.access_token()).await;
    assert_eq!(answer.status, 200);
    let began = NOW.as_secs();
    assert_eq!(
        answer.body,
        json!([
            {
                "sid": new.session().to_string(), "label": null, "created_at": began + 60,
                "rotated_at": began + 60, "ip": null, "user_agent": null, "current": true,
            },
            {
                "sid": old.session().to_string(), "label": "Firefox on Linux", "created_at": began,
                "rotated_at": began, "ip": "1.2.3.4", "user_agent": "Firefox", "current": false,
            },
        ])
    );
    server.clock.advance(MINUTE);
    server.refresh(old.refresh_token().expose(), None).await;
    let answer = ask(&server, "GET", "/sessions", old.access_token()).await;
    assert_eq!(answer.body[1]["rotated_at"], began + 120);
    assert_eq!(answer.body[1]["current"], true);
}

#[tokio::test]
async fn a_session_is_ended_by_its_user_and_nobody_else() {
    let server = Server::new(MemoryStore::new());
    let alice = start(&server, NewSession::new("alice")).await;
    let phone = start(&server, NewSession::new("alice")).await;
    let bob = start(&server, NewSession::new("bob")).await;
    let path = |sid: SessionId| format!("/sessions/{sid}");
    let unknown = path(SessionId::from_bytes([7; 16]));
    let theirs = ask(
        &server,
        "DELETE",
        &path(bob.session()),
        alice.access_token(),
    )
    .await;
    let nobodys = ask(&server, "DELETE", &unknown, alice.access_token()).await;
    assert_eq!(theirs.error(), (404, "invalid_request"));
    assert_eq!(
        (theirs.body, theirs.headers),
        (nobodys.body, nobodys.headers)
    );
    assert_eq!(sids(&server, "bob").await, [bob.session()]);

    let own = ask(
        &server,
        "DELETE",
        &path(phone.session()),
        alice.access_token(),
    )
    .await;
    assert_eq!((own.status.as_u16(), own.body), (204, Value::Null));
    assert!(
        verified(&server.issuer.verifier(), &phone).await.is_err(),
        "at once"
    );
    let again = ask(
        &server,
        "DELETE",
        &path(phone.session()),
        alice.access_token(),
    )
    .await;
    assert_eq!(again.status, 404);
    for path in ["/sessions/x", "/sessions/", "/sessions/a/b"] {
        assert_eq!(
            ask(&server, "DELETE", path, alice.access_token())
                .await
                .status,
            404
        );
    }
    let current = ask(
        &server,
        "DELETE",
        &path(alice.session()),
        alice.access_token(),
    )
    .await;
    assert_eq!(current.status, 204);
    assert!(sids(&server, "alice").await.is_empty());
}

/// Log-out everywhere: the others, then this one.
#[tokio::test]
async fn all_others_are_ended_and_the_one_that_asks_lives_on() {
    let server = Server::new(MemoryStore::new());
    let here = start(&server, NewSession::new("alice")).await;
    for _ in 0..3 {
        start(&server, NewSession::new("alice")).await;
    }
    let bob = start(&server, NewSession::new("bob")).await;
    assert_eq!(
        ask(&server, "DELETE", "/sessions", here.access_token())
            .await
            .status,
        204
    );
    assert_eq!(sids(&server, "alice").await, [here.session()]);
    assert_eq!(sids(&server, "bob").await, [bob.session()]);
    let body = json!({ "refresh_token": here.refresh_token().expose() }).to_string();
    assert_eq!(server.send(post("/logout", JSON, body)).await.status, 204);
    assert!(sids(&server, "alice").await.is_empty());
}

#[tokio::test]
async fn who_has_no_good_access_token_gets_a_challenge() {
    let store = MemoryStore::new();
    let server = Server::new(store.clone());
    let pair = start(&server, NewSession::new("alice")).await;
    let revoked = start(&server, NewSession::new("alice")).await;
    let which = Selection::One(revoked.session());
    // At another node: this one's revocations do not know yet.
    store
        .revoke(which, RevokedBy::Application, NOW)
        .await
        .unwrap();
    let keys = server.issuer.signing_keys();
    let claims = json!({
        "iss": "https://auth.example", "aud": "https://api.example", "sub": "bob",
        "exp": NOW.as_secs() + 60, "sid": pair.session().to_string(),
    });
    let mixed = keys.sign(&claims).unwrap();
    let stranger = SigningKey::generate(auth_layer::Algorithm::EdDSA).unwrap();
    let forged = stranger.sign(&claims).unwrap();
    let refresh_token = pair.refresh_token().expose();
    let sessions = [("GET", "/sessions"), ("DELETE", "/sessions")];
    let one = format!("/sessions/{}", pair.session());
    for (method, path) in sessions.into_iter().chain([("DELETE", &*one)]) {
        for bad in [
            revoked.access_token(),
            &mixed,
            &forged,
            refresh_token,
            "",
            "x y",
        ] {
            let answer = ask(&server, method, path, bad).await;
            assert_eq!(
                answer.error(),
                (401, "invalid_token"),
                "{method} {path} {bad}"
            );
            let challenge = answer.headers["www-authenticate"].to_str().unwrap();
            let begin = "Bearer realm=\"sessions\", error=\"invalid_token\", error_description=\"";
            assert!(
                challenge.starts_with(begin) && challenge.ends_with('"'),
                "{challenge}"
            );
        }
        let bare = Request::builder().method(method).uri(path);
        let answer = server.send(bare.body(String::new()).unwrap()).await;
        assert_eq!(answer.error(), (401, "unauthorized"));
        assert_eq!(
            answer.headers["www-authenticate"],
            "Bearer realm=\"sessions\""
        );
        let basic = Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", "Basic eA==");
        assert_eq!(
            server.send(basic.body(String::new()).unwrap()).await.status,
            401
        );
        let twice = Request::builder().method(method).uri(path);
        let good = format!("Bearer {}", pair.access_token());
        let twice = twice
            .header("authorization", &good)
            .header("authorization", &good);
        let answer = server.send(twice.body(String::new()).unwrap()).await;
        assert_eq!(answer.error(), (400, "invalid_request"));
    }
    assert_eq!(sids(&server, "alice").await, [pair.session()]);
    server.clock.advance(16 * MINUTE);
    let expired = ask(&server, "GET", "/sessions", pair.access_token()).await;
    assert_eq!(
        (expired.error(), expired.description()),
        ((401, "invalid_token"), "The access token expired")
    );
}

#[tokio::test]
async fn a_scope_may_be_required_of_those_who_ask() {
    let mut server = Server::new(MemoryStore::new());
    server.endpoints = server
        .endpoints
        .sessions_scopes("sessions".parse().unwrap());
    let app = start(
        &server,
        NewSession::new("alice").scopes("mail".parse().unwrap()),
    )
    .await;
    let answer = ask(&server, "GET", "/sessions", app.access_token()).await;
    assert_eq!(answer.error(), (403, "insufficient_scope"));
    let challenge = answer.headers["www-authenticate"].to_str().unwrap();
    assert!(challenge.ends_with("error=\"insufficient_scope\", scope=\"sessions\""));
    let own = NewSession::new("alice").scopes("mail sessions".parse().unwrap());
    let own = start(&server, own).await;
    assert_eq!(
        ask(&server, "GET", "/sessions", own.access_token())
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn a_store_that_is_down_says_nothing_of_sessions() {
    let keys = Server::new(MemoryStore::new());
    let down = Server::new(Down);
    let claims = json!({
        "iss": "https://auth.example", "aud": "https://api.example", "sub": "alice",
        "exp": NOW.as_secs() + 60, "sid": SessionId::from_bytes([1; 16]).to_string(),
    });
    let token = down.issuer.signing_keys().sign(&claims).unwrap();
    drop(keys);
    for (method, path) in [("GET", "/sessions"), ("DELETE", "/sessions")] {
        let answer = ask(&down, method, path, &token).await;
        assert_eq!(answer.error(), (503, "temporarily_unavailable"));
        assert_eq!(answer.headers["retry-after"], "1");
    }
}

/// E1: wrong method 405 with Allow.
#[tokio::test]
async fn other_methods_are_told_which_there_are() {
    let server = Server::new(MemoryStore::new());
    for (method, path, allow) in [
        ("POST", "/sessions", "GET, HEAD, DELETE"),
        ("GET", "/sessions/AAAAAAAAAAAAAAAAAAAAAA", "DELETE"),
    ] {
        let answer = ask(&server, method, path, "x").await;
        assert_eq!(
            (answer.status.as_u16(), &answer.headers["allow"]),
            (405, &header(allow))
        );
    }
}

/// A printer service must not sign its user out everywhere, nor read where they are.
#[tokio::test]
async fn the_token_of_an_oauth_client_needs_a_configured_scope_for_sessions() {
    let mut server = Server::new(MemoryStore::new());
    let laptop = server.issuer.start(NewSession::new("alice")).await.unwrap();
    let printer = |scopes: &str| {
        let session = NewSession::new("alice").client_id("photo-printer");
        server.issuer.start(session.scopes(scopes.parse().unwrap()))
    };
    let limited = printer("photos.read").await.unwrap();
    let trusted = printer("photos.read sessions").await.unwrap();
    let sid = laptop.session().to_string();
    let end = format!("/sessions/{sid}");
    let requests = [
        ("GET", "/sessions"),
        ("DELETE", &*end),
        ("DELETE", "/sessions"),
    ];
    for token in [limited.access_token(), trusted.access_token()] {
        for (method, path) in requests {
            let answer = ask(&server, method, path, token).await;
            assert_eq!(answer.error(), (403, "insufficient_scope"));
            assert_eq!(
                answer.headers["www-authenticate"],
                "Bearer realm=\"sessions\", error=\"insufficient_scope\""
            );
        }
    }
    assert_eq!(server.issuer.list("alice").await.unwrap().len(), 3);

    let endpoints = server.endpoints.clone();
    server.endpoints = endpoints.sessions_scopes("sessions".parse().unwrap());
    for (method, path) in requests {
        let answer = ask(&server, method, path, limited.access_token()).await;
        assert_eq!(answer.error(), (403, "insufficient_scope"));
    }
    for ((method, path), status) in requests.into_iter().zip([200, 204, 204]) {
        let answer = ask(&server, method, path, trusted.access_token()).await;
        assert_eq!(answer.status, status);
    }
    assert_eq!(server.issuer.list("alice").await.unwrap().len(), 1);
}

//! Introspection (RFC 7662): what a token is worth now.

use auth_layer::TokenEndpoints;
use auth_layer::issue::{NewSession, TokenPair};
use auth_layer::store::{CustomClaims, MemoryStore, RevokedBy, Selection, SessionStore as _};
use serde_json::json;

use crate::support::issue::*;

fn server(store: MemoryStore) -> Server {
    let mut server = Server::new(store);
    server.endpoints = TokenEndpoints::new(server.issuer.clone())
        .public_client("app")
        .confidential_client("api", "secret")
        .confidential_client("web", "secret");
    server
}

async fn introspect(server: &Server, client: &str, token: &str) -> Answer {
    let body = format!("token={token}&client_id={client}&client_secret=secret&token_type_hint=x");
    server.send(post("/introspect", FORM, body)).await
}

async fn start(server: &Server, session: NewSession) -> TokenPair {
    server.issuer.start(session).await.unwrap()
}

#[tokio::test]
async fn a_good_access_token_is_told_whole() {
    let server = server(MemoryStore::new());
    let mine = CustomClaims::new(&json!({ "role": "admin" })).unwrap();
    let session = NewSession::new("alice").client_id("app").claims(mine);
    let pair = start(&server, session.scopes("read write".parse().unwrap())).await;
    let answer = introspect(&server, "api", pair.access_token()).await;
    assert_eq!(answer.status, 200);
    let began = NOW.as_secs();
    let mut body = answer.body;
    let jti = body.as_object_mut().unwrap().remove("jti").unwrap();
    assert!(jti.is_string());
    assert_eq!(
        body,
        json!({
            "active": true, "token_type": "Bearer", "iss": "https://auth.example", "sub": "alice",
            "aud": "https://api.example", "iat": began, "exp": began + 900, "auth_time": began,
            "sid": pair.session().to_string(), "client_id": "app", "scope": "read write",
            "role": "admin",
        })
    );
}

#[tokio::test]
async fn a_bound_token_says_to_what() {
    let server = server(MemoryStore::new());
    let claims = json!({
        "iss": "https://auth.example", "aud": "https://api.example", "sub": "alice",
        "exp": NOW.as_secs() + 60,
        "cnf": { "jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I" },
    });
    let token = server.issuer.signing_keys().sign(&claims).unwrap();
    let body = introspect(&server, "api", &token).await.body;
    assert_eq!(
        (&body["active"], &body["token_type"]),
        (&json!(true), &json!("DPoP"))
    );
    assert_eq!(body["cnf"], claims["cnf"]);
}

#[tokio::test]
async fn whatever_is_not_good_is_inactive_and_no_more_is_said() {
    let store = MemoryStore::new();
    let server = server(store.clone());
    let pair = start(&server, NewSession::new("alice")).await;
    let here = start(&server, NewSession::new("alice")).await;
    server.issuer.revoke_session(here.session()).await.unwrap();
    let elsewhere = start(&server, NewSession::new("alice")).await;
    let which = Selection::One(elsewhere.session());
    store
        .revoke(which, RevokedBy::Application, NOW)
        .await
        .unwrap();
    let foreign = start(&Server::new(MemoryStore::new()), NewSession::new("alice")).await;
    let mut bad = vec!["garbage", "a.b.c"];
    for pair in [&here, &elsewhere, &foreign] {
        bad.extend([pair.access_token(), pair.refresh_token().expose()]);
    }
    for token in bad {
        let answer = introspect(&server, "api", token).await;
        assert_eq!(
            (answer.status.as_u16(), answer.body),
            (200, json!({ "active": false })),
            "{token}"
        );
    }
    server.clock.advance(15 * MINUTE);
    let expired = introspect(&server, "api", pair.access_token()).await;
    assert_eq!(expired.body, json!({ "active": false }));
}

#[tokio::test]
async fn a_refresh_token_is_active_while_it_is_the_newest_and_for_its_own_client() {
    let server = server(MemoryStore::new());
    let pair = start(&server, NewSession::new("alice").client_id("web")).await;
    let token = pair.refresh_token().expose();
    let began = NOW.as_secs();
    assert_eq!(
        introspect(&server, "web", token).await.body,
        json!({
            "active": true, "iss": "https://auth.example", "sub": "alice", "client_id": "web",
            "sid": pair.session().to_string(), "iat": began, "exp": began + 14 * 24 * 3600,
        })
    );
    assert_eq!(
        introspect(&server, "api", token).await.body,
        json!({ "active": false })
    );
    let child = server
        .token(form(token, "&client_id=web&client_secret=secret"))
        .await
        .refresh_token();
    assert_eq!(
        introspect(&server, "web", token).await.body,
        json!({ "active": false })
    );
    assert_eq!(
        introspect(&server, "web", &child).await.body["active"],
        true
    );
    let unchanged = server
        .token(form(&child, "&client_id=web&client_secret=secret"))
        .await;
    assert_eq!(unchanged.status, 200, "asking is not using");
}

#[tokio::test]
async fn only_clients_that_prove_themselves_may_ask() {
    let server = server(MemoryStore::new());
    let pair = start(&server, NewSession::new("alice")).await;
    let token = pair.access_token();
    for client in [
        "",
        "&client_id=app",
        "&client_id=api",
        "&client_id=api&client_secret=no",
    ] {
        let body = format!("token={token}{client}");
        let answer = server.send(post("/introspect", FORM, body)).await;
        assert_eq!(answer.error(), (401, "invalid_client"), "{client}");
    }
    let mut basic = post("/introspect", FORM, format!("token={token}"));
    basic
        .headers_mut()
        .insert("authorization", header("Basic YXBpOnNlY3JldA=="));
    assert_eq!(server.send(basic).await.body["active"], true);
    let none = post("/introspect", FORM, "client_id=api&client_secret=secret");
    assert_eq!(server.send(none).await.error(), (400, "invalid_request"));
}

#[tokio::test]
async fn introspection_is_there_once_somebody_may_ask() {
    let path = "/.well-known/oauth-authorization-server";
    let with = server(MemoryStore::new());
    let body = with.get(path).await.body;
    assert_eq!(
        body["introspection_endpoint"],
        "https://auth.example/introspect"
    );
    assert_eq!(
        body["introspection_endpoint_auth_methods_supported"],
        json!(["client_secret_basic", "client_secret_post"])
    );
    let mut without = Server::new(MemoryStore::new());
    without.endpoints = without.endpoints.public_client("app");
    let body = without.get(path).await.body;
    assert!(
        body.as_object()
            .unwrap()
            .keys()
            .all(|it| !it.contains("introspection"))
    );
    let answer = without.send(post("/introspect", FORM, "token=x")).await;
    assert_eq!(answer.status, 404);
}

#[tokio::test]
async fn a_store_that_is_down_does_not_make_a_token_inactive() {
    let mut down = Server::new(Down);
    down.endpoints = down.endpoints.confidential_client("api", "secret");
    let claims = json!({
        "iss": "https://auth.example", "aud": "https://api.example", "sub": "alice",
        "exp": NOW.as_secs() + 60, "sid": "AAAAAAAAAAAAAAAAAAAAAA",
    });
    let access = down.issuer.signing_keys().sign(&claims).unwrap();
    let refresh = signed_in(&Server::new(MemoryStore::new())).await;
    for token in [access, refresh] {
        let answer = introspect(&down, "api", &token).await;
        assert_eq!(answer.error(), (503, "temporarily_unavailable"));
    }
}

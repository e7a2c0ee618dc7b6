//! Law E4: limits by session and by address.

use std::net::{IpAddr, SocketAddr};
use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use auth_layer::claims::Thumbprint;
use auth_layer::endpoint::{ClientAddress, CookieMode, Limits, PeerAddress};
use auth_layer::issue::{NewSession, RefreshErrorKind, SessionEvent};
use auth_layer::proof::{Dpop, Nonces};
use auth_layer::store::MemoryStore;
use auth_layer::{Algorithm, RefreshSecrets, SessionId, SigningKey, SigningKeys, TokenIssuer};
use axum::extract::ConnectInfo;
use http::{HeaderName, Request};
use serde_json::json;

use crate::support::dpop::Client as Device;
use crate::support::issue::*;

fn refresh(token: &str, byte: u8) -> Request<String> {
    let mut request = post(
        "/refresh",
        JSON,
        json!({ "refresh_token": token }).to_string(),
    );
    request
        .headers_mut()
        .insert("idempotency-key", header(&key(byte)));
    request
}

fn from(ip: &str, mut request: Request<String>) -> Request<String> {
    let address = PeerAddress(ip.parse().unwrap());
    request.extensions_mut().insert(address);
    request
}

/// A token of ours, but for its tag.
fn forged(token: &str) -> String {
    let last = if token.ends_with('A') { "Q" } else { "A" };
    format!("{}{last}", &token[..token.len() - 1])
}

fn limited(server: &Server) -> Vec<(Option<SessionId>, Option<IpAddr>)> {
    let events = server.events.all().into_iter();
    let limited = events.filter_map(|it| match it {
        SessionEvent::RateLimited { sid, ip, .. } => Some((sid, ip)),
        _ => None,
    });
    limited.collect()
}

async fn spend(server: &Server, mut token: String, times: u8) -> String {
    for byte in 0..times {
        token = server.send(refresh(&token, byte)).await.refresh_token();
    }
    token
}

#[tokio::test(start_paused = true)]
async fn a_session_refreshes_ten_times_at_once_and_then_every_other_second() {
    let server = Server::new(MemoryStore::new());
    let other = signed_in(&server).await;
    let mut token = spend(&server, signed_in(&server).await, 10).await;
    for _ in 0..3 {
        let answer = server.send(refresh(&token, 100)).await;
        assert_eq!(answer.error(), (429, "temporarily_unavailable"));
        assert_eq!(answer.headers["retry-after"], "2");
    }
    let mut plain = post("/token", FORM, form(&token, ""));
    assert_eq!(server.send(plain.clone()).await.status, 429);
    plain
        .headers_mut()
        .insert("x-forwarded-for", header("6.6.6.6"));
    assert_eq!(server.send(plain).await.status, 429);
    for byte in 100..105 {
        tokio::time::advance(Duration::from_millis(1_999)).await;
        let early = server.send(refresh(&token, byte)).await;
        assert_eq!(
            (early.status.as_u16(), &early.headers["retry-after"]),
            (429, &header("1"))
        );
        tokio::time::advance(Duration::from_millis(1)).await;
        token = server.send(refresh(&token, byte)).await.refresh_token();
    }
    spend(&server, other, 10).await;
    let sid = server.issuer.list("alice").await.unwrap();
    assert!(
        limited(&server)
            .iter()
            .all(|it| sid.iter().any(|s| it.0 == Some(s.id)))
    );
    assert_eq!(limited(&server).len(), 10);
}

/// E2 and E4 together.
#[tokio::test(start_paused = true)]
async fn a_storm_of_repeats_of_one_request_locks_nobody_out() {
    let server = Server::new(MemoryStore::new());
    let token = signed_in(&server).await;
    let child = server.send(refresh(&token, 1)).await.refresh_token();
    for _ in 0..120 {
        assert_eq!(server.send(refresh(&token, 1)).await.refresh_token(), child);
    }
    server.send(refresh(&child, 2)).await.refresh_token();
    for _ in 0..1_000 {
        server.send(refresh(&token, 1)).await;
    }
    tokio::time::advance(Duration::from_secs(2)).await;
    let late = server.send(refresh(&token, 1)).await;
    assert_eq!(
        late.error(),
        (409, "invalid_grant"),
        "a storm that went on is over in two seconds"
    );
}

#[tokio::test(start_paused = true)]
async fn a_stranger_with_forged_tokens_locks_nobody_out() {
    let server = Server::new(MemoryStore::new());
    let token = signed_in(&server).await;
    for n in 0..200 {
        let answer = server
            .send(from("1.2.3.4", refresh(&forged(&token), 1)))
            .await;
        let status = if n < 60 { 401 } else { 429 };
        assert_eq!(answer.status, status, "{n}");
        assert_eq!(answer.headers.contains_key("retry-after"), status == 429);
    }
    let ip = "1.2.3.4".parse().ok();
    assert_eq!(limited(&server), vec![(None, ip); 140]);
    let garbage = server.send(from("1.2.3.4", refresh("garbage", 1))).await;
    assert_eq!(
        (garbage.status.as_u16(), &garbage.headers["retry-after"]),
        (429, &header("1"))
    );

    let honest = server.send(from("1.2.3.4", refresh(&token, 1))).await;
    spend(&server, honest.refresh_token(), 9).await;
    let elsewhere = server
        .send(from("1.2.3.5", refresh(&forged(&token), 1)))
        .await;
    assert_eq!(elsewhere.status, 401);
    tokio::time::advance(Duration::from_secs(1)).await;
    let later = server
        .send(from("1.2.3.4", refresh(&forged(&token), 1)))
        .await;
    assert_eq!(later.status, 401);
}

#[tokio::test(start_paused = true)]
async fn an_address_is_that_of_the_connection_or_what_the_proxy_wrote() {
    let mut server = Server::new(MemoryStore::new());
    let bad = forged(&signed_in(&server).await);
    let limits = Limits::new().by_address(NonZeroU32::MIN);
    let header_name = HeaderName::from_static("x-forwarded-for");
    let endpoints = server.endpoints.clone().limits(limits);

    server.endpoints = endpoints.clone();
    for _ in 0..5 {
        assert_eq!(
            server.send(refresh(&bad, 1)).await.status,
            401,
            "nobody knows from where"
        );
    }
    let networks = [
        ("2001:db8::1", 401),
        ("2001:db8::2", 429),
        ("2001:db8:0:1::1", 401),
    ];
    for (ip, status) in networks {
        assert_eq!(
            server.send(from(ip, refresh(&bad, 1))).await.status,
            status,
            "{ip}"
        );
    }

    let proxies = NonZeroUsize::MIN;
    server.endpoints = endpoints
        .clone()
        .limits(limits)
        .client_address(ClientAddress::behind(proxies, header_name));
    for (xff, status) in [
        ("6.6.6.6, 9.9.9.9", 401),
        ("7.7.7.7, 9.9.9.9", 429),
        ("9.9.9.8", 401),
    ] {
        let mut request = from("127.0.0.1", refresh(&bad, 1));
        request.headers_mut().insert("x-forwarded-for", header(xff));
        assert_eq!(server.send(request).await.status, status, "{xff}");
    }

    server.endpoints = endpoints
        .limits(limits)
        .client_address(ClientAddress::peer(|it| {
            let ConnectInfo(peer) = it.get::<ConnectInfo<SocketAddr>>()?;
            Some(peer.ip())
        }));
    for (peer, status) in [("1.1.1.1:1", 401), ("1.1.1.1:2", 429), ("1.1.1.2:1", 401)] {
        let mut request = refresh(&bad, 1);
        let peer: SocketAddr = peer.parse().unwrap();
        request.extensions_mut().insert(ConnectInfo(peer));
        assert_eq!(server.send(request).await.status, status, "{peer}");
    }
}

#[tokio::test(start_paused = true)]
async fn limits_are_set_and_lifted() {
    let mut server = Server::new(MemoryStore::new());
    let (per_minute, burst) = (NonZeroU32::new(6).unwrap(), NonZeroU32::new(2).unwrap());
    let slow = Limits::new().by_session(per_minute, burst);
    server.endpoints = server.endpoints.limits(slow);
    let token = spend(&server, signed_in(&server).await, 2).await;
    let answer = server.send(refresh(&token, 9)).await;
    assert_eq!(
        (answer.status.as_u16(), &answer.headers["retry-after"]),
        (429, &header("10"))
    );
    server.endpoints = server.endpoints.limits(Limits::none());
    spend(&server, token, 200).await;
    let bad = forged(&signed_in(&server).await);
    for _ in 0..100 {
        assert_eq!(
            server.send(from("1.2.3.4", refresh(&bad, 1))).await.status,
            401
        );
    }
}

#[tokio::test(start_paused = true)]
async fn too_many_refreshes_leave_cookie_and_log_out_alone() {
    let mut server = Server::new(MemoryStore::new());
    server.endpoints = server.endpoints.cookies(CookieMode::new());
    let token = spend(&server, signed_in(&server).await, 10).await;
    let page = |path: &str| {
        Request::post(path)
            .header("sec-fetch-site", "same-origin")
            .header("idempotency-key", key(200))
            .header("cookie", format!("__Host-refresh={token}"))
            .body(String::new())
            .unwrap()
    };
    let answer = server.send(page("/refresh")).await;
    assert_eq!(answer.status, 429);
    assert!(!answer.headers.contains_key("set-cookie"));
    assert_eq!(server.send(page("/logout")).await.status, 204);
    assert!(server.issuer.list("alice").await.unwrap().is_empty());
}

#[tokio::test]
async fn a_refresh_notes_from_where_and_with_which_program() {
    let server = Server::new(MemoryStore::new());
    let token = signed_in(&server).await;
    let mut request = from("::ffff:1.2.3.4", refresh(&token, 1));
    request
        .headers_mut()
        .insert("user-agent", header("Firefox"));
    server.send(request).await.refresh_token();
    let session = server.issuer.list("alice").await.unwrap().remove(0);
    assert_eq!(session.ip, "1.2.3.4".parse().ok());
    assert_eq!(session.user_agent.as_deref(), Some("Firefox"));
}

/// A client chooses it, and each session stores it.
#[tokio::test]
async fn a_user_agent_is_cut_after_256_characters() {
    let server = Server::new(MemoryStore::new());
    let long = "\u{e9}".repeat(300);
    let session = NewSession::new("alice").user_agent(&long);
    let pair = server.issuer.start(session).await.unwrap();
    let stored = || async { server.issuer.list("alice").await.unwrap().remove(0) };
    let cut = "\u{e9}".repeat(256);
    assert_eq!(stored().await.user_agent, Some(cut));

    let request = plain(&pair).user_agent(Some("f".repeat(8_000)));
    server.issuer.refresh(request).await.unwrap();
    assert_eq!(stored().await.user_agent, Some("f".repeat(256)));
}

fn with_proof(device: &Device, path: &str, mut request: Request<String>) -> Request<String> {
    let proof = device
        .proof("")
        .claim("ath", serde_json::Value::Null)
        .claim("htm", "POST")
        .claim("htu", format!("https://auth.example{path}"))
        .sign();
    request.headers_mut().insert("dpop", header(&proof));
    request
}

/// A server that checks proofs, and a session of `device` there.
async fn bound() -> (Server, Device, String) {
    let mut server = Server::new(MemoryStore::new());
    let proofs = Dpop::new().clock(server.clock.clone());
    server.endpoints = server.endpoints.clone().dpop(proofs);
    let device = Device::new();
    let jkt: Thumbprint = device.jkt().parse().unwrap();
    let token = sign_in(&server, NewSession::new("alice").bound_to(jkt)).await;
    (server, device, token)
}

/// R13 and E4: without the key, with another key and with a bad proof.
#[tokio::test(start_paused = true)]
async fn a_stolen_bound_token_without_its_key_costs_its_sender_and_not_the_owner() {
    let (server, device, token) = bound().await;
    let attacker = Device::new();
    let attempts = |n: u8| match n % 3 {
        0 => refresh(&token, n),
        1 => with_proof(&attacker, "/refresh", refresh(&token, n)),
        _ => {
            let mut bad = refresh(&token, n);
            bad.headers_mut().insert("dpop", header("a.b.c"));
            bad
        }
    };
    for n in 0..80 {
        let answer = server.send(from("6.6.6.6", attempts(n))).await;
        assert_eq!(answer.status == 429, n >= 60, "{n}: {}", answer.body);
        assert_eq!(answer.headers.contains_key("retry-after"), n >= 60);
    }
    let sid = server.issuer.list("alice").await.unwrap()[0].id;
    let expected = (Some(sid), "6.6.6.6".parse().ok());
    assert_eq!(limited(&server), vec![expected; 20]);

    let mut newest = token;
    for byte in 0..10 {
        let request = with_proof(&device, "/refresh", refresh(&newest, byte));
        newest = server.send(from("6.6.6.6", request)).await.refresh_token();
    }
    let eleventh = with_proof(&device, "/refresh", refresh(&newest, 11));
    let eleventh = server.send(from("6.6.6.7", eleventh)).await;
    assert_eq!(eleventh.status, 429, "the owner has a limit too");
    assert_eq!(server.events.reuses(), 0);
}

/// R13: also where the attempt asks for scopes, which are read before the rotation.
#[tokio::test(start_paused = true)]
async fn a_stolen_confidential_token_costs_its_sender_and_not_the_owner() {
    let mut server = Server::new(MemoryStore::new());
    server.endpoints = (server.endpoints.clone())
        .confidential_client("app", "s3cret")
        .public_client("other");
    let owned = NewSession::new("alice").client_id("app");
    let token = sign_in(&server, owned.scopes("read".parse().unwrap())).await;
    let attempts = [
        (refresh(&token, 1), 401),
        (post("/token", FORM, form(&token, "")), 400),
        (post("/token", FORM, form(&token, "&client_id=other")), 400),
        (post("/token", FORM, form(&token, "&client_id=app")), 401),
        (
            post(
                "/token",
                FORM,
                form(&token, "&client_id=app&client_secret=no"),
            ),
            401,
        ),
        (
            post(
                "/token",
                FORM,
                form(&token, "&client_id=other&scope=read+admin"),
            ),
            400,
        ),
    ];
    for n in 0..90 {
        let (attempt, status) = &attempts[n % attempts.len()];
        let answer = server.send(from("6.6.6.6", attempt.clone())).await;
        let expected = if n < 60 { *status } else { 429 };
        assert_eq!(answer.status, expected, "{n}: {}", answer.body);
    }
    let owner = form(&token, "&client_id=app&client_secret=s3cret");
    let owner = from("6.6.6.6", post("/token", FORM, owner));
    server.send(owner).await.refresh_token();
}

#[tokio::test(start_paused = true)]
async fn failed_client_authentication_is_limited_by_address_at_every_endpoint() {
    let mut server = Server::new(MemoryStore::new());
    server.endpoints = (server.endpoints.clone())
        .confidential_client("app", "s3cret")
        .limits(Limits::new().by_address(NonZeroU32::MIN));
    for (n, path) in ["/token", "/revoke", "/introspect"].into_iter().enumerate() {
        let ip = format!("6.6.6.{n}");
        let guess = |secret: &str| {
            let body = format!("token=x&client_id=app&client_secret={secret}");
            from(&ip, post(path, FORM, body))
        };
        let first = server.send(guess("no")).await;
        assert_eq!(first.error(), (401, "invalid_client"), "{path}");
        let second = server.send(guess("no")).await;
        assert_eq!(second.error(), (429, "temporarily_unavailable"), "{path}");
        let right = server.send(guess("s3cret")).await;
        assert!(![401, 429].contains(&right.status.as_u16()), "{path}");
    }
}

/// A client learns the nonce by being refused, which happens to honest clients all the time.
#[tokio::test(start_paused = true)]
async fn asking_for_the_nonce_costs_an_address_a_sixteenth() {
    let mut server = Server::new(MemoryStore::new());
    let nonces = Nonces::new(&[7; 32]).unwrap();
    let proofs = Dpop::new().clock(server.clock.clone()).nonces(nonces);
    let limits = Limits::new().by_address(NonZeroU32::new(2).unwrap());
    server.endpoints = server.endpoints.clone().dpop(proofs).limits(limits);
    let device = Device::new();
    let jkt: Thumbprint = device.jkt().parse().unwrap();
    let token = sign_in(&server, NewSession::new("alice").bound_to(jkt)).await;
    for n in 0..33 {
        let request = with_proof(&device, "/refresh", refresh(&token, 1));
        let answer = server.send(from("1.2.3.4", request)).await;
        let expected = if n < 32 { 400 } else { 429 };
        assert_eq!(answer.status, expected, "{n}: {}", answer.body);
    }
}

/// An outage proves nothing about who sent the request.
#[tokio::test(start_paused = true)]
async fn a_store_that_does_not_answer_charges_neither_session_nor_address() {
    let token = signed_in(&Server::new(MemoryStore::new())).await;
    let down = Server::new(Down);
    for n in 0..100 {
        let answer = down.send(from("1.2.3.4", refresh(&token, n))).await;
        assert_eq!(answer.error(), (503, "temporarily_unavailable"), "{n}");
    }
}

/// All users behind one address, after the refresh secret was replaced in one step.
#[tokio::test(start_paused = true)]
async fn a_token_of_a_retired_secret_is_invalid_grant_and_charges_no_party() {
    let server = Server::new(MemoryStore::new());
    let keys = SigningKeys::new(SigningKey::generate(Algorithm::EdDSA).unwrap());
    let retired = RefreshSecrets::new(&[9; 32]).unwrap();
    let before = TokenIssuer::builder(keys, retired, MemoryStore::new());
    let before = Server::of(before.issuer("https://auth.example").audience("a"));
    for _ in 0..300 {
        let token = signed_in(&before).await;
        let json = server.send(from("10.0.0.1", refresh(&token, 1))).await;
        assert_eq!(json.error(), (401, "invalid_grant"));
        let oauth = post("/token", FORM, form(&token, ""));
        let oauth = server.send(from("10.0.0.1", oauth)).await;
        assert_eq!(oauth.error(), (400, "invalid_grant"));
    }
    assert!(limited(&server).is_empty());
    let unknown = |it: &SessionEvent| matches!(it, SessionEvent::RefreshFailed { kind, .. } if *kind == RefreshErrorKind::UnknownSecret);
    assert_eq!(server.events.count(unknown), 600);
    let bad = forged(&signed_in(&server).await);
    let forged = server.send(from("10.0.0.1", refresh(&bad, 1))).await;
    assert_eq!(forged.status, 401, "the address has its whole allowance");
}

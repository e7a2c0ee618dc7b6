//! Law E4: limits by session and by address.

use std::net::{IpAddr, SocketAddr};
use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use auth_layer::SessionId;
use auth_layer::endpoint::{ClientAddress, CookieMode, Limits, PeerAddress};
use auth_layer::issue::NewSession;
use auth_layer::issue::SessionEvent;
use auth_layer::store::MemoryStore;
use axum::extract::ConnectInfo;
use http::{HeaderName, Request};
use serde_json::json;

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

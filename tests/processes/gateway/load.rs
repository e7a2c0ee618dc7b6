use std::collections::HashMap;
use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::Gateway;
use super::upstream::Upstream;
use crate::support::Server;

/// C1 and C3, for many users behind one gateway; counted by the upstream.
#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_users_see_no_401_and_one_refresh_for_each_expiry() {
    const USERS: usize = 200;
    const ROUNDS: usize = 4;
    const AT_ONCE: usize = 5;
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("upstream.log");
    let flags = [
        "--addr",
        "127.0.0.1:0",
        "--access-ttl",
        "2s",
        "--rate-limit",
        "0",
    ];
    let debug = "auth_layer::session=debug";
    let upstream = Server::start_logging("auth_server", &flags, debug, File::create(&log).unwrap());
    let gateway = Arc::new(Gateway::start(&upstream.url(""), &[]));
    let http = reqwest::Client::new();
    // Log-ins are slow on purpose.
    let logins = Arc::new(Semaphore::new(4));
    let mut users = JoinSet::new();
    for _ in 0..USERS {
        let (gateway, http, logins) = (gateway.clone(), http.clone(), logins.clone());
        users.spawn(async move {
            let permit = logins.acquire_owned().await.unwrap();
            let user = gateway.sign_in("alice").await;
            drop(permit);
            for _ in 0..ROUNDS {
                let mut calls = JoinSet::new();
                for _ in 0..AT_ONCE {
                    let call = http.get(gateway.0.url("/api/me")).bearer_auth(&user.access);
                    calls.spawn(call.send());
                }
                for answer in calls.join_all().await {
                    assert_eq!(answer.unwrap().status(), 200);
                }
                // An expiry is a matter of time.
                sleep_until(Instant::now() + Duration::from_millis(2_300)).await;
            }
        });
    }
    users.join_all().await;

    let mut refreshes: HashMap<String, Vec<(u64, i64)>> = HashMap::new();
    let log = std::fs::read_to_string(&log).unwrap();
    for line in log.lines().filter(|it| it.contains("session refreshed")) {
        let field = |name: &str| {
            let (_, value) = line.split_once(&format!("{name}=")).unwrap();
            value.split(' ').next().unwrap().to_owned()
        };
        let generation = field("generation").parse().unwrap();
        let at = line.split(' ').next().unwrap();
        let of = refreshes.entry(field("sid")).or_default();
        of.push((generation, milliseconds(at)));
    }
    assert_eq!(refreshes.len(), USERS);
    for (sid, of) in &refreshes {
        let generations: Vec<_> = of.iter().map(|(generation, _)| *generation).collect();
        let each: Vec<_> = (1..=of.len() as u64).collect();
        assert_eq!(generations, each, "{sid}: each once");
        assert!(of.len() >= ROUNDS - 1, "{sid}: {of:?}");
        // By its client's clock a token is replaced in its last quarter; a second refresh for one expiry
        // would come at once.
        let pauses = of.windows(2).map(|it| (it[1].1 - it[0].1).rem_euclid(DAY));
        assert!(pauses.clone().all(|it| it >= 1_000), "{sid}: {of:?}");
    }
    for word in ["repeated", "reused", "overtaken"] {
        assert!(!log.contains(word), "{word}");
    }
    let all: usize = refreshes.values().map(Vec::len).sum();
    let calls = USERS * ROUNDS * AT_ONCE;
    println!(
        "{calls} calls of {USERS} users; {all} refreshes for {} rounds that began with a dead token",
        USERS * (ROUNDS - 1)
    );
}

const DAY: i64 = 86_400_000;

/// Of the day, in a time as RFC 3339 writes it.
fn milliseconds(at: &str) -> i64 {
    let (_, time) = at.trim_end_matches('Z').split_once('T').unwrap();
    let of_day = time
        .split(':')
        .fold(0.0, |sum, part| sum * 60.0 + part.parse::<f64>().unwrap());
    (of_day * 1_000.0) as i64
}

/// C19, behind a gateway.
#[tokio::test]
async fn one_slow_users_refresh_delays_nobody_else() {
    let upstream = Upstream::start(Duration::from_secs(1)).await;
    let gateway = Gateway::start(&upstream.url(), &[]);
    let (slow, other) = (
        gateway.sign_in("slow").await,
        gateway.sign_in("other").await,
    );
    let expired = Instant::now() + Duration::from_secs(1);
    sleep_until(expired).await;
    let waiting = gateway.get("/me", &slow);
    let others = async {
        upstream.held().await;
        for _ in 0..20 {
            let answer =
                tokio::time::timeout(Duration::from_secs(5), gateway.status("/me", &other));
            assert_eq!(answer.await.expect("it is not held up"), 200);
        }
        assert!(!upstream.refreshes("other").0.is_empty());
        assert!(upstream.refreshes("slow").0.is_empty());
        upstream.release();
    };
    let (answer, ()) = tokio::join!(waiting, others);
    assert_eq!(answer.text().await.unwrap(), r#"{"sub":"slow"}"#);
    assert_eq!(upstream.refreshes("slow").0.len(), 1);
}

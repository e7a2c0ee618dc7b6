use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::Gateway;
use super::lifetimes::Lifetimes;
use super::upstream::Upstream;

/// C1 and C3, for many users behind one gateway; counted by the upstream.
#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_users_see_no_401_and_one_refresh_for_each_expiry() {
    const USERS: usize = 200;
    const ROUNDS: usize = 4;
    const AT_ONCE: usize = 5;
    let upstream = Upstream::start(Lifetimes::ONE).await;
    let gateway = Arc::new(Gateway::start(&upstream.url(), &[]));
    let http = reqwest::Client::new();
    let mut users = JoinSet::new();
    for number in 0..USERS as u32 {
        let (upstream, gateway, http) = (upstream.clone(), gateway.clone(), http.clone());
        // Users do not come all at once.
        let arrival = Instant::now() + Lifetimes::ONE * number / USERS as u32;
        users.spawn(async move {
            sleep_until(arrival).await;
            let name = format!("user {number}");
            let mut lifetimes = Lifetimes::begin();
            let user = gateway.sign_in(&name).await;
            for round in 0..ROUNDS {
                if round > 0 {
                    lifetimes.pause().await;
                }
                let mut calls = JoinSet::new();
                for _ in 0..AT_ONCE {
                    let call = http.get(gateway.0.url("/me")).bearer_auth(&user.access);
                    calls.spawn(call.send());
                }
                for answer in calls.join_all().await {
                    assert_eq!(answer.unwrap().status(), 200, "{name}, round {round}");
                }
            }
            let (refreshes, expected) = (upstream.refreshes(&name), lifetimes.refreshes());
            assert!(
                expected.contains(&refreshes),
                "{name}: {refreshes}, not {expected:?}"
            );
            refreshes
        });
    }
    let all: usize = users.join_all().await.iter().sum();
    let presented = upstream.presented();
    assert_eq!(presented, vec![1; all], "no refresh token goes twice");
    let calls = USERS * ROUNDS * AT_ONCE;
    println!(
        "{calls} calls of {USERS} users; {all} refreshes for {} rounds that began with a dead token",
        USERS * (ROUNDS - 1)
    );
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
        assert!(upstream.refreshes("other") > 0);
        assert_eq!(upstream.refreshes("slow"), 0);
        upstream.release();
    };
    let (answer, ()) = tokio::join!(waiting, others);
    assert_eq!(answer.text().await.unwrap(), r#"{"sub":"slow"}"#);
    assert_eq!(upstream.refreshes("slow"), 1);
}

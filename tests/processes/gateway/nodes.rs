use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, interval};

use super::Gateway;
use super::lifetimes::Lifetimes;
use super::upstream::Upstream;
use crate::engine::Engine;

/// Two gateways with one store and one file of keys.
struct Pair {
    gateways: [Gateway; 2],
    upstream: Upstream,
    _engine: Engine,
}

impl Pair {
    async fn start(engine: Engine, access_ttl: Duration) -> Self {
        let upstream = Upstream::start(access_ttl).await;
        let keys = engine.folder().join("keys").display().to_string();
        let serve = || {
            let store = engine.url();
            Gateway::start(&upstream.url(), &["--store", &store, "--keys", &keys])
        };
        let gateways = [serve(), serve()];
        Self {
            gateways,
            upstream,
            _engine: engine,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Redis: tests/run test"]
async fn two_gateways_on_redis_are_one() {
    are_one(Engine::redis("everysec").await).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: tests/run test"]
async fn two_gateways_on_postgres_are_one() {
    are_one(Engine::postgres().await).await;
}

/// Who signs in at one goes on at the other. Both find the token dead at the same moment, and send the
/// same refresh, which is one to the upstream.
async fn are_one(engine: Engine) {
    const USERS: usize = 20;
    const EXPIRIES: usize = 3;
    let pair = Arc::new(Pair::start(engine, Lifetimes::ONE).await);
    let mut users = JoinSet::new();
    for number in 0..USERS {
        let pair = pair.clone();
        users.spawn(async move {
            let name = format!("user {number}");
            let mut lifetimes = Lifetimes::begin();
            let user = pair.gateways[number % 2].sign_in(&name).await;
            for round in 0..=EXPIRIES {
                if round > 0 {
                    lifetimes.pause().await;
                }
                let [one, other] = pair.gateways.each_ref().map(|it| it.status("/me", &user));
                let both = tokio::join!(one, other);
                assert_eq!(both, (200, 200), "{name}, round {round}");
            }
            let (refreshes, expected) = (pair.upstream.refreshes(&name), lifetimes.refreshes());
            assert!(
                expected.contains(&refreshes),
                "{name}: {refreshes}, not {expected:?}"
            );
            refreshes
        });
    }
    let refreshes: usize = users.join_all().await.iter().sum();
    let presented = pair.upstream.presented();
    assert_eq!(presented.len(), refreshes);
    assert!(
        presented.iter().all(|it| *it <= 2),
        "once by each: {presented:?}"
    );
    let (expiries, both) = (
        USERS * EXPIRIES,
        presented.iter().filter(|it| **it == 2).count(),
    );
    println!("{expiries} expiries at two gateways: {refreshes} refreshes, {both} sent by both");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Redis: tests/run test"]
async fn a_log_out_at_one_gateway_ends_the_session_at_the_other_and_at_the_upstream() {
    let engine = Engine::redis("everysec").await;
    let pair = Pair::start(engine, Duration::from_secs(600)).await;
    for leaving in 0..2 {
        let user = pair.gateways[1 - leaving].sign_in("alice").await;
        let other = pair.gateways[leaving].sign_in("alice").await;
        for gateway in &pair.gateways {
            assert_eq!(gateway.status("/me", &other).await, 200);
            assert_eq!(gateway.status("/me", &user).await, 200);
        }
        let [access, _] = pair.upstream.tokens();
        assert_eq!(pair.upstream.issuer.list("alice").await.unwrap().len(), 2);

        pair.gateways[leaving].log_out(&user).await;
        let left = pair.upstream.issuer.list("alice").await.unwrap();
        assert_eq!(
            left.len(),
            1,
            "the upstream knows when the log-out is answered"
        );
        let direct = reqwest::Client::new().get(format!("{}/me", pair.upstream.url()));
        let direct = direct.bearer_auth(access).send().await.unwrap();
        assert_eq!(direct.status(), 401, "its access token is dead too");
        assert_eq!(pair.gateways[leaving].status("/me", &user).await, 401);
        for gateway in &pair.gateways {
            assert_eq!(gateway.refresh(&user).await, 401);
        }
        let begin = Instant::now();
        let mut pace = interval(Duration::from_millis(10));
        while pair.gateways[1 - leaving].status("/me", &user).await != 401 {
            pace.tick().await;
            assert!(begin.elapsed() < Duration::from_secs(1), "still accepted");
        }
        assert_eq!(pair.gateways[leaving].status("/me", &other).await, 200);
        pair.gateways[leaving].log_out(&other).await;
    }
}

#[tokio::test]
async fn a_gateway_with_a_file_goes_on_where_it_was_killed() {
    let upstream = Upstream::start(Duration::from_secs(600)).await;
    let folder = tempfile::tempdir().unwrap();
    let store = format!("sqlite:{}", folder.path().join("sessions.db").display());
    let gateway = Gateway::start(&upstream.url(), &["--store", &store]);
    let user = gateway.sign_in("alice").await;
    gateway.0.kill();
    let gateway = Gateway::start(&upstream.url(), &["--store", &store]);
    assert_eq!(gateway.status("/me", &user).await, 200);
    let [access, refresh] = upstream.tokens();
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        assert!(
            !text.contains(&access) && !text.contains(&refresh),
            "a store in plain text"
        );
    }
    gateway.log_out(&user).await;
    assert!(upstream.issuer.list("alice").await.unwrap().is_empty());
}

//! R10: an engine or a server is killed while honest clients rotate. None is taken for a thief, and
//! none is signed out where the store promises durability.

use std::fs::File;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::engine::{Engine, free_port};
use crate::honest::Honest;
use crate::support::Server;

/// How much is done, and how often it is interrupted.
#[derive(Clone, Copy)]
struct Extent {
    clients: usize,
    rotations: u64,
    kills: u64,
}

const SHORT: Extent = Extent {
    clients: 20,
    rotations: 15,
    kills: 1,
};

/// Four of these are 50,000 rotations.
const LONG: Extent = Extent {
    clients: 50,
    rotations: 250,
    kills: 3,
};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: tests/run test"]
async fn sessions_survive_a_killed_postgres() {
    killed_postgres(SHORT).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Redis: tests/run test"]
async fn sessions_survive_a_killed_redis_that_syncs_always() {
    killed_redis("always", SHORT).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Redis: tests/run test"]
async fn no_session_is_taken_for_theft_when_a_redis_that_syncs_each_second_is_killed() {
    killed_redis("everysec", SHORT).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: tests/run test"]
async fn sessions_survive_a_killed_server() {
    killed_server(SHORT).await;
}

/// The same for minutes.
mod long {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "takes minutes: tests/run faults"]
    async fn many_sessions_survive_a_postgres_that_is_killed_again_and_again() {
        killed_postgres(LONG).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "takes minutes: tests/run faults"]
    async fn many_sessions_survive_a_redis_that_syncs_always_and_is_killed_again_and_again() {
        killed_redis("always", LONG).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "takes minutes: tests/run faults"]
    async fn no_session_is_taken_for_theft_when_such_a_redis_is_killed_again_and_again() {
        killed_redis("everysec", LONG).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "takes minutes: tests/run faults"]
    async fn many_sessions_survive_a_server_that_is_killed_again_and_again() {
        killed_server(LONG).await;
    }
}

/// Where the last moments are lost, the tokens of those moments are unknown, not reused.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Redis: tests/run test"]
async fn a_redis_that_lost_its_last_moments_signs_some_out_and_accuses_nobody() {
    let mut drill = Drill::new(
        "redis, everysec, power cut",
        Engine::redis("everysec").await,
    );
    let report = drill.run(SHORT, Blow::PowerCut).await;
    // Of everybody, on a busy disk: Redis puts off its writes while the last ones are synced. No session
    // is lost as a whole, for `run` finds as many that are behind as clients that were refused.
    assert!(report.behind > 0, "nothing was lost: {report:?}");
}

async fn killed_postgres(extent: Extent) {
    let mut drill = Drill::new("postgres", Engine::postgres().await);
    let report = drill.run(extent, Blow::Engine).await;
    assert_eq!(report.behind, 0, "{report:?}");
}

async fn killed_redis(sync: &'static str, extent: Extent) {
    let mut drill = Drill::new("redis", Engine::redis(sync).await);
    let report = drill.run(extent, Blow::Engine).await;
    assert!(sync == "everysec" || report.behind == 0, "{report:?}");
}

async fn killed_server(extent: Extent) {
    let mut drill = Drill::new("auth_server on postgres", Engine::postgres().await);
    let report = drill.run(extent, Blow::Server).await;
    assert_eq!(report.behind, 0, "{report:?}");
}

/// What is killed.
#[derive(Clone, Copy, Debug)]
enum Blow {
    Engine,
    /// The engine, and what it had written last.
    PowerCut,
    Server,
}

struct Drill {
    name: &'static str,
    engine: Engine,
    address: String,
    server: Option<Server>,
}

#[derive(Debug)]
#[expect(dead_code, reason = "printed")]
struct Report {
    drill: &'static str,
    blow: Blow,
    kills: u64,
    clients: usize,
    rotations: u64,
    repeats: u64,
    took: Duration,
    /// Clients whose token the store had forgotten.
    behind: usize,
}

impl Drill {
    fn new(name: &'static str, engine: Engine) -> Self {
        let mut drill = Self {
            name,
            engine,
            address: format!("127.0.0.1:{}", free_port()),
            server: None,
        };
        drill.server = Some(drill.serve());
        drill
    }

    async fn run(&mut self, extent: Extent, blow: Blow) -> Report {
        let run = timeout(Duration::from_secs(180), self.rotate_and_kill(extent, blow));
        let report = run.await.expect("the drill ends in time");
        println!("{report:?}");
        assert_eq!(
            self.logged("refresh token reused"),
            0,
            "an honest client was accused"
        );
        assert_eq!(self.logged("session store is behind"), report.behind);
        report
    }

    async fn rotate_and_kill(&mut self, extent: Extent, blow: Blow) -> Report {
        // All before the first rotation: what is lost later is never a sign-in.
        let mut signed_in = Vec::new();
        for _ in 0..extent.clients {
            signed_in.push(Honest::sign_in(vec![format!("http://{}", self.address)]).await);
        }
        let begin = Instant::now();
        let (progress, mut seen) = watch::channel(0_u64);
        let mut clients = JoinSet::new();
        for client in signed_in {
            clients.spawn(rotate(client, extent.rotations, progress.clone()));
        }
        let all = extent.clients as u64 * extent.rotations;
        for kill in 1..=extent.kills {
            let at = all * kill / (extent.kills + 1);
            seen.wait_for(|done| *done >= at).await.unwrap();
            self.strike(blow).await;
        }
        let mut report = Report {
            drill: self.name,
            blow,
            kills: extent.kills,
            clients: extent.clients,
            rotations: 0,
            repeats: 0,
            took: Duration::ZERO,
            behind: 0,
        };
        while let Some(client) = clients.join_next().await {
            let (client, is_behind) = client.unwrap();
            report.behind += usize::from(is_behind);
            report.rotations += client.generation();
            report.repeats += client.repeats();
        }
        report.took = begin.elapsed();
        report
    }

    async fn strike(&mut self, blow: Blow) {
        match blow {
            Blow::Server => {
                self.server.take().unwrap().kill();
                self.server = Some(self.serve());
            }
            Blow::Engine | Blow::PowerCut => {
                self.engine.kill();
                if matches!(blow, Blow::PowerCut) {
                    self.engine.lose(3_000);
                }
                self.engine.come_back().await;
            }
        }
    }

    fn serve(&self) -> Server {
        let keys = self.engine.folder().join("keys").display().to_string();
        let log = self.engine.folder().join("server.log");
        let log = File::options().append(true).create(true).open(log);
        let store = self.engine.url();
        let args = ["--addr", &self.address, "--store", &store, "--keys", &keys];
        Server::start_logged(
            "auth_server",
            &[&args[..], &["--rate-limit", "0"]].concat(),
            log.unwrap(),
        )
    }

    fn logged(&self, words: &str) -> usize {
        let log = std::fs::read_to_string(self.engine.folder().join("server.log"));
        log.unwrap().matches(words).count()
    }
}

/// Rotates so often, and whether the server forgot the token on the way.
async fn rotate(mut client: Honest, times: u64, progress: watch::Sender<u64>) -> (Honest, bool) {
    let mut is_behind = false;
    for _ in 0..times {
        is_behind = is_behind || client.rotate().await.is_err();
        progress.send_modify(|done| *done += 1);
    }
    (client, is_behind)
}

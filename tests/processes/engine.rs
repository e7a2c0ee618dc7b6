use std::fs::{File, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::time::sleep;

/// A PostgreSQL or a Redis of a test's own, which can be killed and come back (`tests/services`).
pub(crate) struct Engine {
    kind: Kind,
    folder: TempDir,
    port: u16,
    process: Option<Child>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Postgres,
    Redis { sync: &'static str },
}

impl Engine {
    pub(crate) async fn postgres() -> Self {
        Self::start(Kind::Postgres).await
    }

    /// With an append-only file that is synced `always` or `everysec`.
    pub(crate) async fn redis(sync: &'static str) -> Self {
        Self::start(Kind::Redis { sync }).await
    }

    pub(crate) fn url(&self) -> String {
        let port = self.port;
        match self.kind {
            Kind::Postgres => format!("postgres://auth@127.0.0.1:{port}/postgres"),
            Kind::Redis { .. } => format!("redis://127.0.0.1:{port}"),
        }
    }

    /// Where there is room for files of a test.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            // It may be dead already; either way it is gone after the wait.
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// Forgets the last bytes of the append-only file, as a power cut does.
    pub(crate) fn lose(&self, bytes: u64) {
        let folder = self.data().join("appendonlydir");
        let files = std::fs::read_dir(folder)
            .unwrap()
            .map(|it| it.unwrap().path());
        let newest = files.filter(|it| it.to_string_lossy().ends_with(".incr.aof"));
        let file = File::options()
            .write(true)
            .open(newest.max().unwrap())
            .unwrap();
        let length = file.metadata().unwrap().len();
        file.set_len(length.saturating_sub(bytes)).unwrap();
    }

    pub(crate) async fn come_back(&mut self) {
        let (data, port) = (self.data().display().to_string(), self.port.to_string());
        let (serve, ready) = match self.kind {
            Kind::Postgres => (
                "services_postgres_serve \"$@\"",
                "ready to accept connections",
            ),
            Kind::Redis { .. } => ("services_redis_serve \"$@\"", "Ready to accept connections"),
        };
        let sync = match self.kind {
            Kind::Postgres => "",
            Kind::Redis { sync } => sync,
        };
        let log = self.folder().join("engine.log");
        let file = File::create(&log).unwrap();
        let process = services(serve, &[&data, &port, sync])
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn();
        self.process = Some(process.unwrap());
        while !(says(&log, ready) && TcpStream::connect(("127.0.0.1", self.port)).await.is_ok()) {
            let ended = self.process.as_mut().unwrap().try_wait().unwrap();
            assert!(
                ended.is_none(),
                "{}",
                std::fs::read_to_string(&log).unwrap()
            );
            sleep(Duration::from_millis(20)).await;
        }
    }

    async fn start(kind: Kind) -> Self {
        let folder = TempDir::new().unwrap();
        // PostgreSQL is another user.
        std::fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        let mut engine = Self {
            kind,
            folder,
            port: free_port(),
            process: None,
        };
        let init = match kind {
            Kind::Postgres => "services_postgres_init \"$1\"",
            Kind::Redis { .. } => "services_redis_init \"$1\"",
        };
        let made = services(init, &[&engine.data().display().to_string()]).status();
        assert!(made.unwrap().success(), "the engine could not be set up");
        engine.come_back().await;
        engine
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A port that the system gives to nobody by itself, so that it is still free after a kill.
pub(crate) fn free_port() -> u16 {
    let said = services("services_free_port", &[]).output().unwrap().stdout;
    String::from_utf8(said).unwrap().trim().parse().unwrap()
}

fn services(script: &str, args: &[&str]) -> Command {
    let functions = concat!(env!("CARGO_MANIFEST_DIR"), "/services");
    let script = format!("set -euo pipefail; source '{functions}'; {script}");
    let mut bash = Command::new("bash");
    bash.args(["-c", &script, "services"]).args(args);
    bash.env("services_folder", std::env::temp_dir());
    bash.stdin(Stdio::null());
    bash
}

fn says(log: &Path, words: &str) -> bool {
    std::fs::read_to_string(log).is_ok_and(|it| it.contains(words))
}

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
        let mut tries = 0;
        self.process = Some(self.serve());
        while !self.is_ready().await {
            sleep(Duration::from_millis(20)).await;
            let ended = self.process.as_mut().unwrap().try_wait().unwrap();
            if ended.is_some() {
                // A PostgreSQL that was killed is not gone before its children are.
                tries += 1;
                assert!(tries < 100, "{}", self.log());
                self.process = Some(self.serve());
            }
        }
    }

    fn serve(&self) -> Child {
        let (data, port) = (self.data().display().to_string(), self.port.to_string());
        let mut command = match self.kind {
            Kind::Postgres => self.services("services_postgres_serve", &[&data, &port]),
            Kind::Redis { sync } => self.services("services_redis_serve", &[&data, &port, sync]),
        };
        let log = File::create(self.folder().join("engine.log")).unwrap();
        let command = command.stdout(log.try_clone().unwrap()).stderr(log);
        command.spawn().unwrap()
    }

    async fn is_ready(&self) -> bool {
        let log = self.log();
        let words = ["ready to accept connections", "Ready to accept connections"];
        words.iter().any(|it| log.contains(it))
            && TcpStream::connect(("127.0.0.1", self.port)).await.is_ok()
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder().join("engine.log")).unwrap()
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
            Kind::Postgres => "services_postgres_init",
            Kind::Redis { .. } => "services_redis_init",
        };
        let data = engine.data().display().to_string();
        let made = engine.services(init, &[&data]).status().unwrap();
        assert!(made.success(), "the engine could not be set up");
        engine.come_back().await;
        engine
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn services(&self, function: &str, args: &[&str]) -> Command {
        services(self.folder(), function, args)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A port that the system gives to nobody by itself, so that it is still free after a kill.
pub(crate) fn free_port() -> u16 {
    let found = services(&std::env::temp_dir(), "services_free_port", &[]).output();
    String::from_utf8(found.unwrap().stdout)
        .unwrap()
        .trim()
        .parse()
        .unwrap()
}

/// A function of `tests/services`, which may leave logs in `folder`.
fn services(folder: &Path, function: &str, args: &[&str]) -> Command {
    let functions = concat!(env!("CARGO_MANIFEST_DIR"), "/services");
    let script = format!(
        "set -euo pipefail; source '{functions}'; services_folder=$1; {function} \"${{@:2}}\""
    );
    let mut bash = Command::new("bash");
    bash.args(["-c", &script, "services"])
        .arg(folder)
        .args(args);
    bash.stdin(Stdio::null());
    bash
}

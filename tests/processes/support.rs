//! The example programs as processes of their own.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::sync::OnceLock;

/// A program that listens; killed when dropped.
pub(crate) struct Server {
    process: Child,
    address: SocketAddr,
    /// Kept, for a program may go on to say something.
    _stdout: BufReader<ChildStdout>,
}

impl Server {
    /// Starts an example and waits until it says where it listens.
    pub(crate) fn start(example: &str, args: &[&str]) -> Self {
        Self::start_with(command(example).args(args), example)
    }

    /// As `start`; what happens to sessions is written to `log`.
    pub(crate) fn start_logged(example: &str, args: &[&str], log: File) -> Self {
        let mut command = command(example);
        command.env("RUST_LOG", "auth_layer::session=info");
        Self::start_with(command.args(args).stderr(log), example)
    }

    fn start_with(command: &mut Command, example: &str) -> Self {
        let mut process = command
            .stdout(Stdio::piped())
            .spawn()
            .expect("the example was built");
        let mut stdout = BufReader::new(process.stdout.take().expect("it is piped"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("it says something");
        let address = line
            .trim()
            .strip_prefix("listening on ")
            .and_then(|it| it.parse().ok());
        let address = address.unwrap_or_else(|| panic!("{example} did not start: {line:?}"));
        Self {
            process,
            address,
            _stdout: stdout,
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The most memory that it has had so far, in bytes.
    #[cfg(target_os = "linux")]
    pub(crate) fn peak_memory(&self) -> u64 {
        let status = format!("/proc/{}/status", self.process.id());
        let status = std::fs::read_to_string(status).expect("it runs");
        let peak = status.lines().find_map(|it| it.strip_prefix("VmHWM:"));
        let kibibytes = peak.and_then(|it| it.trim().strip_suffix(" kB"));
        1024 * kibibytes
            .and_then(|it| it.parse::<u64>().ok())
            .expect("Linux says so")
    }

    /// SIGKILL: it gets no chance to write anything.
    pub(crate) fn kill(mut self) -> SocketAddr {
        self.stop();
        self.address
    }

    /// SIGTERM: it is asked to stop.
    pub(crate) fn terminate(&self) {
        let process = self.process.id().to_string();
        let status = Command::new("kill").args(["-TERM", &process]).status();
        assert!(status.is_ok_and(|it| it.success()));
    }

    /// Waits until it has stopped by itself.
    pub(crate) fn ended(mut self) -> ExitStatus {
        self.process.wait().expect("it was started")
    }

    fn stop(&mut self) {
        // It may be dead already; either way it is gone after the wait.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Runs an example to its end.
pub(crate) fn run(example: &str, args: &[&str]) -> Output {
    command(example)
        .args(args)
        .output()
        .expect("the example was built")
}

/// What an example says that is not to start.
pub(crate) fn refused(example: &str, args: &[&str]) -> String {
    let mut command = command(example);
    let command = command.args(args).stdout(Stdio::piped());
    let mut process = command
        .stderr(Stdio::piped())
        .spawn()
        .expect("the example was built");
    let mut line = String::new();
    let stdout = process.stdout.take().expect("it is piped");
    let _ = BufReader::new(stdout).read_line(&mut line);
    if !line.is_empty() {
        let _ = process.kill();
    }
    let output = process.wait_with_output().expect("it was started");
    assert!(line.is_empty(), "{example} {args:?} started: {line}");
    assert!(!output.status.success(), "{example} {args:?}");
    String::from_utf8(output.stderr).expect("it is text")
}

/// An example that is about to be started.
pub(crate) fn command(example: &str) -> Command {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let folder = FOLDER.get_or_init(build);
    let mut command = Command::new(folder.join(example));
    command.stdin(Stdio::null());
    command
}

/// Builds the examples with the features that the tests were built with, so that nothing is built twice, and
/// returns their folder. `tests/run` has built them already and names it.
fn build() -> PathBuf {
    if let Some(folder) = std::env::var_os("TEST_EXAMPLES") {
        return folder.into();
    }
    let build = [
        "build",
        "--quiet",
        "--workspace",
        "--examples",
        "--all-features",
    ];
    let status = Command::new(env!("CARGO")).args(build).status();
    assert!(
        status.expect("cargo runs").success(),
        "the examples do not build"
    );
    let test = std::env::current_exe().expect("this test is a file");
    // target/PROFILE/deps/TEST
    let profile = test.ancestors().nth(2).expect("a target folder");
    profile.join("examples")
}

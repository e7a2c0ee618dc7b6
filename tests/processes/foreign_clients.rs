//! OAuth 2.0 clients of other authors (`tests/foreign_clients`) against `auth_server`: each reports
//! `invalid_grant` for garbage and refreshes, and two validate the access token (RFC 9068).

use std::path::Path;
use std::process::Command;

use crate::support::Server;

/// Runs a script against a server of its own.
fn run_script(program: &str, script: &str, more: &[&str]) {
    let flags = [
        "--addr",
        "127.0.0.1:0",
        "--rate-limit",
        "0",
        "--client",
        "app",
        "--client",
        "web:s3cret/+",
    ];
    let server = Server::start("auth_server", &[&flags, more].concat());
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("foreign_clients");
    let output = Command::new(program)
        .arg(folder.join(script))
        .arg(server.url(""))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output();
    let output = output.unwrap_or_else(|error| panic!("{program} does not run: {error}"));
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}\n{complaint}");
}

/// In a virtual environment with the packages of `tests/foreign_clients/requirements.txt`.
fn python() -> String {
    std::env::var("TEST_PYTHON").unwrap_or_else(|_| {
        panic!("TEST_PYTHON is not set: run `tests/run test`, which installs the Python clients")
    })
}

/// Its resource server validates the access tokens as well (RFC 9068).
#[test]
#[ignore = "needs Node.js and its packages: tests/run test"]
fn oauth4webapi_refreshes_reports_invalid_grant_and_accepts_the_access_token() {
    for algorithm in ["EdDSA", "ES256", "RS256"] {
        run_script("node", "oauth4webapi.js", &["--alg", algorithm]);
    }
}

#[test]
#[ignore = "needs Node.js and its packages: tests/run test"]
fn openid_client_refreshes_and_reports_invalid_grant() {
    run_script("node", "openid-client.js", &[]);
}

/// Its resource server validates the access tokens as well (RFC 9068), and takes no EdDSA by default.
#[test]
#[ignore = "needs Python 3 and its packages: tests/run test"]
fn authlib_refreshes_reports_invalid_grant_and_accepts_the_access_token() {
    run_script(&python(), "authlib_client.py", &["--alg", "ES256"]);
}

/// It sends the access token that it replaces beside the request.
#[test]
#[ignore = "needs Python 3 and its packages: tests/run test"]
fn requests_oauthlib_refreshes_and_reports_invalid_grant() {
    run_script(&python(), "requests_oauthlib_client.py", &[]);
}

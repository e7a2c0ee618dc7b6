//! The page of `examples/browser` in a real browser. Each test plays a story of `tests/browser/stories` in
//! Chromium, against a server of its own; what the page looked like is in `target/screenshots`.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::NamedTempFile;

use crate::support::{Server, run};

/// Plays `story` and says what happened to sessions meanwhile.
fn play(story: &str) -> String {
    let chromium = std::env::var("TEST_CHROMIUM").unwrap_or_else(|_| {
        panic!("TEST_CHROMIUM is not set: run `tests/run test`, which installs the browser")
    });
    let log = NamedTempFile::new().unwrap();
    let flags = ["--addr", "127.0.0.1:0", "--access-ttl", "4s"];
    let server = Server::start_logged("browser", &flags, log.reopen().unwrap());
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    let Output { status, stderr, .. } = Command::new("node")
        .arg(tests.join("browser/run.js"))
        .args([story, &server.url("/"), &chromium])
        .arg(screenshots())
        .output()
        .expect("node runs");
    let log = std::fs::read_to_string(log.path()).unwrap();
    let complaint = String::from_utf8_lossy(&stderr);
    assert!(status.success(), "{complaint}\nthe server:\n{log}");
    log
}

/// In the target folder, beside the profiles.
fn screenshots() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.ancestors().nth(3).unwrap().join("screenshots")
}

fn thefts(log: &str) -> usize {
    log.matches("refresh token reused").count()
}

#[test]
#[ignore = "needs Chromium and Node.js: tests/run test"]
fn a_user_sees_the_whole_life_of_a_session() {
    assert_eq!(thefts(&play("life")), 0);
}

/// E3.
#[test]
#[ignore = "needs Chromium and Node.js: tests/run test"]
fn five_tabs_stay_signed_in_with_one_refresh_at_a_time() {
    let log = play("five_tabs");
    assert_eq!(thefts(&log), 0, "{log}");
    assert_eq!(log.matches("session started").count(), 1, "{log}");
}

/// E3.
#[test]
#[ignore = "needs Chromium and Node.js: tests/run test"]
fn pages_of_other_sites_and_ports_cannot_use_the_cookie() {
    let log = play("other_sites");
    assert_eq!(log.matches("session revoked").count(), 0, "{log}");
}

#[test]
#[ignore = "needs Chromium and Node.js: tests/run test"]
fn a_user_sees_their_devices_and_ends_them_one_by_one_or_all() {
    let log = play("devices");
    assert_eq!(log.matches("session revoked").count(), 3, "{log}");
}

#[test]
#[ignore = "needs Chromium and Node.js: tests/run test"]
fn a_stolen_token_is_noticed_and_both_are_out() {
    assert_eq!(thefts(&play("theft")), 1);
}

/// C11 and C17, as a page does it.
#[test]
#[ignore = "needs Chromium and Node.js: tests/run test"]
fn a_page_that_loses_answers_keeps_its_session_and_makes_no_storm() {
    assert_eq!(thefts(&play("lost_answers")), 0);
}

#[test]
#[ignore = "needs Chromium and Node.js: tests/run test"]
fn the_page_is_for_eyes_ears_keyboards_and_phones() {
    play("looks");
}

#[tokio::test]
async fn every_answer_tells_the_browser_to_run_nothing_but_the_files_of_the_page() {
    let server = Server::start("browser", &["--addr", "127.0.0.1:0"]);
    for (path, media) in [
        ("/", "text/html; charset=utf-8"),
        ("/app.js", "text/javascript; charset=utf-8"),
        ("/style.css", "text/css; charset=utf-8"),
        ("/icon.svg", "image/svg+xml"),
        ("/api/me", "application/json"),
        ("/nowhere", "application/json"),
    ] {
        let answer = reqwest::get(server.url(path)).await.unwrap();
        let header = |name: &str| answer.headers()[name].to_str().unwrap();
        assert_eq!(header("content-type"), media);
        assert_eq!(header("x-content-type-options"), "nosniff");
        assert_eq!(header("x-frame-options"), "DENY");
        assert_eq!(header("referrer-policy"), "no-referrer");
        let policy: Vec<_> = header("content-security-policy").split("; ").collect();
        for rule in [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
        ] {
            assert!(policy.contains(&rule), "{path}: {policy:?}");
        }
        assert!(!policy.concat().contains("unsafe"), "{policy:?}");
    }
}

#[test]
fn wrong_flags_and_a_port_in_use_are_answered_with_a_sentence() {
    let server = Server::start("browser", &["--addr", "127.0.0.1:0"]);
    let taken = server.address().to_string();
    for (flags, sentence) in [
        (["--addr", &taken], "choose another --addr"),
        (["--addr", "here"], "invalid value 'here' for '--addr"),
        (["--access-ttl", "2h"], "an hour at most"),
        (["--access-ttl", "soon"], "invalid value 'soon'"),
    ] {
        let Output { status, stderr, .. } = run("browser", &flags);
        let stderr = String::from_utf8_lossy(&stderr);
        assert!(!status.success() && stderr.contains(sentence), "{stderr}");
    }
}

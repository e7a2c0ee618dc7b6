//! Several processes on one token file, against a server that punishes the reuse of a token.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use refresh_client_layer::{FileStore, HttpRefresher, RefreshLayer, TokenManager, TokenSet};
use refresh_client_layer::{NotRetried, Outcome, StoredTokens, TokenStore as _};
use tempfile::TempDir;
use tower::{Layer as _, ServiceExt as _};

use crate::support::records::Records as _;
use crate::support::site::{Hit, Site, ok, status};

/// Rotates refresh tokens and believes in the newest access token, for ten requests.
#[derive(Default)]
struct Rotation {
    generation: u64,
    /// By refresh token: with which key it was rotated.
    rotated: HashMap<String, String>,
    repeats: u32,
    thefts: u32,
    uses: u32,
    loses_answers: bool,
}

impl Rotation {
    fn answer(&mut self, hit: &Hit) -> Response<Full<Bytes>> {
        match hit.path.as_str() {
            "/refresh" => self.refresh(hit),
            _ => self.serve(hit),
        }
    }

    fn refresh(&mut self, hit: &Hit) -> Response<Full<Bytes>> {
        let body: serde_json::Value = serde_json::from_slice(&hit.body).unwrap();
        let token = body["refresh_token"].as_str().unwrap().to_owned();
        let key = hit.headers["idempotency-key"].to_str().unwrap().to_owned();
        let is_current = token == format!("refresh-{}", self.generation);
        if is_current {
            self.generation += 1;
            self.uses = 0;
            self.rotated.insert(token, key);
        } else if self.rotated.get(&token) == Some(&key) {
            self.repeats += 1;
        } else {
            self.thefts += 1;
            let mut response = status(401);
            *response.body_mut() = Full::from(r#"{"error":"invalid_grant"}"#);
            return response;
        }
        if self.loses_answers {
            return status(503);
        }
        let mut response = ok();
        *response.body_mut() = Full::from(format!(
            r#"{{"access_token":"access-{0}","refresh_token":"refresh-{0}"}}"#,
            self.generation
        ));
        response
    }

    fn serve(&mut self, hit: &Hit) -> Response<Full<Bytes>> {
        let is_current = hit.token() == Some(&format!("Bearer access-{}", self.generation));
        if !is_current || self.uses == USES {
            return status(401);
        }
        self.uses += 1;
        ok()
    }
}

struct Setting {
    folder: TempDir,
    site: Site,
    rotation: Arc<Mutex<Rotation>>,
}

impl Setting {
    async fn new() -> Self {
        let rotation = Arc::new(Mutex::new(Rotation::default()));
        let server = rotation.clone();
        let site = Site::start(move |hit| server.lock().unwrap().answer(hit)).await;
        let setting = Self {
            folder: TempDir::new().unwrap(),
            site,
            rotation,
        };
        let first = TokenSet::new("access-0", "refresh-0");
        assert!(setting.store().save(&first).await.unwrap());
        setting
    }

    fn store(&self) -> FileStore {
        FileStore::new(self.folder.path().join("tokens.json"))
    }

    async fn stored(&self) -> StoredTokens {
        self.store().load().await.unwrap().unwrap()
    }

    fn start(&self) -> Child {
        let folder: &Path = self.folder.path();
        Command::new(std::env::current_exe().unwrap())
            .args([
                "store::file_processes::child_that_sends",
                "--exact",
                "--ignored",
                "--nocapture",
            ])
            .env(CHILDS_FILE, folder.join("tokens.json"))
            .env(CHILDS_SITE, self.site.url(""))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }
}

/// Waits for a child without holding up the site.
async fn output(child: Child) -> std::process::Output {
    tokio::task::spawn_blocking(|| child.wait_with_output().unwrap())
        .await
        .unwrap()
}

/// Law C16.
#[tokio::test]
async fn eight_processes_on_one_file_never_use_a_token_twice() {
    let setting = Setting::new().await;
    let children: Vec<_> = (0..CHILDREN).map(|_| setting.start()).collect();
    for child in children {
        let output = output(child).await;
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{stderr}");
    }
    let stored = setting.stored().await;
    let rotation = setting.rotation.lock().unwrap();
    assert_eq!(rotation.thefts, 0);
    let needed = u64::from((CHILDREN * REQUESTS).div_ceil(USES) - 1);
    assert!(
        (needed..=needed + 1).contains(&rotation.generation),
        "{} for {needed}, with {} repeats",
        rotation.generation,
        rotation.repeats
    );
    let last = format!("refresh-{}", rotation.generation);
    assert_eq!(stored.tokens().refresh_token().secret(), last);
}

/// Law C17: the server has rotated, and the client dies before it hears of it.
#[tokio::test]
async fn a_process_that_is_killed_between_rotated_and_stored_leaves_a_living_session() {
    let setting = Setting::new().await;
    {
        let mut rotation = setting.rotation.lock().unwrap();
        rotation.uses = USES;
        rotation.loses_answers = true;
    }
    let mut killed = setting.start();
    let stderr = BufReader::new(killed.stderr.take().unwrap());
    let first = tokio::task::spawn_blocking(|| stderr.lines().next());
    assert_eq!(first.await.unwrap().unwrap().unwrap(), "unavailable");
    killed.kill().unwrap();
    killed.wait().unwrap();
    let stored = setting.stored().await;
    assert_eq!(stored.tokens().refresh_token().secret(), "refresh-0");
    assert!(stored.idempotency_key().is_some());

    setting.rotation.lock().unwrap().loses_answers = false;
    let output = output(setting.start()).await;
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    let rotation = setting.rotation.lock().unwrap();
    assert_eq!(rotation.thefts, 0);
    assert!(rotation.repeats >= 1);
}

#[test]
#[ignore = "a child process of another test"]
fn child_that_sends() {
    let (Ok(path), Ok(site)) = (std::env::var(CHILDS_FILE), std::env::var(CHILDS_SITE)) else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let http = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
        let refresher = HttpRefresher::json(format!("{site}/refresh"), http.clone());
        let session = TokenManager::builder(refresher)
            .store(FileStore::new(path))
            .build()
            .unwrap();
        let api = RefreshLayer::new(session).layer(http);
        let mut served = 0;
        while served < REQUESTS {
            let request = Request::get(format!("{site}/me")).body(Full::default());
            match api.clone().oneshot(request.unwrap()).await {
                Ok(response) if response.status() == StatusCode::OK => served += 1,
                Ok(response) => {
                    // The others have used the new token up before the retry came.
                    let outcome = response.extensions().get::<Outcome>().unwrap();
                    assert_eq!(outcome.not_retried(), Some(NotRetried::AlreadyRetried));
                }
                Err(_) => {
                    eprintln!("unavailable");
                    // To be killed now, unless the parent has nothing more to say.
                    std::io::read_to_string(std::io::stdin()).unwrap();
                    panic!("nobody killed this child");
                }
            }
        }
    });
}

const CHILDREN: u32 = 8;
/// Few, as a manager does not replace more than 5 young tokens in 30 seconds.
const REQUESTS: u32 = 6;
/// How many requests an access token is good for.
const USES: u32 = 10;
const CHILDS_FILE: &str = "CHILDS_FILE";
const CHILDS_SITE: &str = "CHILDS_SITE";

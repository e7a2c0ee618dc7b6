use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tokio::time::sleep;

/// A client that keeps its side of the contract: it repeats the same token and key until there is a
/// definite answer.
pub(crate) struct Honest {
    http: reqwest::Client,
    /// Servers that it asks by turns.
    urls: Vec<String>,
    tokens: Value,
    turn: usize,
    repeats: u64,
}

/// The server does not know the token.
#[derive(Debug)]
pub(crate) struct SignedOut;

impl Honest {
    /// Of servers at these base URLs.
    pub(crate) async fn sign_in(urls: Vec<String>) -> Self {
        let http = reqwest::Client::new();
        let body = json!({ "username": "bob", "password": "builder" });
        let login = http.post(format!("{}/login", urls[0])).json(&body);
        let answer = login.send().await.unwrap();
        assert_eq!(answer.status(), 200);
        Self {
            http,
            urls,
            tokens: answer.json().await.unwrap(),
            turn: 0,
            repeats: 0,
        }
    }

    pub(crate) async fn rotate(&mut self) -> Result<(), SignedOut> {
        let before = self.generation();
        let key = BASE64_URL_SAFE_NO_PAD.encode(format!("{before:032}"));
        loop {
            if let Some(tokens) = self.ask(&key).await? {
                self.tokens = tokens;
                assert_eq!(self.generation(), before + 1);
                return Ok(());
            }
            self.repeats += 1;
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Asks two servers at once with one token and one key: both hand out the same child.
    pub(crate) async fn rotate_twice_at_once(&mut self) {
        let key = BASE64_URL_SAFE_NO_PAD.encode([7; 32]);
        let (one, other) = (self.request(&key), self.request(&key));
        let (one, other) = tokio::join!(one.send(), other.send());
        let (one, other): (Value, Value) = (
            one.unwrap().json().await.unwrap(),
            other.unwrap().json().await.unwrap(),
        );
        assert!(one["refresh_token"].is_string(), "no pair was handed out");
        assert!(
            one["refresh_token"] == other["refresh_token"],
            "two children"
        );
        self.tokens = one;
    }

    pub(crate) fn access_token(&self) -> &str {
        self.tokens["access_token"].as_str().unwrap()
    }

    pub(crate) fn refresh_token(&self) -> &str {
        self.tokens["refresh_token"].as_str().unwrap()
    }

    pub(crate) fn generation(&self) -> u64 {
        generation(&self.tokens)
    }

    /// How often there was no definite answer.
    pub(crate) fn repeats(&self) -> u64 {
        self.repeats
    }

    async fn ask(&mut self, key: &str) -> Result<Option<Value>, SignedOut> {
        let Ok(answer) = self.request(key).send().await else {
            return Ok(None);
        };
        match answer.status().as_u16() {
            200 => Ok(answer.json().await.ok()),
            401 => Err(SignedOut),
            500.. => Ok(None),
            status => panic!("an honest request was answered with {status}"),
        }
    }

    fn request(&mut self, key: &str) -> reqwest::RequestBuilder {
        self.turn += 1;
        let url = &self.urls[self.turn % self.urls.len()];
        let body = json!({ "refresh_token": self.tokens["refresh_token"] });
        let request = self.http.post(format!("{url}/refresh"));
        request
            .header("idempotency-key", format!("\"{key}\""))
            .timeout(Duration::from_secs(10))
            .json(&body)
    }
}

/// How often the server rotated: the token says so, after version, key id and session id.
pub(crate) fn generation(tokens: &Value) -> u64 {
    let token = tokens["refresh_token"].as_str().unwrap();
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(token).unwrap();
    let varint = bytes[18..].iter().scan(true, |goes_on, byte| {
        let counts = *goes_on;
        *goes_on = byte & 0x80 != 0;
        counts.then_some(u64::from(byte & 0x7f))
    });
    varint.enumerate().map(|(at, bits)| bits << (7 * at)).sum()
}

//! The gateway: sessions of its own in front, and an upstream's behind.

mod ends;
mod faults;
mod headers;
mod lifetimes;
mod load;
mod nodes;
mod streams;
mod upstream;

use std::process::ExitStatus;

use reqwest::{Client, RequestBuilder, Response};
use serde_json::{Value, json};

use crate::support::Server;

pub(crate) struct Gateway(Server);

impl Gateway {
    /// One in front of `upstream`.
    fn start(upstream: &str, flags: &[&str]) -> Self {
        let common = ["--addr", "127.0.0.1:0", "--upstream", upstream];
        Self(Server::start("gateway", &[&common, flags].concat()))
    }

    /// Signs in as a program does, which is no browser.
    async fn sign_in(&self, name: &str) -> User {
        let answer = self.log_in(name).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let tokens: Value = answer.json().await.unwrap();
        let token = |name: &str| tokens[name].as_str().unwrap().to_owned();
        User {
            access: token("access_token"),
            refresh: token("refresh_token"),
        }
    }

    fn log_in(&self, name: &str) -> RequestBuilder {
        let password = if name == "bob" {
            "builder"
        } else {
            "wonderland"
        };
        let body = json!({ "username": name, "password": password });
        Client::new().post(self.0.url("/login")).json(&body)
    }

    async fn log_out(&self, user: &User) {
        let body = json!({ "refresh_token": user.refresh });
        let log_out = Client::new().post(self.0.url("/logout")).json(&body);
        assert_eq!(log_out.send().await.unwrap().status(), 204);
    }

    async fn get(&self, path: &str, user: &User) -> Response {
        let get = Client::new().get(self.0.url(path));
        get.bearer_auth(&user.access).send().await.unwrap()
    }

    async fn status(&self, path: &str, user: &User) -> u16 {
        self.get(path, user).await.status().as_u16()
    }

    async fn refresh(&self, user: &User) -> u16 {
        let body = json!({ "refresh_token": user.refresh });
        let refresh = Client::new().post(self.0.url("/refresh")).json(&body);
        refresh.send().await.unwrap().status().as_u16()
    }

    fn ended(self) -> ExitStatus {
        self.0.ended()
    }
}

/// Somebody who is signed in at a gateway.
pub(crate) struct User {
    access: String,
    refresh: String,
}

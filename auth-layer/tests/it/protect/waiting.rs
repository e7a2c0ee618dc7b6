//! A request that waits for keys holds nothing that others need.

use std::convert::Infallible;
use std::future::{Future, Ready, pending, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use auth_layer::verify::{Verification, Verify};
use auth_layer::{AuthLayer, NoCustomClaims, Verifier};
use http::{Request, Response};
use tokio::sync::watch;
use tokio::time::timeout;
use tower::{Service, ServiceBuilder, ServiceExt as _, service_fn};

use crate::support::authority::Authority;

/// Verifies tokens that begin with `later.` once `keys` says that they came.
#[derive(Clone)]
struct Keys {
    verifier: Verifier,
    keys: watch::Receiver<bool>,
}

impl Verify for Keys {
    type Custom = NoCustomClaims;

    fn verify(&self, token: &str) -> Verification<NoCustomClaims> {
        let Some(token) = token.strip_prefix("later.") else {
            return self.verifier.verify(token);
        };
        let (verifier, mut keys, token) =
            (self.verifier.clone(), self.keys.clone(), token.to_owned());
        Verification::pending(async move {
            if keys.wait_for(|is_there| *is_there).await.is_err() {
                pending::<()>().await;
            }
            verifier.verify(&token).await
        })
    }
}

fn request(token: &str) -> Request<()> {
    let request = Request::get("/").header("authorization", format!("Bearer {token}"));
    request.body(()).unwrap()
}

fn setting() -> (Authority, Keys, watch::Sender<bool>) {
    let authority = Authority::new();
    let (came, keys) = watch::channel(false);
    let verifier = authority.verifier();
    (authority, Keys { verifier, keys }, came)
}

/// Time is paused: a future that waits for another request ends the test at once.
async fn soon<F: Future>(future: F) -> F::Output {
    let answer = timeout(Duration::from_secs(60), future).await;
    answer.expect("the request waits for another")
}

/// P4.
#[tokio::test(start_paused = true)]
async fn wait_for_keys_leaves_the_only_permit_to_a_request_whose_key_is_held() {
    let (authority, keys, came) = setting();
    let inner = service_fn(async |_: Request<()>| Ok::<_, Infallible>(Response::new(())));
    let mut service = ServiceBuilder::new()
        .layer(AuthLayer::new(keys))
        .concurrency_limit(1)
        .service(inner);
    let token = authority.token();
    let waiting = request(&format!("later.{token}"));
    let waiting = tokio::spawn(service.ready().await.unwrap().call(waiting));
    tokio::task::yield_now().await;
    for _ in 0..3 {
        // On the same connection, and on another.
        let same = soon(service.ready()).await.unwrap().call(request(&token));
        assert_eq!(soon(same).await.unwrap().status(), 200);
        let other = service.clone().oneshot(request(&token));
        assert_eq!(soon(other).await.unwrap().status(), 200);
    }
    came.send(true).unwrap();
    assert_eq!(waiting.await.unwrap().unwrap().status(), 200);
}

/// P4.
#[tokio::test(start_paused = true)]
async fn rejection_gives_the_only_permit_back() {
    let (authority, keys, _came) = setting();
    let inner = service_fn(async |_: Request<()>| Ok::<_, Infallible>(Response::new(())));
    let mut service = ServiceBuilder::new()
        .layer(AuthLayer::new(keys))
        .concurrency_limit(1)
        .service(inner);
    let other = service.clone();
    let bad = service.ready().await.unwrap().call(request("bad"));
    assert_eq!(bad.await.unwrap().status(), 401);
    let good = other.oneshot(request(&authority.token()));
    assert_eq!(soon(good).await.unwrap().status(), 200);
}

/// Ready once for each `poll_ready` that said so, and fails at the one of this number.
#[derive(Clone)]
struct Failing(Arc<AtomicUsize>, usize);

impl Service<Request<()>> for Failing {
    type Response = Response<()>;
    type Error = &'static str;
    type Future = Ready<Result<Response<()>, &'static str>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), &'static str>> {
        match self.0.fetch_add(1, Ordering::Relaxed) == self.1 {
            true => Poll::Ready(Err("closed")),
            false => Poll::Ready(Ok(())),
        }
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        ready(Ok(Response::new(())))
    }
}

#[tokio::test]
async fn service_that_fails_to_become_ready_again_ends_the_request_with_its_error() {
    let (authority, keys, came) = setting();
    came.send(true).unwrap();
    let service = ServiceBuilder::new()
        .layer(AuthLayer::new(keys))
        .service(Failing(Arc::default(), 1));
    let answer = service.oneshot(request(&format!("later.{}", authority.token())));
    assert_eq!(answer.await.unwrap_err(), "closed");
}

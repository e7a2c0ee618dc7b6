//! What the client's layer costs.

mod by_hand;
mod crowd;
mod one_request;

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use tower::Service;

use crate::BoxError;
use crate::report::Report;
use crate::rounds::Effort;

pub(crate) fn run(effort: Effort, report: &mut Report) -> Result<(), BoxError> {
    one_request::run(effort, report)?;
    crowd::run(effort, report)
}

type Body = Full<Bytes>;

const ORIGIN: &str = "https://api.example";
/// As long as one signed with Ed25519 is.
const TOKEN: &str = "eyJhbGciOiJFZERTQSIsInR5cCI6ImF0K2p3dCIsImtpZCI6IjIwMjYtMTEifQ.eyJpc3MiOiJodHRwczovL2F1dGguZXhhbXBsZSIsInN1YiI6ImFsaWNlIiwiYXVkIjoiaHR0cHM6Ly9hcGkuZXhhbXBsZSIsImV4cCI6MTgwMDAwMDkwMCwiaWF0IjoxODAwMDAwMDAwLCJqdGkiOiIwMTIzNDU2Nzg5YWJjZGVmIiwic2lkIjoiMDEyMzQ1Njc4OWFiY2RlZiIsInNjb3BlIjoicmVhZCB3cml0ZSJ9.0123456789012345678901234567890123456789012345678901234567890123456789012345678901234a";

/// The bare service: answers at once.
#[derive(Clone, Default)]
struct Api;

impl Service<Request<Body>> for Api {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        drop(request);
        ready(Ok(answer(StatusCode::OK)))
    }
}

/// One with a connection's name among its extensions, as responses of hyper have.
fn answer(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::default());
    *response.status_mut() = status;
    response.extensions_mut().insert(Connection);
    response
}

#[derive(Clone)]
struct Connection;

/// Takes a moment, and believes in the newest token only.
#[derive(Clone, Default)]
struct Strict {
    newest: Arc<AtomicU32>,
}

impl Strict {
    /// The one after the newest.
    fn next(&self) -> String {
        format!("access-{}", self.newest.fetch_add(1, Ordering::SeqCst) + 1)
    }

    async fn answer(self, request: Request<Body>) -> Result<Response<Body>, Infallible> {
        tokio::task::yield_now().await;
        let wanted = format!("Bearer access-{}", self.newest.load(Ordering::SeqCst));
        let is_good = request
            .headers()
            .get(AUTHORIZATION)
            .is_some_and(|it| it == wanted.as_str());
        Ok(answer(match is_good {
            true => StatusCode::OK,
            false => StatusCode::UNAUTHORIZED,
        }))
    }
}

/// Eight headers and a small body.
fn request() -> Request<Body> {
    Request::post("https://api.example/orders/42?expand=lines")
        .header("accept", "application/json")
        .header("accept-encoding", "gzip, br")
        .header("content-type", "application/json")
        .header("content-length", "14")
        .header("host", "api.example")
        .header(
            "traceparent",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        )
        .header("user-agent", "shop/1.0")
        .header("x-request-id", "7f3c1d52")
        .body(Body::from("{\"amount\": 12}"))
        .expect("a request")
}

//! The layer as the services around it see it: readiness, bodies, futures.

use std::cell::Cell;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::task::{Context, Poll};

use auth_layer::verify::{Verification, Verify, VerifyErrorKind};
use auth_layer::{AuthLayer, Claims};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Empty, Full};
use tower::{Layer as _, Service, ServiceBuilder, ServiceExt as _, service_fn};

use crate::support::authority::Authority;

/// Panics when it is called without having been made ready, as tonic's channel does.
#[derive(Debug, Default)]
struct Strict {
    ready: bool,
}

impl Clone for Strict {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl<B> Service<Request<B>> for Strict {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        assert!(std::mem::take(&mut self.ready), "called unready");
        assert!(
            request.extensions().get::<Claims>().is_some(),
            "called without claims"
        );
        ready(Ok(Response::new(Full::from("inner"))))
    }
}

/// Answers only when polled a second time, as a verifier that fetches keys would.
#[derive(Clone)]
struct Slow(auth_layer::Verifier);

impl Verify for Slow {
    type Custom = auth_layer::NoCustomClaims;

    fn verify(&self, token: &str) -> Verification<Self::Custom> {
        let answer = self.0.verify(token);
        Verification::pending(async {
            tokio::task::yield_now().await;
            answer.await
        })
    }
}

fn request<B>(token: &str, body: B) -> Request<B> {
    let request = Request::builder().header("authorization", format!("Bearer {token}"));
    request.body(body).unwrap()
}

async fn status<S, B>(service: &mut S, request: Request<Empty<Bytes>>) -> u16
where
    S: Service<Request<Empty<Bytes>>, Response = Response<B>, Error = Infallible>,
{
    service
        .ready()
        .await
        .unwrap()
        .call(request)
        .await
        .unwrap()
        .status()
        .as_u16()
}

/// P2.
#[tokio::test]
async fn the_service_that_is_called_is_the_one_that_was_made_ready() {
    let authority = Authority::new();
    let mut at_once = AuthLayer::new(authority.verifier()).layer(Strict::default());
    let mut later = AuthLayer::new(Slow(authority.verifier())).layer(Strict::default());
    for _ in 0..3 {
        let good = || request(&authority.token(), Empty::new());
        assert_eq!(status(&mut at_once, good()).await, 200);
        assert_eq!(status(&mut later, good()).await, 200);
        assert_eq!(
            status(&mut at_once, request("bad", Empty::new())).await,
            401
        );
        assert_eq!(status(&mut later, request("bad", Empty::new())).await, 401);
    }
}

/// P2.
#[tokio::test]
async fn a_refusal_leaves_the_inner_service_alone_and_its_permit_free() {
    let authority = Authority::new();
    let inner = service_fn(
        async |_: Request<Empty<Bytes>>| -> Result<Response<Full<Bytes>>, Infallible> {
            panic!("called on a refusal")
        },
    );
    let mut service = ServiceBuilder::new()
        .layer(AuthLayer::new(Slow(authority.verifier())))
        .concurrency_limit(1)
        .service(inner);
    for _ in 0..3 {
        assert_eq!(
            status(&mut service, request("bad", Empty::new())).await,
            401
        );
    }
}

/// P2.
#[tokio::test]
async fn requests_queue_behind_a_limit_of_one_without_a_deadlock() {
    let authority = Authority::new();
    let service = ServiceBuilder::new()
        .layer(AuthLayer::new(Slow(authority.verifier())))
        .concurrency_limit(1)
        .service(Strict::default());
    let calls = (0..20).map(|_| {
        service
            .clone()
            .oneshot(request(&authority.token(), Empty::<Bytes>::new()))
    });
    for call in calls.map(tokio::spawn).collect::<Vec<_>>() {
        assert_eq!(call.await.unwrap().unwrap().status(), 200);
    }
}

/// P2.
#[tokio::test]
async fn bodies_need_be_neither_sync_nor_ours() {
    type LocalBody = http_body_util::combinators::UnsyncBoxBody<Bytes, std::io::Error>;
    fn assert_send<T: Send>(value: T) -> T {
        value
    }
    let inner = service_fn(async |request: Request<Cell<u8>>| {
        let body = Full::from(vec![request.into_body().get()]).map_err(|never| match never {});
        Ok::<_, Infallible>(Response::new(LocalBody::new(body)))
    });
    let authority = Authority::new();
    let service = AuthLayer::new(authority.verifier()).layer(inner);
    let response = assert_send(service.oneshot(request(&authority.token(), Cell::new(7))));
    let body = response
        .await
        .unwrap()
        .into_body()
        .collect()
        .await
        .unwrap()
        .to_bytes();
    assert_eq!(body, [7].as_slice());
}

#[tokio::test]
async fn a_verifier_of_your_own_decides() {
    #[derive(Clone)]
    struct Never;

    impl Verify for Never {
        type Custom = auth_layer::NoCustomClaims;

        fn verify(&self, _: &str) -> Verification<Self::Custom> {
            Verification::ready(Err(VerifyErrorKind::KeysUnavailable.into()))
        }
    }

    let mut service = AuthLayer::new(Never).layer(Strict::default());
    assert_eq!(status(&mut service, request("x", Empty::new())).await, 503);
}

/// P2.
#[tokio::test]
async fn the_scope_layer_makes_its_service_ready_too() {
    let authority = Authority::new();
    let mut service = ServiceBuilder::new()
        .layer(AuthLayer::new(authority.verifier()))
        .layer(auth_layer::RequireScopes::any(["a", "b"]))
        .service(Strict::default());
    let with = |scope| authority.token_with(serde_json::json!({ "scope": scope }));
    assert_eq!(
        status(&mut service, request(&with("b"), Empty::new())).await,
        200
    );
    assert_eq!(
        status(&mut service, request(&with("c"), Empty::new())).await,
        403
    );
}

#[tokio::test]
async fn a_refusal_says_how_long_it_is_and_what_it_was() {
    use http_body::Body as _;
    let service = AuthLayer::new(Authority::new().verifier()).layer(Strict::default());
    let response = service
        .oneshot(Request::new(Empty::<Bytes>::new()))
        .await
        .unwrap();
    let rejection = response
        .extensions()
        .get::<auth_layer::protect::Rejection>();
    assert_eq!(rejection.map(|it| it.label()), Some("no_credential"));
    let announced = response.body().size_hint().exact();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(announced, Some(body.len() as u64));
}

#[tokio::test]
async fn the_inner_service_gets_both_kinds_of_claims_and_a_token_that_does_not_print() {
    #[derive(serde::Deserialize)]
    struct Role {
        role: String,
    }
    let authority = Authority::new();
    let verifier = auth_layer::Verifier::builder()
        .key(authority.key.verifying())
        .issuer("https://auth.example")
        .audience("https://api.example")
        .clock(authority.clock.clone())
        .claims::<Role>()
        .build()
        .unwrap();
    let inner = service_fn(async |request: Request<Empty<Bytes>>| {
        let role = request
            .extensions()
            .get::<Claims<Role>>()
            .map(|it| it.custom().role.clone());
        let subject = request
            .extensions()
            .get::<Claims>()
            .and_then(|it| it.subject().map(str::to_owned));
        let is_hidden = request.headers()["authorization"].is_sensitive();
        let seen = Bytes::from(format!("{role:?} {subject:?} {is_hidden}"));
        Ok::<_, Infallible>(Response::new(Full::new(seen)))
    });
    let token = authority.token_with(serde_json::json!({ "role": "owner" }));
    let service = AuthLayer::new(verifier).layer(inner);
    let response = service
        .oneshot(request(&token, Empty::new()))
        .await
        .unwrap();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, r#"Some("owner") Some("alice") true"#);
}

//! Tokens that are bound to a key (RFC 9449), and what servers see of it.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use refresh_client_layer::dpop::DpopKey;
use refresh_client_layer::{
    HttpRefresher, InvalidTokensKind, MemoryStore, NotRetried, Outcome, RefreshLayer, TokenError,
    TokenManager, TokenSet, TokenStore as _, UnavailableKind,
};
use serde_json::Value;
use tower::util::BoxCloneSyncService;
use tower::{Layer as _, ServiceExt as _};

use crate::support::BoxError;

type Body = BoxBody<Bytes, BoxError>;
type Http = BoxCloneSyncService<Request<Body>, Response<Full<Bytes>>, BoxError>;

const API: &str = "https://api.example/things?q=1";
const TOKEN: &str = "https://auth.example/token";

/// What a server was sent.
#[derive(Debug)]
struct Hit {
    authorization: Option<String>,
    idempotency_key: Option<String>,
    /// The claims of the proof.
    proof: Option<Value>,
    body: Bytes,
}

impl Hit {
    fn claim(&self, name: &str) -> Option<&str> {
        self.proof.as_ref()?.get(name)?.as_str()
    }
}

/// A site that wants to see its own nonce in each proof, if it has one.
#[derive(Clone, Default)]
struct Site {
    nonce: Arc<Mutex<Option<&'static str>>>,
    hits: Arc<Mutex<Vec<Hit>>>,
}

impl Site {
    fn with_nonce(nonce: &'static str) -> Self {
        let site = Self::default();
        site.want(nonce);
        site
    }

    fn want(&self, nonce: &'static str) {
        *self.nonce.lock().unwrap() = Some(nonce);
    }

    fn hits(&self) -> Vec<Hit> {
        std::mem::take(&mut self.hits.lock().unwrap())
    }

    /// Serves those with the right nonce; `refusal` is for the others.
    fn serving(
        &self,
        refusal: fn() -> Response<Full<Bytes>>,
        serve: impl Fn(&Hit) -> Response<Full<Bytes>> + Clone + Send + Sync + 'static,
    ) -> Http {
        let site = self.clone();
        Http::new(tower::service_fn(move |request: Request<Body>| {
            let (site, serve) = (site.clone(), serve.clone());
            async move {
                let hit = read(request).await?;
                let nonce = *site.nonce.lock().unwrap();
                let mut response = match nonce {
                    Some(nonce) if hit.claim("nonce") != Some(nonce) => refusal(),
                    _ => serve(&hit),
                };
                if let Some(nonce) = nonce {
                    let nonce = http::HeaderValue::from_static(nonce);
                    response.headers_mut().insert("dpop-nonce", nonce);
                }
                site.hits.lock().unwrap().push(hit);
                Ok(response)
            }
        }))
    }

    /// Lets `access-2` in.
    fn api(&self) -> Http {
        let refusal = || refused("DPoP error=\"use_dpop_nonce\", algs=\"ES256\"");
        self.serving(refusal, |hit| match hit.authorization.as_deref() {
            Some("DPoP access-2") => Response::default(),
            _ => refused("DPoP error=\"invalid_token\", algs=\"ES256\""),
        })
    }

    /// Gives out `access-2` of a type.
    fn auth(&self, token_type: &'static str) -> Http {
        let refusal = || json(400, r#"{"error":"use_dpop_nonce"}"#.to_owned());
        self.serving(refusal, move |_| {
            json(
                200,
                format!(
                    r#"{{"access_token":"access-2","refresh_token":"r2","token_type":"{token_type}"}}"#
                ),
            )
        })
    }
}

async fn read(request: Request<Body>) -> Result<Hit, BoxError> {
    let (parts, body) = request.into_parts();
    let header = |name| {
        let value: &http::HeaderValue = parts.headers.get(name)?;
        assert!(value.is_sensitive(), "{name}");
        Some(value.to_str().unwrap().to_owned())
    };
    let claims = |proof: String| {
        let claims = proof.split('.').nth(1).unwrap();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap()
    };
    Ok(Hit {
        authorization: header("authorization"),
        idempotency_key: header("idempotency-key"),
        proof: header("dpop").map(claims),
        body: body.collect().await?.to_bytes(),
    })
}

fn refused(challenge: &'static str) -> Response<Full<Bytes>> {
    let response = Response::builder().status(401);
    let response = response.header("www-authenticate", challenge);
    response.body(Full::default()).unwrap()
}

fn json(status: u16, body: String) -> Response<Full<Bytes>> {
    let response = Response::builder().status(status);
    let response = response.header("content-type", "application/json");
    response.body(Full::from(body)).unwrap()
}

fn body(text: &'static str) -> Body {
    Full::<Bytes>::from(text).map_err(Into::into).boxed()
}

fn bound(access: &str) -> TokenSet {
    TokenSet::new(access, "r1").bound_to(DpopKey::generate().unwrap())
}

fn session(auth: &Site, tokens: TokenSet) -> TokenManager {
    let http = auth
        .auth("DPoP")
        .map_request(|it: Request<Full<Bytes>>| it.map(|body| body.map_err(Into::into).boxed()));
    TokenManager::builder(HttpRefresher::oauth2(TOKEN, http))
        .tokens(tokens)
        .origin("https://api.example")
        .build()
        .unwrap()
}

async fn post(session: &TokenManager, api: Http, body: Body) -> Response<Full<Bytes>> {
    let api = RefreshLayer::new(session.clone()).layer(api);
    api.oneshot(Request::post(API).body(body).unwrap())
        .await
        .unwrap()
}

fn outcome(response: &Response<Full<Bytes>>) -> Outcome {
    *response.extensions().get().unwrap()
}

#[tokio::test]
async fn a_bound_token_is_sent_with_a_proof_and_no_other_is() {
    let (auth, api) = (Site::default(), Site::default());
    let bound = session(&auth, bound("access-2"));
    post(&bound, api.api(), body("")).await;
    post(&bound, api.api(), body("")).await;
    let hits = api.hits();
    assert_eq!(hits.len(), 2);
    for hit in &hits {
        assert_eq!(hit.authorization.as_deref(), Some("DPoP access-2"));
        assert_eq!(hit.claim("htm"), Some("POST"));
        assert_eq!(hit.claim("htu"), Some("https://api.example/things"));
        // SHA-256 of `access-2`.
        assert_eq!(
            hit.claim("ath"),
            Some("Z2L2VFXbhes5zm7QQ1XXEL0DtdAxau-S3AhGzV3XK1Y")
        );
    }
    assert_ne!(hits[0].claim("jti"), hits[1].claim("jti"));

    let bearer = session(&auth, TokenSet::new("access-2", "r1"));
    let foreign = RefreshLayer::new(bound).layer(api.api());
    let request = Request::get("https://other.example/").body(body(""));
    foreign.oneshot(request.unwrap()).await.unwrap();
    let layered = RefreshLayer::new(bearer).layer(api.api());
    let request = Request::get(API).extension(refresh_client_layer::replay::NoReplay);
    layered
        .oneshot(request.body(body("")).unwrap())
        .await
        .unwrap();
    let hits = api.hits();
    assert_eq!(hits.len(), 2);
    assert!(hits.iter().all(|hit| hit.proof.is_none()));
    assert_eq!(hits[0].authorization, None);
    assert_eq!(hits[1].authorization.as_deref(), Some("Bearer access-2"));
}

#[tokio::test]
async fn a_nonce_that_is_asked_for_is_sent_and_remembered() {
    let (auth, api) = (Site::default(), Site::with_nonce("n1"));
    let session = session(&auth, bound("access-2"));
    let payload = http_body::Frame::data(Bytes::from("streamed"));
    let stream = StreamBody::new(futures_util::stream::iter([Ok::<_, Infallible>(payload)]));
    let stream = stream.map_err(Into::into).boxed();
    let response = post(&session, api.api(), stream).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(outcome(&response).attempts(), 2);
    api.want("n2");
    post(&session, api.api(), body("")).await;
    post(&session, api.api(), body("")).await;
    let hits = api.hits();
    let nonces: Vec<_> = hits.iter().map(|hit| hit.claim("nonce")).collect();
    assert_eq!(
        nonces,
        [None, Some("n1"), Some("n1"), Some("n2"), Some("n2")]
    );
    assert!(hits[..2].iter().all(|hit| hit.body == "streamed"));
    assert!(auth.hits().is_empty(), "nothing was refreshed");
}

/// Law H1: the retry has a proof of its own.
#[tokio::test]
async fn a_dead_token_is_replaced_by_one_that_is_bound_to_the_same_key() {
    let (auth, api) = (Site::with_nonce("a1"), Site::with_nonce("n1"));
    let session = session(&auth, bound("access-1"));
    let thumbprint = |session: TokenManager| async move {
        let token = session.access_token().await.unwrap();
        token.dpop_key().unwrap().thumbprint()
    };
    let before = thumbprint(session.clone()).await;
    // No nonce, then a dead token, then neither.
    let response = post(&session, api.api(), body("payload")).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(outcome(&response).attempts(), 3);
    assert_eq!(thumbprint(session).await, before);

    let hits = api.hits();
    let sent = |hit: &Hit| {
        (
            hit.authorization.clone().unwrap(),
            hit.claim("nonce").map(str::to_owned),
        )
    };
    let expected = [
        ("DPoP access-1", None),
        ("DPoP access-1", Some("n1")),
        ("DPoP access-2", Some("n1")),
    ]
    .map(|(token, nonce)| (token.to_owned(), nonce.map(str::to_owned)));
    assert_eq!(hits.iter().map(sent).collect::<Vec<_>>(), expected);
    assert!(hits.iter().all(|hit| hit.body == "payload"));
    assert!(
        hits[1].claim("jti") != hits[2].claim("jti")
            && hits[1].claim("ath") != hits[2].claim("ath")
    );

    let refreshes = auth.hits();
    let nonces: Vec<_> = refreshes.iter().map(|hit| hit.claim("nonce")).collect();
    assert_eq!(nonces, [None, Some("a1")]);
    assert_eq!(refreshes[0].idempotency_key, refreshes[1].idempotency_key);
    for hit in &refreshes {
        assert_eq!(hit.claim("htu"), Some(TOKEN));
        assert!(hit.claim("ath").is_none());
    }
}

/// No storm where no nonce is ever good.
#[tokio::test]
async fn a_server_that_is_never_content_with_a_nonce_is_asked_twice() {
    let (auth, api) = (Site::default(), Site::default());
    let never = api.serving(Response::default, |_| {
        let mut response = refused("DPoP error=\"use_dpop_nonce\"");
        let nonce = http::HeaderValue::from_static("another");
        response.headers_mut().insert("dpop-nonce", nonce);
        response
    });
    let session = session(&auth, bound("access-1"));
    let response = post(&session, never, body("")).await;
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(api.hits().len(), 2);
    assert_eq!(outcome(&response).attempts(), 2);
    assert_eq!(outcome(&response).not_retried(), None);
    assert!(auth.hits().is_empty());
}

#[tokio::test]
async fn a_request_that_cannot_be_sent_twice_is_not_and_no_token_is_wasted() {
    let (auth, api) = (Site::default(), Site::with_nonce("n1"));
    let session = session(&auth, bound("access-2"));
    let api = RefreshLayer::new(session).layer(api.api());
    let request = Request::post(API).extension(refresh_client_layer::replay::NoReplay);
    let response = api.oneshot(request.body(body("")).unwrap()).await.unwrap();
    let why = outcome(&response).not_retried();
    assert_eq!(why, Some(NotRetried::OptedOut));
    crate::support::settle().await;
    assert!(auth.hits().is_empty());
}

#[test]
fn an_answer_that_does_not_say_that_its_token_is_bound_is_refused() {
    let key = DpopKey::generate().unwrap();
    let body = br#"{"access_token":"a","refresh_token":"r"}"#;
    let error = TokenSet::bound_from_json(body, &key).unwrap_err();
    assert_eq!(error.kind(), InvalidTokensKind::NotBound);
}

/// A server, or somebody in its place, that hands out tokens that anybody can use.
#[tokio::test]
async fn an_answer_with_an_unbound_token_is_refused() {
    let http = Site::default()
        .auth("Bearer")
        .map_request(|it: Request<Full<Bytes>>| it.map(|body| body.map_err(Into::into).boxed()));
    let session = TokenManager::builder(HttpRefresher::oauth2(TOKEN, http)).tokens(bound("a"));
    let error = session.build().unwrap().force_refresh().await.unwrap_err();
    let TokenError::RefreshUnavailable(error) = error else {
        panic!("{error}")
    };
    assert_eq!(error.kind(), UnavailableKind::Configuration);
}

#[tokio::test]
async fn the_key_outlives_the_program_with_the_tokens() {
    let store = MemoryStore::new();
    let key = DpopKey::generate().unwrap();
    let build = || {
        let http = Site::default()
            .auth("DPoP")
            .map_request(|it: Request<Full<Bytes>>| {
                it.map(|body| body.map_err(Into::into).boxed())
            });
        TokenManager::builder(HttpRefresher::oauth2(TOKEN, http)).store(store.clone())
    };
    let first = build().tokens(TokenSet::new("access-1", "r1").bound_to(key.clone()));
    first.build().unwrap().force_refresh().await.unwrap();
    let kept = store.load().await.unwrap().unwrap();
    let read = refresh_client_layer::StoredTokens::from_json(&kept.to_json()).unwrap();
    let token = read.tokens().access_token();
    assert_eq!(token.dpop_key().unwrap().thumbprint(), key.thumbprint());
    let token = build().build().unwrap().access_token().await.unwrap();
    assert_eq!(token.header(), "DPoP access-2");
    assert_eq!(token.dpop_key().unwrap().thumbprint(), key.thumbprint());
}

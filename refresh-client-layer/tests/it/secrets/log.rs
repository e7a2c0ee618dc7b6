//! No secret in any text that this crate writes.

use std::error::Error;
use std::fmt::{Debug, Write as _};
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use refresh_client_layer::{
    HttpRefresher, IdempotencyKey, MemoryStore, RefreshLayer, RefreshRequest, StoredTokens,
    TokenManager, TokenSet,
};
use tower::{Layer, Service, ServiceExt as _};
use tracing_subscriber::fmt::MakeWriter;

use crate::support::records::{Records as _, begun};
use crate::support::{World, get, send};

const ACCESS: &str = "the-access-token";
const REFRESH: &str = "the-refresh-token";
const CLIENT_SECRET: &str = "the-client-secret";
const BODY: &str = "the-server-body";

/// Everything that is logged, at every level.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Log {
    fn start(&self) -> tracing::subscriber::DefaultGuard {
        // What a thread without any subscriber meets first would be silent for the others too.
        let _ = tracing::subscriber::set_global_default(tracing_subscriber::registry());
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_span_events(tracing_subscriber::fmt::format::FmtSpan::FULL)
            .with_writer(self.clone())
            .finish();
        tracing::subscriber::set_default(subscriber)
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

fn assert_clean(text: &str, keys: &[String]) {
    let fixed = [ACCESS, REFRESH, CLIENT_SECRET, BODY].map(str::to_owned);
    for secret in fixed.iter().chain(keys) {
        assert!(!text.contains(secret.as_str()), "{secret} in: {text}");
    }
}

fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        write!(text, "{error} {error:?} {error:#?} ").unwrap();
        next = error.source();
    }
    text
}

fn debugged(values: &[&dyn Debug]) -> String {
    values
        .iter()
        .map(|value| format!("{value:?} {value:#?}"))
        .collect()
}

fn tokens() -> TokenSet {
    TokenSet::new(ACCESS, REFRESH).expires_in(Duration::from_secs(900))
}

type Keys = Arc<Mutex<Vec<String>>>;

/// A server whose API refuses everything, and whose token endpoint gives `answer`.
fn server(
    answer: (u16, String),
    keys: Keys,
) -> impl Service<
    Request<Full<Bytes>>,
    Response = Response<Full<Bytes>>,
    Error = io::Error,
    Future = impl Future<Output = io::Result<Response<Full<Bytes>>>> + Send,
> + Clone
+ Send
+ Sync
+ Debug
+ 'static {
    #[derive(Clone)]
    struct Server((u16, String), Keys);
    impl Debug for Server {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("Server")
        }
    }
    impl Service<Request<Full<Bytes>>> for Server {
        type Response = Response<Full<Bytes>>;
        type Error = io::Error;
        type Future = std::future::Ready<io::Result<Self::Response>>;

        fn poll_ready(
            &mut self,
            _cx: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Result<(), io::Error>> {
            std::task::Poll::Ready(Ok(()))
        }

        fn call(&mut self, request: Request<Full<Bytes>>) -> Self::Future {
            let mut response = Response::builder().status(401);
            let mut body = BODY.to_owned();
            if let Some(key) = request.headers().get("idempotency-key") {
                let key = key.to_str().unwrap().trim_matches('"').to_owned();
                self.1.lock().unwrap().push(key);
                response = response
                    .status(self.0.0)
                    .header("content-type", "application/json");
                body.clone_from(&self.0.1);
            }
            std::future::ready(Ok(response.body(Full::from(body)).unwrap()))
        }
    }
    Server(answer, keys)
}

/// Law S4: logs, errors and the running parts, whatever the token server answers.
#[tokio::test(start_paused = true)]
async fn nothing_secret_is_logged_or_in_an_error() {
    let good =
        format!(r#"{{"access_token":"{ACCESS}","refresh_token":"{REFRESH}","scope":"{BODY}"}}"#);
    let answers = [
        (200, good),
        (
            200,
            format!(r#"{{"access_token":"{ACCESS}","refresh_token":7,"x":"{BODY}"}}"#),
        ),
        (
            200,
            format!(r#"{{"access_token":"{ACCESS}\r","refresh_token":"{REFRESH}"}}"#),
        ),
        (
            200,
            format!(
                r#"{{"access_token":"{ACCESS}","refresh_token":"{REFRESH}","token_type":"{BODY}"}}"#
            ),
        ),
        (
            400,
            format!(r#"{{"error":"{BODY}","error_description":"{REFRESH}"}}"#),
        ),
        (
            400,
            format!(r#"{{"error":"invalid_grant","error_description":"{BODY}"}}"#),
        ),
        (
            400,
            format!(r#"{{"error":"invalid_client","error_description":"{BODY}"}}"#),
        ),
        (409, BODY.to_owned()),
        (503, BODY.to_owned()),
    ];
    for answer in answers {
        let log = Log::default();
        let logging = log.start();
        let keys = Keys::default();
        let http = server(answer.clone(), keys.clone());
        let refresher = HttpRefresher::oauth2("https://auth.example/token", http.clone())
            .client_id("app")
            .client_secret(CLIENT_SECRET);
        let refresher_text = debugged(&[&refresher]);
        let builder = TokenManager::builder(refresher).tokens(tokens());
        let builder_text = debugged(&[&builder]);
        let session = builder.origin("https://api.example").build().unwrap();
        let layer = RefreshLayer::new(session.clone());
        let api = layer.layer(http);
        let future = api.clone().oneshot(get(crate::support::URL));
        let mut text = debugged(&[&session, &layer, &api, &future, &session.events()]);
        match future.await {
            Ok(response) => write!(text, "{:?}", response.extensions()).unwrap(),
            Err(error) => text += &chain(&*error),
        }
        match session.force_refresh().await {
            Ok(token) => text += &debugged(&[&token, &token.header()]),
            Err(error) => text += &chain(&error),
        }
        text += &debugged(&[&session.sign_out().await]);
        text += &chain(&session.access_token().await.unwrap_err());
        drop(logging);
        let keys = keys.lock().unwrap().clone();
        assert!(!keys.is_empty());
        text += &log.text();
        assert!(text.contains("refresh"), "something was logged");
        assert_clean(&(text + &refresher_text + &builder_text), &keys);
    }
}

/// Law S4: what holds secrets.
#[tokio::test]
async fn nothing_that_holds_a_secret_prints_it() {
    let key = IdempotencyKey::random();
    let secret_key = key.secret().to_owned();
    let stored = begun(&StoredTokens::new(tokens()), &key);
    let store = MemoryStore::new();
    store.save(&tokens()).await.unwrap();
    store.begin(1, key.clone()).await.unwrap();
    let tokens = tokens();
    let text = debugged(&[
        &tokens,
        tokens.access_token(),
        tokens.refresh_token(),
        &tokens.access_token().header(),
        &stored,
        &store,
        &key,
    ]);
    assert_clean(&text, &[secret_key]);
}

/// Law S4: what a refresher is given, and what a token answer is not.
#[tokio::test]
async fn neither_requests_nor_parse_errors_print_what_they_saw() {
    let seen = Arc::new(Mutex::new(String::new()));
    let (inside, keys) = (seen.clone(), Keys::default());
    let kept = keys.clone();
    let session = TokenManager::builder(move |request: RefreshRequest| {
        *inside.lock().unwrap() = debugged(&[&request]);
        let key = request.idempotency_key().unwrap().secret().to_owned();
        kept.lock().unwrap().push(key);
        std::future::ready(Ok(TokenSet::new("a", "r")))
    });
    let session = session.tokens(tokens()).origin("https://api.example");
    session.build().unwrap().force_refresh().await.unwrap();
    assert_clean(&seen.lock().unwrap(), &keys.lock().unwrap());

    for body in [
        format!(r#"["{BODY}"]"#),
        format!(r#"{{"access_token":["{ACCESS}"]}}"#),
        format!(r#"{{"access_token":"{ACCESS}","refresh_token":"{REFRESH}\u0000"}}"#),
        format!(r#"{{"access_token":"{ACCESS}""#),
    ] {
        let error = TokenSet::from_json(body.as_bytes()).unwrap_err();
        assert_clean(&chain(&error), &[]);
        let error = StoredTokens::from_json(body.as_bytes()).unwrap_err();
        assert_clean(&chain(&error), &[]);
    }
}

/// The log above is not empty by accident.
#[tokio::test]
async fn what_happens_is_logged() {
    let log = Log::default();
    let logging = log.start();
    let world = World::new();
    world.accept(None);
    let response = send(&world.layered(&world.session())).await.unwrap();
    response.into_body().collect().await.unwrap();
    drop(logging);
    assert!(log.text().contains("tokens refreshed"), "{}", log.text());
}

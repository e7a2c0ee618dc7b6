//! A token server that answers as the test wants, and what a client makes of it.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use refresh_client_layer::{
    EndReason, HttpRefresher, TokenError, TokenManager, TokenSet, UnavailableKind,
};
use tower::util::BoxCloneSyncService;

use super::BoxError;

pub(crate) type Answer = BoxBody<Bytes, BoxError>;
pub(crate) type Http = BoxCloneSyncService<Request<Full<Bytes>>, Response<Answer>, BoxError>;

pub(crate) const JSON_URL: &str = "https://auth.example/v1/refresh";
pub(crate) const OAUTH_URL: &str = "https://auth.example/v1/token?tenant=a";
pub(crate) const TOKENS: &str = r#"{"access_token":"access-2","refresh_token":"refresh-2"}"#;

#[derive(Clone, Default)]
pub(crate) struct Server {
    seen: Arc<Mutex<Vec<Request<Bytes>>>>,
}

impl Server {
    /// Answers all requests alike, and keeps them.
    pub(crate) fn answering(
        &self,
        answer: impl Fn() -> Response<Answer> + Clone + Send + Sync + 'static,
    ) -> Http {
        let seen = self.seen.clone();
        Http::new(tower::service_fn(move |request: Request<Full<Bytes>>| {
            let (seen, answer) = (seen.clone(), answer());
            async move {
                let (parts, body) = request.into_parts();
                let body = body.collect().await?.to_bytes();
                seen.lock().unwrap().push(Request::from_parts(parts, body));
                Ok(answer)
            }
        }))
    }

    pub(crate) fn requests(&self) -> Vec<Request<Bytes>> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }
}

pub(crate) fn boxed(text: impl Into<Bytes>) -> Answer {
    Full::new(text.into()).map_err(Into::into).boxed()
}

pub(crate) fn answer(status: u16, content_type: Option<&str>, body: &str) -> Response<Answer> {
    let mut answer = Response::builder().status(status);
    if let Some(content_type) = content_type {
        answer = answer.header("content-type", content_type);
    }
    answer.body(boxed(body.to_owned())).unwrap()
}

pub(crate) fn json(status: u16, body: &str) -> Response<Answer> {
    answer(status, Some("application/json"), body)
}

pub(crate) fn session<S, B>(refresher: HttpRefresher<S, B>) -> TokenManager
where
    HttpRefresher<S, B>: refresh_client_layer::Refresher,
{
    TokenManager::builder(refresher)
        .tokens(TokenSet::new("access-1", "refresh 1&="))
        .build()
        .unwrap()
}

/// What a JSON client makes of one answer.
pub(crate) async fn verdict(
    answer: impl Fn() -> Response<Answer> + Clone + Send + Sync + 'static,
) -> Verdict {
    let http = Server::default().answering(answer);
    judged(session(HttpRefresher::json(JSON_URL, http))).await
}

/// What an OAuth client makes of one answer.
pub(crate) async fn oauth_verdict(
    answer: impl Fn() -> Response<Answer> + Clone + Send + Sync + 'static,
) -> Verdict {
    let http = Server::default().answering(answer);
    judged(session(HttpRefresher::oauth2(OAUTH_URL, http))).await
}

#[derive(Debug, PartialEq)]
pub(crate) enum Verdict {
    Renewed,
    Over,
    Kept(UnavailableKind),
}

pub(crate) async fn judged(session: TokenManager) -> Verdict {
    match session.force_refresh().await {
        Ok(_) => Verdict::Renewed,
        Err(TokenError::SessionEnded(error)) => {
            assert_eq!(error.reason(), EndReason::Refused);
            Verdict::Over
        }
        Err(TokenError::RefreshUnavailable(error)) => Verdict::Kept(error.kind()),
        Err(error) => panic!("{error}"),
    }
}

pub(crate) const TRANSIENT: Verdict = Verdict::Kept(UnavailableKind::Failed);
pub(crate) const CONFIGURATION: Verdict = Verdict::Kept(UnavailableKind::Configuration);

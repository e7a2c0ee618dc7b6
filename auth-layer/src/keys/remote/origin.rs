use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, ETAG, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED,
};
use http::{HeaderMap, HeaderValue, Request, Response, Uri};

use super::document::Document;
use super::fetcher::ErasedFetcher;
use super::place::Place;
use super::schedule::Cause;
use super::{RemoteKeysError, RemoteKeysErrorKind, answer, discovery};

/// The server of the keys, and what it said last.
pub(super) struct Origin {
    place: Place,
    fetcher: Arc<dyn ErasedFetcher>,
    /// What discovery gave.
    discovered: Option<Uri>,
    last: Option<Last>,
}

/// A key set that was fetched, as far as it can be asked whether it changed.
struct Last {
    uri: Uri,
    etag: Option<HeaderValue>,
    modified: Option<HeaderValue>,
    content: Vec<String>,
}

/// What a fetch brought.
#[derive(Debug)]
pub(super) struct Fetched {
    /// None: the keys are those of before.
    pub(super) document: Option<Document>,
    pub(super) lifetime: Duration,
}

impl Origin {
    pub(super) fn new(place: Place, fetcher: Arc<dyn ErasedFetcher>) -> Self {
        Self {
            place,
            fetcher,
            discovered: None,
            last: None,
        }
    }

    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// Forgets the keys, so that the next fetch brings them whatever they are.
    pub(super) fn forget(&mut self) {
        self.last = None;
    }

    /// Fetches the keys. Where they are is asked anew from time to time, and after failures.
    pub(super) async fn fetch(&mut self, cause: Cause) -> Result<Fetched, RemoteKeysError> {
        let known = self.discovered.take().filter(|_| cause == Cause::Miss);
        let uri = match known {
            Some(uri) => uri,
            None => self.locate().await?,
        };
        let fetched = self.fetch_from(uri.clone()).await?;
        self.discovered = Some(uri);
        Ok(fetched)
    }

    async fn fetch_from(&mut self, uri: Uri) -> Result<Fetched, RemoteKeysError> {
        let last = self.last.as_ref().filter(|it| it.uri == uri);
        let mut request = get(&uri);
        let conditions = [
            (IF_NONE_MATCH, last.and_then(|it| it.etag.clone())),
            (IF_MODIFIED_SINCE, last.and_then(|it| it.modified.clone())),
        ];
        let conditions = conditions
            .into_iter()
            .filter_map(|(name, it)| Some((name, it?)));
        request.headers_mut().extend(conditions);
        let (headers, body) = self.answer(request).await?;
        let lifetime = answer::lifetime(&headers);
        let Some(body) = body else {
            let document = None;
            return Ok(Fetched { document, lifetime });
        };
        let document = Document::parse(&body)?;
        let is_same = last_content(self.last.as_ref()) == Some(document.content());
        self.last = Some(Last {
            uri,
            etag: headers.get(ETAG).cloned(),
            modified: headers.get(LAST_MODIFIED).cloned(),
            content: document.content().to_vec(),
        });
        let document = Some(document).filter(|_| !is_same);
        Ok(Fetched { document, lifetime })
    }

    /// The address of the key set.
    async fn locate(&self) -> Result<Uri, RemoteKeysError> {
        let (name, issuer) = match &self.place {
            Place::KeySet(uri) => return Ok(uri.clone()),
            Place::Issuer { name, uri } => (name, uri),
        };
        let mut failed = RemoteKeysErrorKind::Malformed.into();
        for address in discovery::addresses(issuer)? {
            let metadata = self.answer(get(&address)).await;
            let found = metadata.and_then(|(_, it)| {
                discovery::key_set_address(name, issuer, &it.unwrap_or_default())
            });
            match found {
                // Some servers answer what they do not have with a page or a way to sign in.
                Err(error) if is_elsewhere(error.kind()) => failed = error,
                found => return found,
            }
        }
        Err(failed)
    }

    async fn answer(
        &self,
        request: Request<()>,
    ) -> Result<(HeaderMap, Option<Bytes>), RemoteKeysError> {
        let is_conditional = request.headers().contains_key(IF_NONE_MATCH)
            || request.headers().contains_key(IF_MODIFIED_SINCE);
        let response: Response<Bytes> = self
            .fetcher
            .fetch(request)
            .await
            .map_err(RemoteKeysError::from_fetcher)?;
        let headers = response.headers().clone();
        Ok((headers, answer::body(response, is_conditional)?))
    }
}

fn last_content(last: Option<&Last>) -> Option<&[String]> {
    last.map(|it| it.content.as_slice())
}

fn is_elsewhere(kind: RemoteKeysErrorKind) -> bool {
    use RemoteKeysErrorKind::{Malformed, Redirected, Status};
    matches!(kind, Malformed | Redirected | Status(_))
}

fn get(uri: &Uri) -> Request<()> {
    let mut request = Request::new(());
    *request.uri_mut() = uri.clone();
    let headers = request.headers_mut();
    headers.insert(ACCEPT, HeaderValue::from_static(JSON));
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    headers.insert(http::header::USER_AGENT, HeaderValue::from_static(AGENT));
    request
}

const JSON: &str = "application/jwk-set+json, application/json";
const AGENT: &str = concat!("auth-layer/", env!("CARGO_PKG_VERSION"));

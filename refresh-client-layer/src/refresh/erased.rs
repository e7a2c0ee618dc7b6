use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use super::{RefreshError, RefreshRequest, Refresher};
use crate::tokens::{RefreshToken, TokenSet};

/// Any [`Refresher`].
#[derive(Clone)]
pub(crate) struct AnyRefresher(Arc<dyn Erased>);

impl AnyRefresher {
    pub(crate) fn new(refresher: impl Refresher) -> Self {
        Self(Arc::new(refresher))
    }

    pub(crate) async fn refresh(&self, request: RefreshRequest) -> Result<TokenSet, RefreshError> {
        self.0.refresh(request).await
    }

    pub(crate) async fn revoke(&self, token: RefreshToken) -> Result<(), RefreshError> {
        self.0.revoke(token).await
    }
}

impl fmt::Debug for AnyRefresher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AnyRefresher(..)")
    }
}

trait Erased: Send + Sync {
    fn refresh(&self, request: RefreshRequest) -> Boxed<'_, TokenSet>;
    fn revoke(&self, token: RefreshToken) -> Boxed<'_, ()>;
}

impl<R: Refresher> Erased for R {
    fn refresh(&self, request: RefreshRequest) -> Boxed<'_, TokenSet> {
        Box::pin(Refresher::refresh(self, request))
    }

    fn revoke(&self, token: RefreshToken) -> Boxed<'_, ()> {
        Box::pin(Refresher::revoke(self, token))
    }
}

type Boxed<'a, T> = Pin<Box<dyn Future<Output = Result<T, RefreshError>> + Send + 'a>>;

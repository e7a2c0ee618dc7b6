use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;

use crate::store::{CustomClaims, Session};

/// Says at sign-in and at each refresh what the next access token claims besides what the issuer writes, or that there shall
/// be none.
///
/// It is asked before the refresh token is rotated, and only if that token brings a pair. While it is unavailable, clients get 503
/// and keep their tokens, with an idempotency key or without. The session that it gets is as the refresh will leave it; at
/// sign-in it is not stored yet. Closures that return such a future are sources too:
///
/// ```
/// use auth_layer::issue::{ClaimsError, ClaimsSource};
/// use auth_layer::store::{CustomClaims, Session};
///
/// struct Users;
///
/// impl ClaimsSource for Users {
///     async fn claims(&self, session: &Session) -> Result<CustomClaims, ClaimsError> {
///         match session.subject.as_str() {
///             "mallory" => Err(ClaimsError::refused()),
///             _ => Ok(session.claims.clone()),
///         }
///     }
/// }
/// ```
pub trait ClaimsSource: Send + Sync + 'static {
    /// The claims for the session's next access token.
    ///
    /// # Errors
    /// [`ClaimsError::refused`] revokes the session, or lets none begin; [`ClaimsError::unavailable`] has the client try
    /// again later, with the same token.
    fn claims(
        &self,
        session: &Session,
    ) -> impl Future<Output = Result<CustomClaims, ClaimsError>> + Send;
}

impl<F, A> ClaimsSource for F
where
    F: Fn(&Session) -> A + Send + Sync + 'static,
    A: Future<Output = Result<CustomClaims, ClaimsError>> + Send,
{
    async fn claims(&self, session: &Session) -> Result<CustomClaims, ClaimsError> {
        self(session).await
    }
}

/// Why a [`ClaimsSource`] has no claims.
#[derive(Debug)]
pub struct ClaimsError(Option<Box<dyn Error + Send + Sync>>);

impl ClaimsError {
    /// The subject may not have access tokens any more: the session ends.
    pub fn refused() -> Self {
        Self(None)
    }

    /// Nobody knows at the moment.
    pub fn unavailable(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(Some(source.into()))
    }

    /// Whether the session ends.
    pub fn is_refusal(&self) -> bool {
        self.0.is_none()
    }
}

impl fmt::Display for ClaimsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            None => "the subject may not have access tokens any more",
            Some(_) => "the source of claims is unavailable",
        })
    }
}

impl Error for ClaimsError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.as_deref().map(|it| it as _)
    }
}

/// A [`ClaimsSource`] whose type does not matter.
pub(super) trait ErasedClaims: Send + Sync {
    fn ask<'a>(&'a self, session: &'a Session) -> Answer<'a>;
}

type Answer<'a> = Pin<Box<dyn Future<Output = Result<CustomClaims, ClaimsError>> + Send + 'a>>;

impl<S: ClaimsSource> ErasedClaims for S {
    fn ask<'a>(&'a self, session: &'a Session) -> Answer<'a> {
        Box::pin(self.claims(session))
    }
}

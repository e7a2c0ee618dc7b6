use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use tower_layer::Layer;

use super::{Authorize, Rejection, Require, RequireService};
use crate::claims::{Claims, NoCustomClaims};
use crate::clock::{Clock, SystemClock};

/// Lets only requests through whose user has proved who they are well enough and not too long ago
/// (step-up authentication, RFC 9470); goes behind [`AuthLayer`](super::AuthLayer).
///
/// ```
/// use std::time::Duration;
/// use auth_layer::protect::RequireAuthentication;
///
/// let payments = RequireAuthentication::new()
///     .acr(["urn:example:mfa"])
///     .max_age(Duration::from_secs(300));
/// ```
#[derive(Clone, Debug)]
pub struct RequireAuthentication {
    acr_values: Vec<String>,
    max_age: Option<Duration>,
    clock: Arc<dyn Clock>,
}

impl RequireAuthentication {
    /// Requires nothing yet.
    pub fn new() -> Self {
        Self {
            acr_values: Vec::new(),
            max_age: None,
            clock: Arc::new(SystemClock),
        }
    }

    /// Requires that the token's `acr` is one of these, the preferred one first.
    #[must_use]
    pub fn acr<I>(mut self, values: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.acr_values = values.into_iter().map(Into::into).collect();
        self
    }

    /// Requires that the token's `auth_time` is at most so long ago.
    #[must_use]
    pub fn max_age(mut self, age: Duration) -> Self {
        self.max_age = Some(age);
        self
    }

    /// Tells the time by `clock`. Default: [`SystemClock`].
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    fn is_strong_enough<C>(&self, claims: &Claims<C>) -> bool {
        self.acr_values.is_empty()
            || claims
                .acr()
                .is_some_and(|acr| self.acr_values.iter().any(|it| it == acr))
    }

    fn is_recent_enough<C>(&self, claims: &Claims<C>) -> bool {
        self.max_age.is_none_or(|max| {
            claims
                .auth_time()
                .is_some_and(|at| self.clock.now().since(at) <= max)
        })
    }
}

impl Default for RequireAuthentication {
    fn default() -> Self {
        Self::new()
    }
}

impl<C: 'static> Authorize<C> for RequireAuthentication {
    fn authorize(&self, claims: &Claims<C>, _: &Parts) -> Result<(), Rejection> {
        if self.is_strong_enough(claims) && self.is_recent_enough(claims) {
            return Ok(());
        }
        Err(Rejection::InsufficientAuthentication {
            acr_values: self.acr_values.clone(),
            max_age: self.max_age,
        })
    }
}

impl<S> Layer<S> for RequireAuthentication {
    type Service = RequireService<S, Self>;

    fn layer(&self, inner: S) -> Self::Service {
        Require::<_, NoCustomClaims>::new(self.clone()).layer(inner)
    }
}

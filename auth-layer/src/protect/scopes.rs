use std::fmt;

use http::request::Parts;
use tower_layer::Layer;

use super::{Authorize, Rejection, Require, RequireService};
use crate::claims::{Claims, NoCustomClaims};
use crate::scope::Scopes;

/// Lets only requests through whose access token carries certain scopes; goes behind
/// [`AuthLayer`](super::AuthLayer).
///
/// ```
/// use auth_layer::{RequireScopes, Scopes};
///
/// let admins = RequireScopes::all(["admin"]);
/// let editors = RequireScopes::any(["admin", "edit"]);
/// let readers = RequireScopes::all(["read"])
///     .granted_if(|held: &Scopes, needed| held.contains(needed) || held.contains("admin"));
/// ```
#[derive(Clone)]
pub struct RequireScopes {
    scopes: Scopes,
    all: bool,
    grants: Grants,
}

type Grants = fn(&Scopes, &str) -> bool;

impl RequireScopes {
    /// Requires every one of `scopes`.
    ///
    /// # Panics
    /// When one of them is no scope token (RFC 6749 s3.3).
    pub fn all<'a>(scopes: impl IntoIterator<Item = &'a str>) -> Self {
        Self::new(scopes, true)
    }

    /// Requires at least one of `scopes`.
    ///
    /// # Panics
    /// When one of them is no scope token (RFC 6749 s3.3).
    pub fn any<'a>(scopes: impl IntoIterator<Item = &'a str>) -> Self {
        Self::new(scopes, false)
    }

    /// Says when the scopes of a token grant a needed one, where some scopes include others.
    /// Default: when it is among them.
    #[must_use]
    pub fn granted_if(mut self, grants: fn(&Scopes, &str) -> bool) -> Self {
        self.grants = grants;
        self
    }

    fn new<'a>(scopes: impl IntoIterator<Item = &'a str>, all: bool) -> Self {
        let scopes = Scopes::new(scopes).expect("scopes are written in the program");
        Self {
            scopes,
            all,
            grants: Scopes::contains,
        }
    }
}

impl<C: 'static> Authorize<C> for RequireScopes {
    fn authorize(&self, claims: &Claims<C>, _: &Parts) -> Result<(), Rejection> {
        let is_granted = |needed| (self.grants)(claims.scopes(), needed);
        let is_enough = match self.all {
            true => self.scopes.iter().all(is_granted),
            false => self.scopes.iter().any(is_granted),
        };
        if is_enough {
            Ok(())
        } else {
            Err(Rejection::InsufficientScope(self.scopes.clone()))
        }
    }
}

impl<S> Layer<S> for RequireScopes {
    type Service = RequireService<S, Self>;

    fn layer(&self, inner: S) -> Self::Service {
        Require::<_, NoCustomClaims>::new(self.clone()).layer(inner)
    }
}

impl fmt::Debug for RequireScopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequireScopes")
            .field("scopes", &self.scopes)
            .field("all", &self.all)
            .finish_non_exhaustive()
    }
}

use http::request::Parts;

use super::Rejection;
use crate::claims::{Claims, NoCustomClaims};

/// Decides whether somebody with these claims may do this.
///
/// A closure will do:
///
/// ```
/// use auth_layer::protect::{Rejection, Require};
/// use auth_layer::{Claims, Scopes};
/// use http::request::Parts;
///
/// let own_things = Require::new(|claims: &Claims, request: &Parts| {
///     // Both must be there: two values that are missing are equal, too.
///     match (request.uri.path().strip_prefix("/users/"), claims.subject()) {
///         (Some(owner), Some(subject)) if owner == subject => Ok(()),
///         _ => Err(Rejection::InsufficientScope(Scopes::default())),
///     }
/// });
/// # let _: Require<_> = own_things;
/// ```
pub trait Authorize<C = NoCustomClaims>: Send + Sync + 'static {
    /// Lets the request through, or says how it is refused.
    ///
    /// # Errors
    /// The refusal.
    fn authorize(&self, claims: &Claims<C>, request: &Parts) -> Result<(), Rejection>;
}

impl<C, F> Authorize<C> for F
where
    F: Fn(&Claims<C>, &Parts) -> Result<(), Rejection> + Send + Sync + 'static,
{
    fn authorize(&self, claims: &Claims<C>, request: &Parts) -> Result<(), Rejection> {
        self(claims, request)
    }
}

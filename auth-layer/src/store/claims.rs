use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value};

/// Claims that are yours: members of an access token besides those that the issuer writes.
///
/// ```
/// use auth_layer::store::CustomClaims;
/// use serde_json::json;
///
/// let claims = CustomClaims::new(&json!({ "role": "admin" }))?;
/// assert!(CustomClaims::new(&json!({ "sub": "somebody else" })).is_err());
/// # Ok::<(), auth_layer::store::InvalidClaims>(())
/// ```
#[derive(Clone, Default, PartialEq)]
pub struct CustomClaims(Map<String, Value>);

impl CustomClaims {
    /// The members of `claims`.
    ///
    /// # Errors
    /// When that is no JSON object, or has a member that is the issuer's to write.
    pub fn new(claims: &impl Serialize) -> Result<Self, InvalidClaims> {
        match serde_json::to_value(claims) {
            Ok(Value::Object(members)) => Self::from_members(members),
            _ => Err(InvalidClaims(Cause::NoObject)),
        }
    }

    /// What [`to_json`](Self::to_json) wrote.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn from_json(json: &str) -> Result<Self, InvalidClaims> {
        let members = serde_json::from_str(json).map_err(|_| InvalidClaims(Cause::NoObject))?;
        Self::from_members(members)
    }

    /// A JSON object, for a store.
    pub fn to_json(&self) -> String {
        Value::from(self.0.clone()).to_string()
    }

    /// The members.
    pub fn members(&self) -> &Map<String, Value> {
        &self.0
    }

    fn from_members(members: Map<String, Value>) -> Result<Self, InvalidClaims> {
        match RESERVED.iter().find(|name| members.contains_key(**name)) {
            Some(name) => Err(InvalidClaims(Cause::Reserved(name))),
            None => Ok(Self(members)),
        }
    }
}

/// Claims are about people: names, no values.
impl fmt::Debug for CustomClaims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Claims that cannot be minted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidClaims(Cause);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    NoObject,
    Reserved(&'static str),
}

impl fmt::Display for InvalidClaims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Cause::NoObject => f.write_str("claims must be a JSON object"),
            Cause::Reserved(name) => write!(f, "the claim `{name}` is written by the issuer"),
        }
    }
}

impl std::error::Error for InvalidClaims {}

/// Registered claims (RFC 7519 s4.1, RFC 8693 s4, OpenID Connect) with a meaning to verifiers.
const RESERVED: [&str; 12] = [
    "iss",
    "sub",
    "aud",
    "exp",
    "nbf",
    "iat",
    "jti",
    "sid",
    "client_id",
    "scope",
    "auth_time",
    "cnf",
];

//! What a verified access token says.

mod confirmation;
mod thumbprint;

use std::any::TypeId;
use std::fmt;
use std::sync::{Arc, LazyLock};

use serde::de::{DeserializeOwned, Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::clock::Timestamp;
use crate::json::{self, Members};
use crate::scope::Scopes;

pub use self::confirmation::Confirmation;
pub use self::thumbprint::{NoThumbprint, Thumbprint};

/// The claims of an access token that a verifier accepted, and your own claims `C` beside them.
///
/// Only a verifier makes one, so whoever holds it knows that the token was good. Cloning counts
/// references. `C` is read from the whole claims object and may repeat registered claims.
#[derive(Debug)]
pub struct Claims<C = NoCustomClaims> {
    registered: Arc<Registered>,
    custom: Arc<C>,
}

impl<C> Claims<C> {
    /// `iss`: who issued the token.
    pub fn issuer(&self) -> Option<&str> {
        self.registered.iss.as_deref()
    }

    /// `sub`: whom it is about.
    pub fn subject(&self) -> Option<&str> {
        self.registered.sub.as_deref()
    }

    /// `aud`: whom it is for.
    pub fn audience(&self) -> impl Iterator<Item = &str> {
        self.registered.aud.iter().flatten().map(String::as_str)
    }

    /// `exp`: from when on it is refused.
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.registered.exp
    }

    /// `nbf`: until when it is refused.
    pub fn not_before(&self) -> Option<Timestamp> {
        self.registered.nbf
    }

    /// `iat`: when it was issued.
    pub fn issued_at(&self) -> Option<Timestamp> {
        self.registered.iat
    }

    /// `jti`: its own name.
    pub fn token_id(&self) -> Option<&str> {
        self.registered.jti.as_deref()
    }

    /// `sid`: the session that it belongs to.
    pub fn session_id(&self) -> Option<&str> {
        self.registered.sid.as_deref()
    }

    /// `client_id`: the OAuth client that it was issued to (RFC 8693 s4.3).
    pub fn client_id(&self) -> Option<&str> {
        self.registered.client_id.as_deref()
    }

    /// `scope`: what it may be used for.
    pub fn scopes(&self) -> &Scopes {
        &self.registered.scope
    }

    /// `auth_time`: when the user last proved who they are.
    pub fn auth_time(&self) -> Option<Timestamp> {
        self.registered.auth_time
    }

    /// `acr`: how the user proved it.
    pub fn acr(&self) -> Option<&str> {
        self.registered.acr.as_deref()
    }

    /// `cnf`: what the token is bound to (RFC 7800 s3); none: whoever bears it may use it.
    ///
    /// A [`Verifier`](crate::Verifier) gives such claims only if told to by
    /// [`accept_sender_constrained`](crate::verify::VerifierBuilder::accept_sender_constrained).
    pub fn confirmation(&self) -> Option<&Confirmation> {
        self.registered.cnf.as_ref()
    }

    /// Your own claims.
    pub fn custom(&self) -> &C {
        &self.custom
    }

    /// These claims without yours, for code that does not know their type.
    pub fn registered(&self) -> Claims {
        static NONE: LazyLock<Arc<NoCustomClaims>> = LazyLock::new(Arc::default);
        Claims {
            registered: self.registered.clone(),
            custom: NONE.clone(),
        }
    }

    /// Puts the claims where handlers find them, with and without your own.
    pub(crate) fn insert_into(self, extensions: &mut http::Extensions)
    where
        C: Send + Sync + 'static,
    {
        if TypeId::of::<C>() != TypeId::of::<NoCustomClaims>() {
            extensions.insert(self.registered());
        }
        extensions.insert(self);
    }

    /// How many bytes the claims hold, yours included: an upper bound for any `C` that keeps what it was read from, such as
    /// `serde_json::Value`.
    pub(crate) fn held(&self) -> usize {
        self.registered.held
    }

    /// Whether the claims object has a member `name`.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.registered
            .names
            .binary_search_by(|it| (**it).cmp(name))
            .is_ok()
    }
}

impl<C: DeserializeOwned> Claims<C> {
    /// Reads a claims object whose signature was verified.
    pub(crate) fn read(json: &[u8]) -> serde_json::Result<Self> {
        let (mut registered, names) = json::object::<Registered>(json)?;
        registered.names = names.into_iter().map(Box::from).collect();
        registered.held = held::<C>(json);
        let custom = C::deserialize(&mut serde_json::Deserializer::from_slice(json))?;
        Ok(Self {
            registered: Arc::new(registered),
            custom: Arc::new(custom),
        })
    }
}

impl<C> Clone for Claims<C> {
    fn clone(&self) -> Self {
        Self {
            registered: self.registered.clone(),
            custom: self.custom.clone(),
        }
    }
}

/// Stands for `C` where the registered claims are all there is.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct NoCustomClaims;

impl<'de> Deserialize<'de> for NoCustomClaims {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Ok(Self)
    }
}

#[derive(Debug, Default)]
struct Registered {
    iss: Option<String>,
    sub: Option<String>,
    aud: Option<Vec<String>>,
    exp: Option<Timestamp>,
    nbf: Option<Timestamp>,
    iat: Option<Timestamp>,
    jti: Option<String>,
    sid: Option<String>,
    client_id: Option<String>,
    scope: Scopes,
    auth_time: Option<Timestamp>,
    acr: Option<String>,
    cnf: Option<Confirmation>,
    names: Box<[Box<str>]>,
    /// See [`Claims::held`].
    held: usize,
}

impl<'de> Members<'de> for Registered {
    fn read<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "iss" => self.iss = Some(map.next_value()?),
            "sub" => self.sub = Some(map.next_value()?),
            "aud" => self.aud = Some(map.next_value::<Audience>()?.0),
            "exp" => self.exp = Some(map.next_value::<NumericDate>()?.0),
            "nbf" => self.nbf = Some(map.next_value::<NumericDate>()?.0),
            "iat" => self.iat = Some(map.next_value::<NumericDate>()?.0),
            "jti" => self.jti = Some(map.next_value()?),
            "sid" => self.sid = Some(map.next_value()?),
            "client_id" => self.client_id = Some(map.next_value()?),
            "scope" => self.scope = map.next_value()?,
            "auth_time" => self.auth_time = Some(map.next_value::<NumericDate>()?.0),
            "acr" => self.acr = Some(map.next_value()?),
            "cnf" => self.cnf = Some(json::nested(map)?),
            _ => json::skip(map)?,
        }
        Ok(())
    }
}

/// By the text alone: each object, array and member as what holds it in memory, with the room that a growing collection keeps.
fn held<C>(json: &[u8]) -> usize {
    // Where `C` keeps nothing, there are the names of members, audiences and scopes.
    let [object, array, member] = match size_of::<C>() {
        0 => [0, 96, 96],
        _ => [768, 320, 224],
    };
    let each = |byte: &u8| match byte {
        b'{' => object,
        b'[' => array,
        b',' => member,
        b' ' => 80,
        _ => 0,
    };
    let pair = size_of::<Claims<C>>() + size_of::<Registered>() + size_of::<C>();
    pair + 2 * json.len() + json.iter().map(each).sum::<usize>()
}

/// `aud`: one string or an array of them (RFC 7519 s4.1.3), never none.
struct Audience(Vec<String>);

impl<'de> Deserialize<'de> for Audience {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AudienceVisitor;

        impl<'de> Visitor<'de> for AudienceVisitor {
            type Value = Audience;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or an array of strings")
            }

            fn visit_str<E>(self, audience: &str) -> Result<Audience, E> {
                Ok(Audience(vec![audience.to_owned()]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Audience, A::Error> {
                let mut audience = Vec::new();
                while let Some(one) = seq.next_element()? {
                    audience.push(one);
                }
                Ok(Audience(audience))
            }
        }

        deserializer.deserialize_any(AudienceVisitor)
    }
}

/// Seconds since the epoch, possibly with a fraction (RFC 7519 s2).
pub(crate) struct NumericDate(pub(crate) Timestamp);

impl NumericDate {
    fn new<E: Error>(seconds: f64) -> Result<Self, E> {
        if seconds.is_finite() && seconds.abs() <= LATEST {
            #[expect(clippy::cast_possible_truncation, reason = "in range, as just checked")]
            let millis = (seconds * 1000.0).floor() as i64;
            Ok(Self(Timestamp::from_millis(millis)))
        } else {
            Err(E::custom("a date out of range"))
        }
    }
}

/// The end of the year 9999, as far as RFC 3339 goes: 8,000 years hence is a fault, not a wish.
const LATEST: f64 = 253_402_300_799.0;

impl<'de> Deserialize<'de> for NumericDate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        f64::deserialize(deserializer).and_then(Self::new)
    }
}

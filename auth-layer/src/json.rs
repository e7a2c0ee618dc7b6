//! Strict JSON objects: what RFC 8259 s4 leaves open (a name that occurs twice) is refused, and so
//! is deep nesting.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// Something that is filled by the members of an object, one by one.
pub(crate) trait Members<'de>: Default {
    /// Reads the value of `name`, or ignores it by [`skip`].
    fn read<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error>;
}

/// The object that `json` is, and the names of its members in alphabetical order.
pub(crate) fn object<'de, M: Members<'de>>(
    json: &'de [u8],
) -> serde_json::Result<(M, Vec<Cow<'de, str>>)> {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let object = deserializer.deserialize_map(Object(PhantomData))?;
    deserializer.end()?;
    Ok(object)
}

/// The object that a value of `map` is.
pub(crate) fn nested<'de, M: Members<'de>, A: MapAccess<'de>>(map: &mut A) -> Result<M, A::Error> {
    let (members, _) = map.next_value_seed(Object(PhantomData))?;
    Ok(members)
}

/// Passes over a value that is of no interest, but not over what is wrong with it.
pub(crate) fn skip<'de, A: MapAccess<'de>>(map: &mut A) -> Result<(), A::Error> {
    map.next_value_seed(Any { depth: 1 })
}

const DEEPEST: usize = 16;

struct Object<M>(PhantomData<M>);

impl<'de, M: Members<'de>> Visitor<'de> for Object<M> {
    type Value = (M, Vec<Cow<'de, str>>);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = M::default();
        let mut names = Vec::with_capacity(16);
        while let Some(Name(name)) = map.next_key()? {
            members.read(&name, &mut map)?;
            names.push(name);
        }
        Ok((members, distinct(names)?))
    }
}

impl<'de, M: Members<'de>> DeserializeSeed<'de> for Object<M> {
    type Value = (M, Vec<Cow<'de, str>>);

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

struct Any {
    depth: usize,
}

impl Any {
    fn deeper<E: Error>(&self) -> Result<Self, E> {
        let depth = self.depth + 1;
        if depth > DEEPEST {
            Err(E::custom("nested too deeply"))
        } else {
            Ok(Self { depth })
        }
    }
}

impl<'de> DeserializeSeed<'de> for Any {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Any {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(self.deeper()?)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut names = Vec::new();
        while let Some(Name(name)) = map.next_key()? {
            map.next_value_seed(self.deeper()?)?;
            names.push(name);
        }
        distinct(names).map(drop)
    }
}

/// Sorts the names and refuses twins; sorting keeps hostile objects cheap.
fn distinct<E: Error>(mut names: Vec<Cow<'_, str>>) -> Result<Vec<Cow<'_, str>>, E> {
    names.sort_unstable();
    if names.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(E::custom("a member occurs twice"));
    }
    Ok(names)
}

/// A member's name, borrowed unless it is written with escapes.
struct Name<'de>(Cow<'de, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameVisitor;

        impl<'de> Visitor<'de> for NameVisitor {
            type Value = Name<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }

            fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Name<'de>, E> {
                Ok(Name(name.into()))
            }

            fn visit_str<E>(self, name: &str) -> Result<Name<'de>, E> {
                Ok(Name(name.to_owned().into()))
            }
        }

        deserializer.deserialize_str(NameVisitor)
    }
}

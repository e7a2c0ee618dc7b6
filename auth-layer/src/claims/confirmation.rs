use serde::de::MapAccess;

use super::Thumbprint;
use crate::json::{self, Members};

/// What a sender-constrained token is bound to (`cnf`, RFC 7800 s3): its sender has to prove that
/// they hold *each* of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Confirmation {
    jkt: Option<Thumbprint>,
    certificate: Option<Thumbprint>,
    other: bool,
}

impl Confirmation {
    /// `jkt`: the key of DPoP proofs (RFC 9449 s6.1).
    pub fn jkt(&self) -> Option<&Thumbprint> {
        self.jkt.as_ref()
    }

    /// `x5t#S256`: the client's certificate (RFC 8705 s3.1).
    pub fn certificate(&self) -> Option<&Thumbprint> {
        self.certificate.as_ref()
    }

    /// Whether it is all of a kind that can be checked, and there is something to check.
    pub(crate) fn is_understood(&self) -> bool {
        !self.other && (self.jkt.is_some() || self.certificate.is_some())
    }
}

impl<'de> Members<'de> for Confirmation {
    fn read<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "jkt" => self.jkt = self.thumbprint(map)?,
            "x5t#S256" => self.certificate = self.thumbprint(map)?,
            _ => {
                self.other = true;
                json::skip(map)?;
            }
        }
        Ok(())
    }
}

impl Confirmation {
    /// What is no thumbprint cannot be met.
    fn thumbprint<'de, A: MapAccess<'de>>(
        &mut self,
        map: &mut A,
    ) -> Result<Option<Thumbprint>, A::Error> {
        let thumbprint = map.next_value::<String>()?.parse().ok();
        self.other |= thumbprint.is_none();
        Ok(thumbprint)
    }
}

use http::HeaderValue;
use http::header::WWW_AUTHENTICATE;

use super::credential::Scheme;
use super::endpoints::Shared;
use super::refusal::Refusal;
use crate::proof::{BindingErrorKind, Dpop, ProofErrorKind, Unproved};
use crate::store::StoreError;
use crate::verify::VerifyErrorKind;

/// Why an access token opens nothing.
pub(super) enum Denial {
    NoToken,
    Token(VerifyErrorKind),
    Binding(BindingErrorKind),
    Proof(ProofErrorKind),
    Scope,
    /// Another token would not help.
    Other(Refusal),
}

impl Shared {
    /// The refusal, with challenges (RFC 6750 s3, RFC 9449 s7.1): that of the scheme that the client
    /// chose comes first and says what was wrong.
    pub(super) fn deny(&self, denial: Denial, chosen: Scheme) -> Refusal {
        let refusal = match denial {
            Denial::NoToken => Refusal::NO_ACCESS_TOKEN,
            Denial::Token(kind) => Refusal::invalid_token(kind.description()),
            Denial::Binding(kind) => Refusal::invalid_token(kind.description()),
            Denial::Proof(kind) => Refusal::unproved(kind),
            Denial::Scope => Refusal::LACKS_SCOPE,
            Denial::Other(refusal) => return refusal,
        };
        let wrong = match denial {
            Denial::NoToken => String::new(),
            Denial::Scope if self.sessions_scopes.is_empty() => {
                ", error=\"insufficient_scope\"".to_owned()
            }
            Denial::Scope => format!(
                ", error=\"insufficient_scope\", scope=\"{}\"",
                self.sessions_scopes
            ),
            _ => refusal.explanation(),
        };
        let challenges = self.asked(chosen).into_iter().flatten().enumerate();
        let refusal = challenges.fold(refusal, |refusal, (at, scheme)| {
            let wrong = if at == 0 { &*wrong } else { "" };
            refusal.with(WWW_AUTHENTICATE, self.challenge(scheme, wrong))
        });
        self.with_nonce(refusal)
    }

    fn asked(&self, chosen: Scheme) -> [Option<Scheme>; 2] {
        match (chosen, &self.dpop) {
            (_, None) => [Some(Scheme::Bearer), None],
            (_, Some(dpop)) if dpop.required => [Some(Scheme::Dpop), None],
            (Scheme::Bearer, Some(_)) => [Some(Scheme::Bearer), Some(Scheme::Dpop)],
            (Scheme::Dpop, Some(_)) => [Some(Scheme::Dpop), Some(Scheme::Bearer)],
        }
    }

    /// What it quotes has neither quotes nor backslashes.
    fn challenge(&self, scheme: Scheme, wrong: &str) -> HeaderValue {
        let (name, algs) = match scheme {
            Scheme::Bearer => ("Bearer", None),
            Scheme::Dpop => ("DPoP", self.dpop.as_ref().map(Dpop::algs)),
        };
        let algs = algs
            .map(|it| format!(", algs=\"{it}\""))
            .unwrap_or_default();
        let challenge = format!("{name} realm=\"sessions\"{wrong}{algs}");
        HeaderValue::from_str(&challenge).unwrap_or(HeaderValue::from_static("Bearer"))
    }
}

impl From<Refusal> for Denial {
    fn from(refusal: Refusal) -> Self {
        Self::Other(refusal)
    }
}

impl From<Unproved> for Denial {
    fn from(unproved: Unproved) -> Self {
        match unproved {
            Unproved::Proof(kind) => Self::Proof(kind),
            Unproved::Binding(kind) => Self::Binding(kind),
        }
    }
}

impl From<StoreError> for Denial {
    fn from(error: StoreError) -> Self {
        Self::Other(error.into())
    }
}

impl From<VerifyErrorKind> for Denial {
    fn from(kind: VerifyErrorKind) -> Self {
        match kind {
            VerifyErrorKind::KeysUnavailable => Self::Other(Refusal::unavailable()),
            kind => Self::Token(kind),
        }
    }
}

use std::net::IpAddr;

use http::request::Parts;

use super::endpoints::Shared;
use super::form::Form;
use super::limit::{AddressCost, SessionCharge};
use super::refusal::Refusal;
use crate::issue::{RefreshErrorKind, SessionEvent};
use crate::proof::ProofErrorKind;
use crate::refresh_token::{IdempotencyKey, RefreshToken, SessionId, TokenErrorKind};

impl Shared {
    /// Whether the limits let `token` be tried, and what that will cost the session that it names.
    /// Nothing is charged to the session yet, as its client and key are not proved.
    pub(super) fn admit(
        &self,
        request: &Parts,
        token: &RefreshToken,
        key: Option<&IdempotencyKey>,
    ) -> Result<Option<SessionCharge>, Refusal> {
        match self.issuer.open(token) {
            Ok(presented) => {
                let sid = presented.session();
                let repeat = key.map(|key| (token.expose(), key.digest()));
                let charge = self.limiter.inspect(sid, repeat);
                charge.map(Some).map_err(|wait| {
                    let ip = self.ip(request);
                    let sid = Some(sid);
                    self.issuer.tell(SessionEvent::RateLimited { sid, ip });
                    Refusal::too_many(wait)
                })
            }
            // Every token of a retired secret is one, and its holders did nothing wrong.
            Err(error) if error.kind() == TokenErrorKind::UnknownSecret => Ok(None),
            Err(_) => {
                self.charge_address(request, None, AddressCost::Attempt)?;
                Ok(None)
            }
        }
    }

    /// Charges the party that the outcome of a refresh has proved: the session, else the address.
    pub(super) fn settle(
        &self,
        request: &Parts,
        charge: SessionCharge,
        failed: Option<RefreshErrorKind>,
    ) -> Result<(), Refusal> {
        match failed {
            Some(
                RefreshErrorKind::OtherClient
                | RefreshErrorKind::OtherKey
                | RefreshErrorKind::Unproved,
            ) => self.charge_address(request, Some(charge.session()), AddressCost::Attempt),
            Some(RefreshErrorKind::Unavailable) => Ok(()),
            _ => {
                self.limiter.charge(charge);
                Ok(())
            }
        }
    }

    /// Charges the address for a proof that is not good.
    pub(super) fn charge_proof(
        &self,
        request: &Parts,
        session: SessionId,
        kind: ProofErrorKind,
    ) -> Result<(), Refusal> {
        let cost = match kind {
            ProofErrorKind::NonceRequired => AddressCost::NonceRequest,
            _ => AddressCost::Attempt,
        };
        self.charge_address(request, Some(session), cost)
    }

    /// The client that sent the request. A failed authentication is charged to the address.
    pub(super) fn authenticate(
        &self,
        request: &Parts,
        form: &Form<'_>,
    ) -> Result<Option<String>, Refusal> {
        let client = self.clients.authenticate(&request.headers, form);
        client.map_err(|refusal| self.charge_authentication(request, refusal))
    }

    /// The client that sent the request, which has to be one with a secret.
    pub(super) fn authenticate_confidential(
        &self,
        request: &Parts,
        form: &Form<'_>,
    ) -> Result<String, Refusal> {
        let client = self
            .clients
            .authenticate_confidential(&request.headers, form);
        client.map_err(|refusal| self.charge_authentication(request, refusal))
    }

    fn charge_authentication(&self, request: &Parts, refusal: Refusal) -> Refusal {
        if !refusal.is_invalid_client() {
            return refusal;
        }
        match self.charge_address(request, None, AddressCost::Attempt) {
            Ok(()) => refusal,
            Err(too_many) => too_many,
        }
    }

    fn charge_address(
        &self,
        request: &Parts,
        sid: Option<SessionId>,
        cost: AddressCost,
    ) -> Result<(), Refusal> {
        let Some(ip) = self.ip(request) else {
            return Ok(());
        };
        self.limiter.charge_address(ip, cost).map_err(|wait| {
            let ip = Some(ip);
            self.issuer.tell(SessionEvent::RateLimited { sid, ip });
            Refusal::too_many(wait)
        })
    }

    pub(super) fn ip(&self, request: &Parts) -> Option<IpAddr> {
        self.address.of(&request.extensions, &request.headers)
    }
}

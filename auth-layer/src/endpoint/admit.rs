use http::request::Parts;

use super::endpoints::Shared;
use super::idempotency::IDEMPOTENCY_KEY;
use super::refusal::Refusal;
use crate::issue::SessionEvent;
use crate::refresh_token::{RefreshToken, SessionId};

impl Shared {
    /// Whether the limits let `token` be tried, and of which session it is if somebody here made it.
    pub(super) fn admit(
        &self,
        request: &Parts,
        token: &RefreshToken,
    ) -> Result<Option<SessionId>, Refusal> {
        let ip = self.address.of(&request.extensions, &request.headers);
        let sid = self.issuer.open(token).ok().map(|it| it.session());
        let answer = match (sid, ip) {
            (Some(sid), _) => {
                let key = request.headers.get(IDEMPOTENCY_KEY);
                let repeat = key.map(|it| (token.expose(), it.as_bytes()));
                self.limiter.session(sid, repeat)
            }
            (None, Some(ip)) => self.limiter.address(ip),
            (None, None) => Ok(()),
        };
        answer.map(|()| sid).map_err(|wait| {
            self.issuer.tell(SessionEvent::RateLimited { sid, ip });
            Refusal::too_many(wait)
        })
    }
}

use http::{HeaderMap, StatusCode};

use super::Response;
use super::form::Form;
use super::refusal::Refusal;
use super::service::Shared;
use super::wire::{empty, refresh_token};
use crate::refresh_token::RefreshToken;

impl Shared {
    /// RFC 7009: whether the token was any good is nobody's business.
    pub(super) async fn revoke(
        &self,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<Response, Refusal> {
        let form = Form::parse(body)?;
        self.clients.authenticate(headers, &form)?;
        let token = form.get("token").ok_or(Refusal::invalid("No token"))?;
        self.end(&token.into(), StatusCode::OK).await
    }

    pub(super) async fn log_out(&self, body: &[u8]) -> Result<Response, Refusal> {
        let token = refresh_token(body)?.ok_or(Refusal::invalid("No refresh_token"))?;
        self.end(&token, StatusCode::NO_CONTENT).await
    }

    async fn end(&self, token: &RefreshToken, status: StatusCode) -> Result<Response, Refusal> {
        match self.issuer.revoke(token).await {
            Ok(_) => Ok(empty(status)),
            Err(error) => {
                tracing::error!(target: "auth_layer::session", %error, "log-out failed");
                Err(Refusal::unavailable())
            }
        }
    }
}

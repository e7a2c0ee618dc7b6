use std::error::Error;
use std::num::NonZeroU32;

use auth_layer::endpoint::{CookieMode, Limits, TokenEndpoints};
use auth_layer::{AuthLayer, Claims, TokenIssuer};
use axum::body::Bytes;
use axum::routing::get;
use axum::{Json, Router};
use examples::Door;
use serde_json::{Value, json};

use crate::options::Options;

/// All that it serves.
pub(crate) fn app(
    issuer: TokenIssuer,
    options: &Options,
    base_url: String,
) -> Result<Router, Box<dyn Error>> {
    let api = Router::new()
        .route("/api/me", get(me).post(echo))
        .layer(AuthLayer::new(issuer.verifier()));
    let endpoints = endpoints(issuer.clone(), options, base_url);
    let app = Door::new(issuer, endpoints.clone())
        .router()
        .merge(api)
        .route("/healthz", get(async || "ok"))
        .fallback_service(endpoints);
    match options.metrics {
        true => Ok(app.merge(examples::metrics()?)),
        false => Ok(app),
    }
}

fn endpoints(issuer: TokenIssuer, options: &Options, base_url: String) -> TokenEndpoints {
    let mut endpoints = TokenEndpoints::new(issuer)
        .base_url(base_url)
        .limits(limits(options.rate_limit))
        .client_address(examples::peer_address());
    if options.cookies {
        endpoints = endpoints.cookies(CookieMode::new());
    }
    for client in &options.client {
        endpoints = match &client.secret {
            Some(secret) => endpoints.confidential_client(&client.id, secret),
            None => endpoints.public_client(&client.id),
        };
    }
    endpoints
}

/// A third of what a minute allows may come at once, as by default.
fn limits(per_minute: u32) -> Limits {
    let burst = NonZeroU32::new(per_minute.div_ceil(3));
    match (NonZeroU32::new(per_minute), burst) {
        (Some(per_minute), Some(burst)) => Limits::new().by_session(per_minute, burst),
        _ => Limits::none(),
    }
}

async fn me(claims: Claims) -> Json<Value> {
    Json(json!({ "sub": claims.subject() }))
}

async fn echo(claims: Claims, body: Bytes) -> Json<Value> {
    Json(json!({ "sub": claims.subject(), "bytes": body.len() }))
}

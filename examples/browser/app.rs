use auth_layer::endpoint::{CookieMode, TokenEndpoints};
use auth_layer::{AuthLayer, Claims, TokenIssuer};
use axum::middleware::map_response;
use axum::routing::get;
use axum::{Json, Router};
use examples::Door;
use serde_json::{Value, json};

use crate::page;
use crate::thefts::Thefts;
use crate::thief::Thief;

/// All that it serves.
pub(crate) fn app(issuer: TokenIssuer, thefts: Thefts) -> Router {
    let endpoints = TokenEndpoints::new(issuer.clone())
        .cookies(CookieMode::new())
        .client_address(examples::peer_address());
    let verifier = issuer.verifier();
    let api = Router::new()
        .route("/api/me", get(me))
        .layer(AuthLayer::new(verifier.clone()))
        .fallback_service(endpoints.clone());
    let thief = Thief::new(api.clone(), verifier, thefts);
    api.merge(Door::new(issuer, endpoints).router())
        .merge(page::router())
        .merge(thief.router())
        .layer(map_response(page::guard))
}

async fn me(claims: Claims) -> Json<Value> {
    Json(json!({ "sub": claims.subject() }))
}

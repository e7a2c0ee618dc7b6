use std::error::Error;
use std::num::NonZeroUsize;

use auth_layer::AuthLayer;
use auth_layer::endpoint::{ClientAddress, CookieMode, TokenEndpoints};
use axum::Router;
use axum::extract::{Request, State};
use axum::http::HeaderName;
use axum::middleware::{Next, from_fn_with_state, map_request};
use axum::response::Response;
use axum::routing::{get, post};
use tokio_util::task::TaskTracker;

use crate::bearer;
use crate::forwarded::Forwarded;
use crate::login::{Login, login};
use crate::options::Options;
use crate::proxy::{Proxy, pass};
use crate::sessions::Sessions;
use crate::upstream::Upstream;

/// All that it serves: a few paths of its own, and behind a good token everything of the upstream.
pub(crate) fn app(
    options: &Options,
    upstream: Upstream,
    sessions: Sessions,
    tunnels: TaskTracker,
) -> Result<Router, Box<dyn Error>> {
    let forwarded = Forwarded {
        trusted: options.proxies > 0,
    };
    let address = address(options.proxies);
    let endpoints = TokenEndpoints::new(sessions.issuer.clone())
        .cookies(CookieMode::new())
        .client_address(address.clone());
    let own = Router::new()
        .route_service("/logout", endpoints.clone())
        .route_service("/sessions", endpoints.clone())
        .route_service("/sessions/{sid}", endpoints.clone())
        .layer(from_fn_with_state(sessions.clone(), settle))
        .route_service("/refresh", endpoints.clone());
    let login_route = Router::new()
        .route("/login", post(login))
        .with_state(Login {
            http: upstream.client(),
            upstream: upstream.clone(),
            sessions: sessions.clone(),
            endpoints,
            forwarded,
            address,
        });
    let auth = AuthLayer::new(sessions.issuer.verifier()).strip_token();
    let proxy = Router::new()
        .fallback(pass)
        .with_state(Proxy::new(upstream, sessions, forwarded, tunnels))
        .layer(auth)
        .layer(map_request(bearer::of_websocket));
    let app = own
        .merge(login_route)
        .route("/healthz", get(async || "ok"))
        .fallback_service(proxy);
    match options.metrics {
        true => Ok(app.merge(examples::metrics()?)),
        false => Ok(app),
    }
}

/// A log-out is answered when it is one at the upstream, too.
async fn settle(State(sessions): State<Sessions>, request: Request, next: Next) -> Response {
    let is_log_out = !request.method().is_safe();
    let response = next.run(request).await;
    if is_log_out {
        sessions.settled().await;
    }
    response
}

fn address(proxies: usize) -> ClientAddress {
    match NonZeroUsize::new(proxies) {
        Some(proxies) => ClientAddress::behind(proxies, HeaderName::from_static("x-forwarded-for")),
        None => examples::peer_address(),
    }
}

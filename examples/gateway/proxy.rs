use std::error::Error;
use std::io;
use std::net::SocketAddr;

use auth_layer::{Claims, SessionId};
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{CONNECTION, LOCATION, UPGRADE, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, Method, StatusCode, Version};
use axum::response::Response;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use refresh_client_layer::{
    RefreshLayer, RefreshService, RefreshUnavailable, SessionEnded, SessionKey,
};
use tokio_util::task::TaskTracker;
use tower::{Layer as _, ServiceExt as _};

use crate::answer::{bad_gateway, refusal, try_later};
use crate::forwarded::Forwarded;
use crate::hops;
use crate::sessions::Sessions;
use crate::tunnel::Tunnel;
use crate::upstream::{Http, Stream, Upstream};

/// Passes requests on to the upstream, each with its user's token there.
#[derive(Clone)]
pub(crate) struct Proxy {
    upstream: Upstream,
    api: RefreshService<Http<Stream>>,
    sessions: Sessions,
    forwarded: Forwarded,
    tunnels: TaskTracker,
}

impl Proxy {
    pub(crate) fn new(
        upstream: Upstream,
        sessions: Sessions,
        forwarded: Forwarded,
        tunnels: TaskTracker,
    ) -> Self {
        let layer = RefreshLayer::keyed(sessions.managers.clone()).require_session();
        let api = layer.layer(upstream.client());
        Self {
            upstream,
            api,
            sessions,
            forwarded,
            tunnels,
        }
    }

    /// The request as the upstream gets it, and what becomes of its connection if that is to leave HTTP.
    fn outbound(
        &self,
        request: Request,
        peer: SocketAddr,
        sid: SessionId,
    ) -> Option<(http::Request<Stream>, Option<OnUpgrade>)> {
        let url = self.upstream.url(request.uri())?;
        let (mut parts, body) = request.into_parts();
        let protocol = parts
            .headers
            .get(UPGRADE)
            .filter(|_| hops::is_upgrade(&parts.headers))
            .cloned();
        self.forwarded.tell(&mut parts, peer.ip());
        hops::strip_request(&mut parts.headers);
        let mut front = None;
        if let Some(protocol) = protocol {
            front = parts.extensions.remove::<OnUpgrade>();
            parts
                .headers
                .insert(CONNECTION, HeaderValue::from_static("upgrade"));
            parts.headers.insert(UPGRADE, protocol);
        }
        let body = body.map_err(io::Error::other).boxed_unsync();
        let mut outbound = http::Request::new(body);
        *outbound.method_mut() = parts.method;
        *outbound.uri_mut() = url;
        *outbound.version_mut() = Version::HTTP_11;
        *outbound.headers_mut() = parts.headers;
        outbound.extensions_mut().insert(SessionKey(sid));
        Some((outbound, front))
    }

    /// The response as the client gets it.
    fn inbound(
        &self,
        mut response: http::Response<Incoming>,
        front: Option<OnUpgrade>,
        claims: Claims,
    ) -> Response {
        let mut protocol = None;
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            let Some(front) = front else {
                return bad_gateway();
            };
            protocol = response.headers().get(UPGRADE).cloned();
            let back = hyper::upgrade::on(&mut response);
            let revocations = self.sessions.issuer.revocations().clone();
            drop(
                self.tunnels.spawn(
                    Tunnel {
                        front,
                        back,
                        claims,
                        revocations,
                    }
                    .run(),
                ),
            );
        }
        let headers = response.headers_mut();
        hops::strip_response(headers);
        if let Some(protocol) = protocol {
            headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
            headers.insert(UPGRADE, protocol);
        }
        if let Some(location) = headers
            .get(LOCATION)
            .and_then(|it| self.upstream.relative(it))
        {
            headers.insert(LOCATION, location);
        }
        response.map(Body::new)
    }

    /// A fault on the way is no reason to sign anybody out.
    async fn failed(&self, error: Box<dyn Error + Send + Sync>, sid: SessionId) -> Response {
        if error.is::<SessionEnded>() {
            self.sessions.end(sid).await;
            let mut response = refusal(
                StatusCode::UNAUTHORIZED,
                "invalid_token",
                "The session is over",
            );
            let challenge = HeaderValue::from_static(CHALLENGE);
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
            return response;
        }
        tracing::warn!(
            error = examples::chain(&*error),
            "a request was not carried out"
        );
        match error.downcast_ref::<RefreshUnavailable>() {
            Some(error) => try_later(LATER, error.retry_after()),
            None => bad_gateway(),
        }
    }
}

pub(crate) async fn pass(
    State(proxy): State<Proxy>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    claims: Claims,
    request: Request,
) -> Response {
    let Some(Ok(sid)) = claims.session_id().map(str::parse) else {
        return refusal(
            StatusCode::UNAUTHORIZED,
            "invalid_token",
            "The token names no session",
        );
    };
    if [Method::CONNECT, Method::TRACE].contains(request.method()) {
        return refusal(
            StatusCode::NOT_IMPLEMENTED,
            "not_implemented",
            "The gateway does not do that",
        );
    }
    let Some((outbound, front)) = proxy.outbound(request, peer, sid) else {
        return refusal(StatusCode::NOT_FOUND, "not_found", "There is nothing here");
    };
    match proxy.api.clone().oneshot(outbound).await {
        Ok(response) => proxy.inbound(response, front, claims),
        Err(error) => proxy.failed(error, sid).await,
    }
}

const CHALLENGE: &str =
    r#"Bearer realm="api", error="invalid_token", error_description="The session is over""#;

const LATER: &str = "The session cannot be refreshed at the moment";

use std::fmt;
use std::sync::Arc;

use tower_layer::Layer;

use super::binding::Bindings;
use super::gate::Gate;
use super::refusals::Refusals;
use super::{AuthService, RenderRejection, TokenSource};
use crate::csrf::{Csrf, is_safe_origin};
use crate::proof::{CertificateSource, Dpop};
use crate::verify::Verify;

/// Lets requests with a good access token through and answers the others.
///
/// The same value wraps an axum router, a tonic server or a hyper service. Behind it, the claims
/// are in the request's extensions as [`Claims<C>`](crate::Claims), and without your own part as
/// plain [`Claims`](crate::Claims).
#[derive(Clone, Debug)]
pub struct AuthLayer<V> {
    verify: V,
    gate: Arc<Gate>,
}

impl<V: Verify> AuthLayer<V> {
    /// A layer that lets through what `verify` accepts as a bearer token.
    pub fn new(verify: V) -> Self {
        let gate = Gate {
            sources: vec![TokenSource::Authorization],
            bindings: Bindings::default(),
            refusals: Arc::new(Refusals {
                realm: Some("api".to_owned()),
                ..Refusals::default()
            }),
            optional: false,
            csrf: Some(Csrf::default()),
            bypass_cors_preflight: false,
            strip_token: false,
        };
        Self {
            verify,
            gate: Arc::new(gate),
        }
    }

    /// Looks for the token at these places instead of in `Authorization`. A request with a token
    /// at two of them is refused.
    #[must_use]
    pub fn token_from(self, sources: impl IntoIterator<Item = TokenSource>) -> Self {
        self.with(|gate| gate.sources = sources.into_iter().collect())
    }

    /// Checks DPoP proofs (RFC 9449) as `dpop` says: tokens that are bound to a key go through with
    /// `Authorization: DPoP` and a good proof, and bearer tokens as before. Without it bound tokens
    /// are refused. The verifier has to
    /// [accept such tokens](crate::verify::VerifierBuilder::accept_sender_constrained), too.
    ///
    /// ```
    /// use auth_layer::proof::Dpop;
    /// use auth_layer::{AuthLayer, Verify};
    ///
    /// fn proving<V: Verify>(verifier: V) -> AuthLayer<V> {
    ///     AuthLayer::new(verifier).dpop(Dpop::new().required())
    /// }
    /// ```
    #[must_use]
    pub fn dpop(self, dpop: Dpop) -> Self {
        let (algs, only) = (dpop.algs(), dpop.required);
        let layer = self.with(|gate| gate.bindings.dpop = Some(Arc::new(dpop)));
        layer.with_refusals(|refusals| {
            refusals.dpop = Some(algs);
            refusals.dpop_only = only;
        })
    }

    /// Lets tokens through that are bound to the client's certificate (RFC 8705 s3), if it is the one
    /// that `source` finds. Without it they are refused. The verifier has to
    /// [accept such tokens](crate::verify::VerifierBuilder::accept_sender_constrained), too.
    #[must_use]
    pub fn mtls(self, source: impl CertificateSource) -> Self {
        self.with(|gate| gate.bindings.certificates = Some(Arc::new(source)))
    }

    /// Refuses tokens that are bound to nothing.
    #[must_use]
    pub fn require_sender_constrained(self) -> Self {
        self.with(|gate| gate.bindings.required = true)
    }

    /// Names the protection space in challenges (RFC 9110 s11.5). Default: `api`.
    #[must_use]
    pub fn realm(self, realm: impl Into<String>) -> Self {
        self.with_refusals(|refusals| refusals.realm = Some(realm.into()))
    }

    /// Tells refused clients where to learn which issuer to ask: the URL of a
    /// [`ProtectedResource`](super::ProtectedResource) document (RFC 9728 s5.1).
    #[must_use]
    pub fn resource_metadata(self, url: impl Into<String>) -> Self {
        self.with_refusals(|refusals| refusals.resource_metadata = Some(url.into()))
    }

    /// Gives refusals another shape, those of the layers further in too.
    #[must_use]
    pub fn render(self, render: impl RenderRejection) -> Self {
        self.with_refusals(|refusals| refusals.render = Some(Arc::new(render)))
    }

    /// Lets requests without a token through, without claims. A bad token is refused all the same.
    #[must_use]
    pub fn optional(self) -> Self {
        self.with(|gate| gate.optional = true)
    }

    /// Lets CORS preflight requests through: `OPTIONS` with `Origin` and
    /// `Access-Control-Request-Method`. Browsers send them without credentials, so what looks like
    /// a credential is removed. The layers of this crate further in let them through, too.
    ///
    /// Default: they are refused like any request without a token, which the log reports. The usual
    /// remedy is a `CorsLayer` outside of this layer, which answers them itself. This method is for
    /// handlers that answer them. Such a handler has to expect that anyone can send an `OPTIONS`
    /// request like that.
    #[must_use]
    pub fn bypass_cors_preflight(self) -> Self {
        self.with(|gate| gate.bypass_cors_preflight = true)
    }

    /// Accepts a token in a [cookie](TokenSource::Cookie) from pages of `origin` too, such as
    /// `https://app.example.com`.
    ///
    /// A cookie is a credential that a browser adds to every request, also to one that a page of
    /// another site sends. Where the request has a method that is not safe (RFC 9110 s9.2.1), an
    /// `Upgrade` header, or is an extended CONNECT, the cookie is accepted only from pages of this
    /// origin: `Sec-Fetch-Site` must be `same-origin`, or, without that header, `Origin` must be
    /// that of the request. Other requests get 403 with `{"error":"csrf"}`. A client that is not a
    /// browser sends the `Origin` of the server.
    ///
    /// # Errors
    /// `origin` is not an origin as browsers write it, or has neither TLS nor the name of this
    /// machine.
    pub fn allow_cookie_origin(
        self,
        origin: impl Into<String>,
    ) -> Result<Self, InvalidCookieOrigin> {
        let origin = origin.into();
        if !is_safe_origin(&origin) {
            return Err(InvalidCookieOrigin(()));
        }
        Ok(self.with_csrf(|csrf| csrf.allowed_origins.push(origin)))
    }

    /// Accepts a token in a cookie from pages of all subdomains and ports of the same site too.
    /// [`allow_cookie_origin`](Self::allow_cookie_origin) names a single one of them.
    #[must_use]
    pub fn allow_cookie_same_site(self) -> Self {
        self.with_csrf(|csrf| csrf.allow_same_site = true)
    }

    /// Accepts a token in a cookie whatever page sent the request. Dangerous: a page of another site
    /// can act in the user's name, unless another layer checks where requests come from.
    #[must_use]
    pub fn dangerously_skip_csrf_check(self) -> Self {
        self.with(|gate| gate.csrf = None)
    }

    /// Takes the token and its proof out of requests before they go on. Default: they are only marked
    /// sensitive.
    #[must_use]
    pub fn strip_token(self) -> Self {
        self.with(|gate| gate.strip_token = true)
    }

    fn with_csrf(self, change: impl FnOnce(&mut Csrf)) -> Self {
        self.with(|gate| {
            if let Some(csrf) = &mut gate.csrf {
                change(csrf);
            }
        })
    }

    fn with_refusals(self, change: impl FnOnce(&mut Refusals)) -> Self {
        self.with(|gate| change(Arc::make_mut(&mut gate.refusals)))
    }

    fn with(mut self, change: impl FnOnce(&mut Gate)) -> Self {
        change(Arc::make_mut(&mut self.gate));
        self
    }
}

impl<S, V: Clone> Layer<S> for AuthLayer<V> {
    type Service = AuthService<S, V>;

    fn layer(&self, inner: S) -> Self::Service {
        AuthService::new(inner, self.verify.clone(), self.gate.clone())
    }
}

/// The error of [`AuthLayer::allow_cookie_origin`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidCookieOrigin(());

impl fmt::Display for InvalidCookieOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "an origin is written as browsers do, and with TLS: give one like \
             `https://app.example.com`, in small letters and without a slash at its end",
        )
    }
}

impl std::error::Error for InvalidCookieOrigin {}

//! A client that proves what it holds, and a service that wants to see it.

use std::convert::Infallible;

use auth_layer::clock::ManualClock;
use auth_layer::protect::ResponseBody;
use auth_layer::protect::proof::Dpop;
use auth_layer::{Algorithm, AuthLayer, Claims, SigningKey, Timestamp, Verifier};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};
use tower::{Layer as _, ServiceExt as _, service_fn};

pub(crate) const NOW: i64 = 1_800_000_000;
pub(crate) const URL: &str = "https://api.example/things/1";

pub(crate) type Layer = AuthLayer<Verifier>;
pub(crate) type Refusal = Response<ResponseBody<Full<Bytes>>>;

pub(crate) struct Setting {
    pub(crate) issuer: SigningKey,
    pub(crate) client: Client,
    pub(crate) clock: ManualClock,
}

impl Setting {
    pub(crate) fn new() -> Self {
        Self {
            issuer: SigningKey::generate(Algorithm::EdDSA).unwrap(),
            client: Client::new(),
            clock: ManualClock::at(Timestamp::from_secs(NOW)),
        }
    }

    /// A layer whose verifier accepts bound tokens.
    pub(crate) fn layer(&self) -> Layer {
        let verifier = Verifier::builder()
            .key(self.issuer.verifying())
            .issuer("https://auth.example")
            .audience("https://api.example")
            .clock(self.clock.clone())
            .accept_sender_constrained();
        AuthLayer::new(verifier.build().unwrap())
    }

    pub(crate) fn dpop(&self) -> Dpop {
        let dpop = Dpop::new().clock(self.clock.clone());
        dpop.public_url("https://api.example").unwrap()
    }

    pub(crate) fn dpop_layer(&self) -> Layer {
        self.layer().dpop(self.dpop())
    }

    pub(crate) fn unbound_token(&self) -> String {
        self.token(Value::Null)
    }

    /// A token that is bound to the client's key.
    pub(crate) fn bound_token(&self) -> String {
        self.token(json!({ "jkt": self.client.jkt() }))
    }

    pub(crate) fn token(&self, cnf: Value) -> String {
        let mut claims = json!({
            "iss": "https://auth.example",
            "aud": "https://api.example",
            "sub": "alice",
            "scope": "read",
            "iat": NOW,
            "exp": NOW + 86_400,
        });
        if !cnf.is_null() {
            claims["cnf"] = cnf;
        }
        self.issuer.sign(&claims).unwrap()
    }

    /// A good request, by the `DPoP` scheme, with a proof of its own.
    pub(crate) fn request(&self) -> http::request::Builder {
        let token = self.bound_token();
        let proof = self.client.proof(&token).sign();
        proved(&token, &proof)
    }
}

pub(crate) fn bearer(token: &str) -> http::request::Builder {
    Request::get(URL).header("authorization", format!("Bearer {token}"))
}

pub(crate) fn proved(token: &str, proof: &str) -> http::request::Builder {
    let request = Request::get(URL).header("authorization", format!("DPoP {token}"));
    request.header("dpop", proof)
}

/// The answer of a service behind `layer` that says who it serves and what it can see.
pub(crate) async fn call(layer: &Layer, request: http::request::Builder) -> Refusal {
    let inner = service_fn(async |request: Request<()>| {
        let claims: Option<&Claims> = request.extensions().get();
        let subject = claims.and_then(Claims::subject).unwrap_or("nobody");
        let seen = format!("{subject} {:?}", request.headers().get("dpop"));
        Ok::<_, Infallible>(Response::new(Full::from(seen)))
    });
    let service = layer.layer(inner);
    service.oneshot(request.body(()).unwrap()).await.unwrap()
}

pub(crate) async fn label(layer: &Layer, request: http::request::Builder) -> &'static str {
    let response = call(layer, request).await;
    let rejection: Option<&auth_layer::protect::Rejection> = response.extensions().get();
    rejection.map_or("passed", |it| it.label())
}

pub(crate) async fn text(response: Refusal) -> String {
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

pub(crate) struct Client {
    pair: Ed25519KeyPair,
}

impl Client {
    pub(crate) fn new() -> Self {
        let pair = Ed25519KeyPair::generate().unwrap();
        Self { pair }
    }

    pub(crate) fn jwk(&self) -> Value {
        let x = BASE64_URL_SAFE_NO_PAD.encode(self.pair.public_key());
        json!({ "kty": "OKP", "crv": "Ed25519", "x": x })
    }

    /// RFC 7638, written down a second time.
    pub(crate) fn jkt(&self) -> String {
        let x = BASE64_URL_SAFE_NO_PAD.encode(self.pair.public_key());
        sha256(format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#).as_bytes())
    }

    /// A good proof for a `GET` of [`URL`] with `token`.
    pub(crate) fn proof(&self, token: &str) -> Proof<'_> {
        static NUMBER: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let header = json!({ "typ": "dpop+jwt", "alg": "EdDSA", "jwk": self.jwk() });
        let claims = json!({
            "jti": format!("proof {number}"),
            "htm": "GET",
            "htu": URL,
            "iat": NOW,
            "ath": sha256(token.as_bytes()),
        });
        Proof {
            client: self,
            header,
            claims,
        }
    }

    /// A proof of these very bytes, properly signed.
    pub(crate) fn sign(&self, header: &str, claims: &str) -> String {
        let [header, claims] = [header, claims].map(|it| BASE64_URL_SAFE_NO_PAD.encode(it));
        let message = format!("{header}.{claims}");
        let signature = self.pair.sign(message.as_bytes());
        format!("{message}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
    }
}

pub(crate) struct Proof<'a> {
    client: &'a Client,
    pub(crate) header: Value,
    pub(crate) claims: Value,
}

impl Proof<'_> {
    /// With another header; null takes a member away.
    pub(crate) fn header(mut self, name: &str, value: impl Into<Value>) -> Self {
        set(&mut self.header, name, value.into());
        self
    }

    /// With another claim; null takes it away.
    pub(crate) fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        set(&mut self.claims, name, value.into());
        self
    }

    pub(crate) fn sign(&self) -> String {
        let [header, claims] = [&self.header, &self.claims].map(Value::to_string);
        self.client.sign(&header, &claims)
    }
}

fn set(object: &mut Value, name: &str, value: Value) {
    match value {
        Value::Null => drop(object.as_object_mut().unwrap().remove(name)),
        value => object[name] = value,
    }
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, bytes))
}

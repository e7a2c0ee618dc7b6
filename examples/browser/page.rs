use axum::Router;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use axum::http::{HeaderName, HeaderValue};
use axum::response::Response;
use axum::routing::get;

/// The files of the page.
pub(crate) fn router() -> Router {
    FILES.iter().fold(Router::new(), |router, file| {
        let answer = (
            [(CONTENT_TYPE, file.media), (CACHE_CONTROL, "no-cache")],
            file.text,
        );
        router.route(file.path, get(async move || answer))
    })
}

/// Tells the browser to run what is in the files and nothing else, and to show it in no frame.
pub(crate) async fn guard(mut response: Response) -> Response {
    for (name, value) in HEADERS {
        let value = HeaderValue::from_static(value);
        response.headers_mut().insert(name, value);
    }
    response
}

/// Behind TLS `Strict-Transport-Security` belongs to them.
const HEADERS: [(HeaderName, &str); 7] = [
    (
        CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
         require-trusted-types-for 'script'; trusted-types 'none'",
    ),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
    (REFERRER_POLICY, "no-referrer"),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    ),
];

struct File {
    path: &'static str,
    media: &'static str,
    text: &'static str,
}

const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

macro_rules! files {
    ($($path:literal $name:literal $media:expr),* $(,)?) => {
        [$(File { path: $path, media: $media, text: include_str!(concat!("page/", $name)) }),*]
    };
}

const FILES: [File; 12] = files![
    "/" "index.html" "text/html; charset=utf-8",
    "/style.css" "style.css" "text/css; charset=utf-8",
    "/icon.svg" "icon.svg" "image/svg+xml",
    "/app.js" "app.js" JAVASCRIPT,
    "/backoff.js" "backoff.js" JAVASCRIPT,
    "/countdown.js" "countdown.js" JAVASCRIPT,
    "/devices.js" "devices.js" JAVASCRIPT,
    "/kept.js" "kept.js" JAVASCRIPT,
    "/requests.js" "requests.js" JAVASCRIPT,
    "/session.js" "session.js" JAVASCRIPT,
    "/tabs.js" "tabs.js" JAVASCRIPT,
    "/thief.js" "thief.js" JAVASCRIPT,
];

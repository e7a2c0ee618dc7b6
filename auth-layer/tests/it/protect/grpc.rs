//! The layer as a gRPC client sees it, HTTP/2 frame by frame.

use auth_layer::AuthLayer;
use axum::Router;
use http::{HeaderMap, Request, StatusCode};
use tokio::net::{TcpListener, TcpStream};

use crate::support::authority::{Authority, NOW};

async fn call(
    app: Router,
    content_type: &str,
    token: Option<&str>,
) -> (StatusCode, HeaderMap, bool) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move { axum::serve(listener, app).await });
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut client, connection) = h2::client::handshake(stream).await.unwrap();
    let connection = tokio::spawn(connection);
    let mut request = Request::post(format!("http://{address}/svc/Method"))
        .header("content-type", content_type)
        .header("te", "trailers");
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let (response, _) = client
        .send_request(request.body(()).unwrap(), true)
        .unwrap();
    let (head, body) = response.await.unwrap().into_parts();
    server.abort();
    connection.abort();
    (head.status, head.headers, body.is_end_stream())
}

/// P1.
#[tokio::test]
async fn a_refused_call_gets_its_status_in_the_only_headers_frame() {
    let authority = Authority::new();
    let app = Router::new()
        .fallback(async || "inner")
        .layer(AuthLayer::new(authority.verifier()));
    let expired = authority.token_with(serde_json::json!({ "exp": NOW }));
    for content_type in [
        "application/grpc",
        "application/grpc+proto",
        "application/grpc-web",
    ] {
        for (token, message) in [
            (None, "No access token was sent"),
            (Some(expired.as_str()), "The access token expired"),
        ] {
            let (status, headers, is_end) = call(app.clone(), content_type, token).await;
            assert_eq!(status, StatusCode::OK);
            assert_eq!(headers["grpc-status"], "16");
            assert_eq!(headers["grpc-message"], message);
            assert_eq!(headers["content-type"], content_type);
            assert!(!headers.contains_key("www-authenticate"));
            assert!(is_end, "trailers-only: the stream ends with the headers");
        }
    }
}

/// P1.
#[tokio::test]
async fn a_good_call_and_a_plain_request_are_no_business_of_grpc() {
    let authority = Authority::new();
    let app = Router::new()
        .fallback(async || "inner")
        .layer(AuthLayer::new(authority.verifier()));
    let (status, headers, _) =
        call(app.clone(), "application/grpc", Some(&authority.token())).await;
    assert_eq!(
        (status, headers.contains_key("grpc-status")),
        (StatusCode::OK, false)
    );
    let (status, headers, _) = call(app, "application/json", None).await;
    assert_eq!(
        (status, headers.contains_key("grpc-status")),
        (StatusCode::UNAUTHORIZED, false)
    );
}

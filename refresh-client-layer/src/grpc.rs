//! The layer over [`tonic`].
//!
//! ```no_run
//! use refresh_client_layer::{RefreshLayer, TokenManager};
//! use tonic::transport::Channel;
//! use tonic_health::pb::health_client::HealthClient;
//! use tower::Layer;
//!
//! # async fn run(session: TokenManager) -> Result<(), Box<dyn std::error::Error>> {
//! let channel = Channel::from_static("https://api.example").connect().await?;
//! let health = HealthClient::new(RefreshLayer::new(session).layer(channel));
//! # Ok(())
//! # }
//! ```
//!
//! # Who sees the token
//!
//! A generated client leaves it to its channel where calls go, so the layer cannot compare origins:
//! whatever channel you wrap sees the token. Wrap only channels to servers that may, over TLS. A client
//! made with `with_origin` is held to the origins of the [`TokenManager`](crate::TokenManager).
//!
//! # What asks for a fresher token
//!
//! Status 16 (`Unauthenticated`) in the headers, or in the trailers of a response without a message;
//! and an HTTP 401, such as a proxy's. After the first message nothing is sent again.
//!
//! To see lone trailers, a response is handed out with its first frame: unless the request is still
//! being streamed, and a quarter of a second later at the latest, so that a subscription that is quiet
//! at first is not held up. A refusal in the trailers that comes later is the caller's, and the next call
//! has a new token.
//!
//! Trailers are read from a [`tonic::body::Body`] alone. What wraps the body of responses, as layers that
//! trace, count or decompress do, goes outside of this layer, or maps it back with
//! [`Body::new`](tonic::body::Body::new).
//!
//! A `grpc-timeout` is sent as it was, with the second attempt too, and the wait for a token is not counted:
//! bound the whole call with a layer around this one.
//!
//! Requests are recorded as any [streamed body](crate::replay) is, up to 64 KiB. A conversation is so too:
//! one that is refused at its beginning is begun again with what was said, one that is refused later, in
//! the trailers, is the caller's to begin again.
//!
//! The [`Outcome`](crate::Outcome) is in the extensions of the response. `tonic` makes a [`tonic::Status`]
//! of a refusal and drops them: a layer around this one sees why there was no second attempt.
//!
//! # Errors
//!
//! Where there is no token, a call fails with a [`tonic::Status`]: `Unauthenticated` if somebody has to
//! sign in, `Unavailable` if a later try may do. Its source is the
//! [`SessionEnded`](crate::SessionEnded) or the [`RefreshUnavailable`](crate::RefreshUnavailable).

use tonic::body::Body;

use crate::replay::{Recording, Replay, record};

impl Replay for Body {
    fn try_clone(&self) -> Option<Self> {
        http_body::Body::is_end_stream(self).then(Self::empty)
    }

    fn record(self, cap: usize) -> (Self, Option<Recording<Self>>) {
        let (body, again) = record(self, cap, Self::new);
        (body, Some(again))
    }
}

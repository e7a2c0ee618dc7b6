use http::{HeaderMap, StatusCode};

/// What an attempt was refused for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// A fresher token.
    Token,
    /// A nonce in the proof, which is known by now.
    Nonce,
}

impl Need {
    /// What the response has said, in a word.
    pub(super) fn reason(
        self,
        status: StatusCode,
        headers: [Option<&HeaderMap>; 2],
    ) -> &'static str {
        let has_grpc_status = |headers: &HeaderMap| headers.contains_key("grpc-status");
        if self == Self::Nonce {
            "nonce"
        } else if status == StatusCode::UNAUTHORIZED {
            "unauthorized"
        } else if headers.into_iter().flatten().any(has_grpc_status) {
            "grpc_status"
        } else {
            "rule"
        }
    }
}

use std::error::Error;
use std::sync::Arc;

use tonic::{Code, Status};

use crate::manager::TokenError;

/// What a gRPC client understands of the error.
pub(super) fn of(error: TokenError) -> Status {
    let (code, text) = match &error {
        TokenError::SessionEnded(error) => (Code::Unauthenticated, error.to_string()),
        TokenError::RefreshUnavailable(error) => (Code::Unavailable, error.to_string()),
    };
    let source: Arc<dyn Error + Send + Sync> = match error {
        TokenError::SessionEnded(error) => Arc::new(error),
        TokenError::RefreshUnavailable(error) => Arc::new(error),
    };
    let mut status = Status::new(code, text);
    status.set_source(source);
    status
}

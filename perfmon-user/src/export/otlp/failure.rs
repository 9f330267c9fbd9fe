//! The `error.type` of a failed request: perfmon's own name, else the status.
use crate::record::{Request, RequestError};

/// A failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SendFailure {
    /// Below HTTP.
    Exchange(RequestError),
    /// HTTP status.
    Status(u16),
    /// gRPC status.
    Grpc(u8),
}

/// The failure of a request that counts as an error.
pub fn of(request: &Request) -> Option<SendFailure> {
    if let Some(error) = request.error {
        return Some(SendFailure::Exchange(error));
    }
    if !request.is_error() {
        return None;
    }
    match (request.status_code.filter(|status| *status >= 500), request.grpc_status) {
        (Some(status), _) => Some(SendFailure::Status(status)),
        (None, grpc) => grpc.map(SendFailure::Grpc),
    }
}

/// Its name.
pub fn name(failure: SendFailure) -> String {
    match failure {
        SendFailure::Exchange(RequestError::ClientClosed) => "client_closed".into(),
        SendFailure::Exchange(RequestError::Reset) => "reset".into(),
        SendFailure::Exchange(RequestError::Timeout) => "timeout".into(),
        SendFailure::Exchange(RequestError::Truncated) => "truncated".into(),
        SendFailure::Exchange(RequestError::Protocol) => "protocol".into(),
        SendFailure::Status(status) => status.to_string(),
        SendFailure::Grpc(status) => format!("grpc_{status}"),
    }
}

//! How a request failed, as `error.type` names it: perfmon's own word, else the status.
use crate::record::{Request, RequestError};

/// A failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Failure {
    /// Below HTTP.
    Exchange(RequestError),
    /// HTTP status.
    Status(u16),
    /// gRPC status.
    Grpc(u8),
}

/// The failure of a request that counts as an error.
pub fn of(request: &Request) -> Option<Failure> {
    if let Some(error) = request.error {
        return Some(Failure::Exchange(error));
    }
    if !request.is_error() {
        return None;
    }
    match (request.status_code.filter(|status| *status >= 500), request.grpc_status) {
        (Some(status), _) => Some(Failure::Status(status)),
        (None, grpc) => grpc.map(Failure::Grpc),
    }
}

/// Its name.
pub fn name(failure: Failure) -> String {
    match failure {
        Failure::Exchange(RequestError::ClientClosed) => "client_closed".into(),
        Failure::Exchange(RequestError::Reset) => "reset".into(),
        Failure::Exchange(RequestError::Timeout) => "timeout".into(),
        Failure::Exchange(RequestError::Truncated) => "truncated".into(),
        Failure::Exchange(RequestError::Protocol) => "protocol".into(),
        Failure::Status(status) => status.to_string(),
        Failure::Grpc(status) => format!("grpc_{status}"),
    }
}

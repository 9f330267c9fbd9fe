//! The `error.type` of a failed request: perfmon's own name, else the status.
use crate::record::{Failure, Request};

/// What `error.type` names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorType {
    /// Below HTTP.
    Exchange(Failure),
    /// HTTP status.
    Status(u16),
    /// gRPC status.
    Grpc(u8),
}

/// The failure of a request that counts as an error.
pub fn of(request: &Request) -> Option<ErrorType> {
    if let Some(error) = request.error {
        return Some(ErrorType::Exchange(error));
    }
    if !request.is_error() {
        return None;
    }
    match (request.status_code.filter(|status| *status >= 500), request.grpc_status) {
        (Some(status), _) => Some(ErrorType::Status(status)),
        (None, grpc) => grpc.map(ErrorType::Grpc),
    }
}

/// Its name.
pub fn name(failure: ErrorType) -> String {
    match failure {
        ErrorType::Exchange(failure) => failure.name().into(),
        ErrorType::Status(status) => status.to_string(),
        ErrorType::Grpc(status) => format!("grpc_{status}"),
    }
}

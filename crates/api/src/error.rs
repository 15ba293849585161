//! Errors as the APIs spell them: a code to branch on, a sentence to read, a status.
//!
//! The same error is written as JSON or as XML by [`crate::http`]; nothing here knows which.

use http::StatusCode;

/// A refusal or a failure, as a client of the AWS APIs gets it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct ApiError {
    /// The API's own code: `ClusterNotFoundException`, `TargetGroupNotFound` …
    pub code: &'static str,
    /// What was refused and why, in one sentence.
    pub message: String,
    /// 400 for what the caller can mend, 403 for a signature over Query, 500 for what the engine must.
    pub status: StatusCode,
}

impl ApiError {
    /// An error the caller can mend.
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), status: StatusCode::BAD_REQUEST }
    }

    /// The same error under another status.
    #[must_use]
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// An error of the engine's own making.
    pub fn server(message: impl Into<String>) -> Self {
        Self::new("ServerException", message).with_status(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// ECS and Logs: a parameter that is missing, malformed, or not supported.
    pub fn invalid_parameter(message: impl Into<String>) -> Self {
        Self::new("InvalidParameterException", message)
    }

    /// ECS: an action that cannot be done on this resource, or a resource that is not there.
    pub fn client(message: impl Into<String>) -> Self {
        Self::new("ClientException", message)
    }

    /// JSON that cannot be read as the operation's input.
    pub fn serialization(message: impl Into<String>) -> Self {
        Self::new("SerializationException", message)
    }

    /// ECS: no such cluster.
    pub(crate) fn cluster_not_found() -> Self {
        Self::new("ClusterNotFoundException", "Cluster not found.")
    }

    /// ECS: no such service.
    pub(crate) fn service_not_found() -> Self {
        Self::new("ServiceNotFoundException", "Service not found.")
    }
}

//! Requests, as far as they can be understood before anybody is trusted.

use std::time::Duration;

use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::{HeaderMap, StatusCode, header};
use serde_json::Value;

use super::limits::BODY_SIZE;
use super::write::Dialect;
use crate::{ApiError, Call, Service, query};

/// Whose operation is called, and how its parameters are written.
#[derive(Debug)]
pub(super) struct Envelope {
    pub(super) service: Service,
    operation: String,
    /// The pairs of a form, `Action` and `Version` taken out; `None` where the body is JSON.
    form: Option<Vec<(String, String)>>,
}

/// The whole body, if it is small enough and comes in time.
pub(super) async fn body(body: Incoming, limit: Duration) -> Result<Bytes, ApiError> {
    let collected = tokio::time::timeout(limit, Limited::new(body, BODY_SIZE).collect()).await;
    let collected = collected.map_err(|_| {
        let message = format!("the body did not come within {limit:?}");
        ApiError::new("RequestTimeoutException", message).with_status(StatusCode::REQUEST_TIMEOUT)
    })?;
    match collected {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            let message = format!("the body is larger than {BODY_SIZE} bytes");
            Err(ApiError::new("RequestEntityTooLargeException", message).with_status(StatusCode::PAYLOAD_TOO_LARGE))
        }
        Err(error) => Err(ApiError::serialization(format!("the body broke off: {error}"))),
    }
}

/// The protocol of a request that could not be understood, to refuse it in.
pub(super) fn dialect_of(headers: &HeaderMap) -> Dialect {
    let form = |value: &header::HeaderValue| value.as_bytes().starts_with(b"application/x-www-form-urlencoded");
    if headers.get(header::CONTENT_TYPE).is_some_and(form) && !headers.contains_key("x-amz-target") {
        Dialect::Query(None)
    } else {
        Dialect::Json
    }
}

/// Reads the envelope: `X-Amz-Target`, or `Action` and `Version` of a form.
pub(super) fn envelope(headers: &HeaderMap, body: &[u8]) -> Result<Envelope, ApiError> {
    if let Some(target) = headers.get("x-amz-target") {
        let target = String::from_utf8_lossy(target.as_bytes());
        let (service, operation) = Service::of_target(&target).ok_or_else(|| {
            let message = format!(
                "`{target}` is not supported by this engine, which speaks AmazonEC2ContainerServiceV20141113, Logs_20140328 and GimmetimeEngine_20261122"
            );
            ApiError::new("UnknownOperationException", message)
        })?;
        return Ok(Envelope { service, operation: operation.to_owned(), form: None });
    }
    if matches!(dialect_of(headers), Dialect::Json) {
        let message = "neither an X-Amz-Target header nor a form with an Action: nothing is called";
        return Err(ApiError::new("UnknownOperationException", message));
    }
    query_envelope(query::decode_form(body)?)
}

fn query_envelope(mut pairs: Vec<(String, String)>) -> Result<Envelope, ApiError> {
    let mut take = |name: &str| {
        let at = pairs.iter().position(|(given, _)| given == name)?;
        Some(pairs.remove(at).1)
    };
    let action = take("Action").filter(|action| !action.is_empty());
    let version = take("Version").unwrap_or_default();
    let operation = action.ok_or_else(|| ApiError::new("MissingAction", "the form has no Action"))?;
    let service = Service::of_version(&version).ok_or_else(|| {
        let message = format!(
            "Could not find operation {operation} for version {version}; this engine speaks Elastic Load Balancing 2015-12-01 and STS 2011-06-15"
        );
        ApiError::new("InvalidAction", message)
    })?;
    Ok(Envelope { service, operation, form: Some(pairs) })
}

impl Envelope {
    /// How the reply is written.
    pub(super) fn dialect(&self) -> Dialect {
        match self.form {
            Some(_) => Dialect::Query(Some((self.service, self.operation.clone()))),
            None => Dialect::Json,
        }
    }

    /// The call itself, its parameters read.
    pub(super) fn into_call(self, body: &[u8]) -> Result<Call, ApiError> {
        let parameters = match self.form {
            Some(pairs) => query::unfold(pairs)?,
            None => serde_json::from_slice(body)
                .ok()
                .filter(Value::is_object)
                .ok_or_else(|| ApiError::serialization("the body is not a JSON object"))?,
        };
        Ok(Call { service: self.service, operation: self.operation, parameters })
    }
}

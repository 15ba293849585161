//! Replies, in the caller's protocol.

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::{Response, StatusCode, header};
use serde_json::json;

use super::Answer;
use crate::{Service, xml};

/// How a reply is written.
#[derive(Debug)]
pub(super) enum Dialect {
    /// AWS JSON 1.1
    Json,
    /// XML, with the service and operation if they are known.
    Query(Option<(Service, String)>),
    /// Plain JSON, as the task metadata endpoint has it.
    Metadata,
}

/// An answer, and how to write it.
pub(super) struct Reply {
    dialect: Dialect,
    answer: Answer,
}

impl Reply {
    pub(super) fn new(dialect: Dialect, answer: Answer) -> Self {
        Self { dialect, answer }
    }

    pub(super) fn into_response(self) -> Response<Full<Bytes>> {
        let request_id = request_id();
        let (content_type, body) = match (&self.dialect, &self.answer) {
            (Dialect::Json, Ok(value)) => ("application/x-amz-json-1.1", value.to_string()),
            (Dialect::Json, Err(error)) => {
                ("application/x-amz-json-1.1", json!({"__type": error.code, "message": error.message}).to_string())
            }
            (Dialect::Query(Some((service, operation))), Ok(value)) => {
                ("text/xml", xml::reply(*service, operation, value, &request_id))
            }
            (Dialect::Query(called), Err(error)) => {
                ("text/xml", xml::error(called.as_ref().map(|(service, _)| *service), error, &request_id))
            }
            (Dialect::Metadata | Dialect::Query(None), Ok(value)) => ("application/json", value.to_string()),
            (Dialect::Metadata, Err(error)) => {
                ("application/json", json!({"code": error.code, "message": error.message}).to_string())
            }
        };
        Response::builder()
            .status(self.answer.map_or_else(|error| error.status, |_| StatusCode::OK))
            .header("x-amzn-RequestId", request_id)
            .header(header::CONTENT_TYPE, content_type)
            .body(Full::from(body))
            .expect("the header values are hex digits and literals")
    }
}

/// A random UUID (RFC 9562 §5.4).
fn request_id() -> String {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("Linux has getrandom");
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = crate::sigv4::hex(&bytes);
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

//! A small signed client for AWS JSON 1.1: what speaks our own operations to a running engine.
//!
//! One connection a call, everything bounded. The AWS operations are called through the official SDK, not through this.

use std::net::SocketAddr;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{HeaderMap, Method, Request, header};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::sigv4::{self, Keys};
use crate::{ApiError, Service};
use gimmetime_clock::source;

/// How long a call may take, from connecting to the last byte.
pub const TIMEOUT: Duration = Duration::from_secs(30);
/// Largest reply.
const REPLY_LIMIT: usize = 16 << 20;

/// Why a call brought no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody answers there.
    #[error("no connection to the engine at {endpoint}")]
    Unreachable {
        /// Where it should listen.
        endpoint: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// The engine took longer than [`TIMEOUT`].
    #[error("no answer from the engine at {endpoint} to `{target}` within {} s", TIMEOUT.as_secs())]
    TimedOut {
        /// Where it listens.
        endpoint: SocketAddr,
        /// What was called.
        target: String,
    },
    /// The engine refused, or failed; the code tells which.
    #[error("{code}: {message}")]
    Refused {
        /// The API's own code.
        code: String,
        /// The engine's sentence.
        message: String,
        /// The HTTP status.
        status: u16,
    },
    /// What came back is not this protocol.
    #[error("a reply from {endpoint} to `{target}` that is not the engine's: {reason}")]
    BadReply {
        /// Where it came from.
        endpoint: SocketAddr,
        /// What was called.
        target: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// What the operation `target` (`GimmetimeEngine_20261122.DescribeEngine`) returns for these parameters.
pub async fn call(endpoint: SocketAddr, keys: &Keys, target: &str, parameters: &Value) -> Result<Value, ClientError> {
    let bad = |reason: String| ClientError::BadReply { endpoint, target: target.to_owned(), reason };
    let request = build(endpoint, keys, target, parameters).map_err(|error| bad(error.to_string()))?;
    let exchange = async {
        let unreachable = |source| ClientError::Unreachable { endpoint, source };
        let stream = TcpStream::connect(endpoint).await.map_err(unreachable)?;
        exchange(stream, request).await.map_err(|error| bad(error.to_string()))
    };
    let (status, body) = tokio::time::timeout(TIMEOUT, exchange)
        .await
        .map_err(|_| ClientError::TimedOut { endpoint, target: target.to_owned() })??;
    let reply: Value = serde_json::from_slice(&body).map_err(|error| bad(format!("status {status}, {error}")))?;
    if status.is_success() {
        return Ok(reply);
    }
    let member = |name: &str| reply[name].as_str().unwrap_or_default().to_owned();
    Err(ClientError::Refused { code: member("__type"), message: member("message"), status: status.as_u16() })
}

fn build(
    endpoint: SocketAddr,
    keys: &Keys,
    target: &str,
    parameters: &Value,
) -> Result<Request<Full<Bytes>>, Box<dyn std::error::Error + Send + Sync>> {
    let (service, _) = Service::of_target(target).ok_or_else(|| {
        ApiError::new("UnknownOperationException", format!("`{target}` is no operation of the engine's"))
    })?;
    let body = parameters.to_string();
    let mut headers = HeaderMap::new();
    headers.insert(header::HOST, endpoint.to_string().parse()?);
    headers.insert(header::CONTENT_TYPE, "application/x-amz-json-1.1".parse()?);
    headers.insert("x-amz-target", target.parse()?);
    sigv4::sign(&Method::POST, &mut headers, body.as_bytes(), keys, service, source::wall())?;
    let mut request = Request::post("/").body(Full::from(body))?;
    *request.headers_mut() = headers;
    Ok(request)
}

async fn exchange(
    stream: TcpStream,
    request: Request<Full<Bytes>>,
) -> Result<(hyper::StatusCode, Bytes), Box<dyn std::error::Error + Send + Sync>> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let talk = async {
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), REPLY_LIMIT).collect().await?.to_bytes();
        Ok((status, body))
    };
    // The connection must be driven while we talk over it, and may end first once the reply is whole.
    let (mut talk, mut connection) = (std::pin::pin!(talk), std::pin::pin!(connection));
    tokio::select! {
        outcome = talk.as_mut() => outcome,
        _ = connection.as_mut() => talk.await,
    }
}

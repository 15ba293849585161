//! One request and its reply: choosing a target, sending, waiting, and choosing another one when that fails.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use gimmetime_clock::source;
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri, request, response};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use tokio::time::timeout;

use crate::account::Account;
use crate::body::{Progress, Upload};
use crate::hold::Hold;
use crate::plane::Plane;
use crate::pool::{self, Sender, Unreachable};
use crate::retry::is_repeatable;
use crate::targets::{Lease, Target};

/// A reply up to this length is taken in whole before it goes on, so that a target's death in the midst of it can be mended.
const WHOLE_REPLY_LIMIT: u64 = 16 * 1024;

/// A target's reply.
pub(crate) enum Answer {
    /// All of it.
    Whole(response::Parts, Bytes),
    /// Its head; the body comes on a connection that is held until its end.
    Streaming(response::Parts, Incoming, Hold),
}

/// What is sent, as often as need be.
struct Outgoing {
    next: Option<Request<Upload>>,
    /// For a request that may be sent a second time though the first may have arrived.
    again: Option<(Method, Uri, HeaderMap)>,
    progress: Option<Arc<Progress>>,
}

/// Why an attempt led to no reply.
struct Failure {
    /// What the client hears if nothing else helps.
    status: StatusCode,
    /// The request, if nothing of it was written.
    unsent: Option<Request<Upload>>,
    /// It says something about the target, not only about an old connection to it or about the table.
    blames_target: bool,
}

/// The reply of some target, or the status to answer with in its place.
pub(crate) async fn exchange(
    plane: &Arc<Plane>,
    parts: request::Parts,
    body: Incoming,
    account: &mut Account,
) -> Result<Answer, StatusCode> {
    let mut outgoing = Outgoing::new(parts, body);
    if let Some(progress) = &outgoing.progress {
        account.note_upload(progress);
    }
    let now = account.began().mono;
    plane.budget().deposit(now);
    let mut tried: Vec<Arc<Target>> = Vec::new();
    let mut status = StatusCode::SERVICE_UNAVAILABLE;
    let mut first = true;
    while let Some(lease) = plane.targets.choose(&tried) {
        let Some(request) = outgoing.take(plane) else { break };
        if first {
            plane.counts.requests.up();
        } else if !tried.is_empty() {
            plane.counts.retried.up();
        }
        first = false;
        let target = Arc::clone(&lease.target);
        let failure = match attempt(plane, lease, request, outgoing.progress.as_ref(), account).await {
            Ok(answer) => return Ok(answer),
            Err(failure) => failure,
        };
        status = failure.status;
        if failure.blames_target {
            tried.push(target);
        }
        match failure.unsent {
            Some(request) => outgoing.next = Some(request),
            None if status == StatusCode::BAD_GATEWAY => {}
            None => break,
        }
    }
    Err(status)
}

impl Outgoing {
    fn new(mut parts: request::Parts, body: Incoming) -> Self {
        let has_body = !body.is_end_stream();
        parts.extensions.clear();
        parts.version = http::Version::HTTP_11;
        let again = is_repeatable(&parts.method, has_body)
            .then(|| (parts.method.clone(), parts.uri.clone(), parts.headers.clone()));
        let progress = has_body.then(Arc::<Progress>::default);
        let upload = progress.as_ref().map_or_else(Upload::none, |progress| Upload::new(body, Arc::clone(progress)));
        Self { next: Some(Request::from_parts(parts, upload)), again, progress }
    }

    /// What is to be sent to the target that was chosen. A second time, though the first may have arrived, only what may be
    /// repeated, and only if the budget bears it.
    fn take(&mut self, plane: &Plane) -> Option<Request<Upload>> {
        if let Some(unsent) = self.next.take() {
            return Some(unsent);
        }
        let (method, uri, headers) = self.again.as_ref()?;
        if !plane.budget().withdraw(source::mono()) {
            return None;
        }
        let mut request = Request::new(Upload::none());
        *request.method_mut() = method.clone();
        *request.uri_mut() = uri.clone();
        *request.headers_mut() = headers.clone();
        Some(request)
    }
}

async fn attempt(
    plane: &Arc<Plane>,
    lease: Lease,
    request: Request<Upload>,
    upload: Option<&Arc<Progress>>,
    account: &mut Account,
) -> Result<Answer, Failure> {
    let (mut sender, is_fresh) = match checkout(plane, &lease.target).await {
        Ok(connection) => connection,
        Err(status) => return Err(Failure { status, unsent: Some(request), blames_target: true }),
    };
    if lease.target.is_leaving() {
        // It left while the connection was made: the table of now decides.
        let status = StatusCode::SERVICE_UNAVAILABLE;
        return Err(Failure { status, unsent: Some(request), blames_target: false });
    }
    account.dispatched(lease.target.address);
    let idle = plane.settings.idle_timeout;
    let response = reply_head(&mut sender, request, upload.map(Arc::as_ref), idle, is_fresh).await?;
    let (parts, body) = response.into_parts();
    if parts.status == StatusCode::SWITCHING_PROTOCOLS {
        return Err(Failure::of_target(StatusCode::BAD_GATEWAY)); // nobody asked for that
    }
    account.answered(parts.status);
    let hold = Hold { sender, lease, upload: upload.cloned() };
    if body.is_end_stream() {
        hold.release();
        return Ok(Answer::Whole(parts, Bytes::new()));
    }
    if body.size_hint().exact().is_none_or(|length| WHOLE_REPLY_LIMIT < length) {
        return Ok(Answer::Streaming(parts, body, hold));
    }
    let bytes = collect(body, idle).await?;
    hold.release();
    Ok(Answer::Whole(parts, bytes))
}

/// A connection to the target, and whether it was made just now.
async fn checkout(plane: &Arc<Plane>, target: &Arc<Target>) -> Result<(Sender, bool), StatusCode> {
    if let Some(sender) = target.pool.take().await {
        return Ok((sender, false));
    }
    match pool::connect(target.address, plane.connect_timeout(target.address)).await {
        Ok(sender) => Ok((sender, true)),
        Err(unreachable) => {
            plane.counts.connection_errors.up();
            plane.targets.eject(target);
            Err(match unreachable {
                Unreachable::Refused => StatusCode::BAD_GATEWAY,
                Unreachable::Timeout => StatusCode::GATEWAY_TIMEOUT,
            })
        }
    }
}

async fn reply_head(
    sender: &mut Sender,
    request: Request<Upload>,
    progress: Option<&Progress>,
    idle: Duration,
    is_fresh: bool,
) -> Result<Response<Incoming>, Failure> {
    let mut reply = std::pin::pin!(sender.try_send_request(request));
    let mut before = 0;
    loop {
        match timeout(idle, reply.as_mut()).await {
            Ok(Ok(response)) => return Ok(response),
            Ok(Err(mut error)) => {
                let unsent = error.take_message();
                if let Some(fault) = progress.and_then(Progress::fault) {
                    return Err(Failure { status: fault, unsent: None, blames_target: false });
                }
                // That a connection had grown old says nothing of the target: it gets a fresh one.
                let blames_target = is_fresh || unsent.is_none();
                return Err(Failure { status: StatusCode::BAD_GATEWAY, unsent, blames_target });
            }
            Err(_) => {
                // The target need not answer while the client still sends.
                let now = progress.map_or(0, Progress::bytes);
                if now == before {
                    return Err(Failure::of_target(StatusCode::GATEWAY_TIMEOUT));
                }
                before = now;
            }
        }
    }
}

async fn collect(mut body: Incoming, idle: Duration) -> Result<Bytes, Failure> {
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    loop {
        let frame = match timeout(idle, body.frame()).await {
            Ok(None) => break,
            Ok(Some(Ok(frame))) => frame,
            Ok(Some(Err(_))) => return Err(Failure::of_target(StatusCode::BAD_GATEWAY)),
            Err(_) => return Err(Failure::of_target(StatusCode::GATEWAY_TIMEOUT)),
        };
        // Nearly always there is one frame, and nothing is copied.
        match frame.into_data() {
            Ok(data) if first.is_empty() => first = data,
            Ok(data) => rest.extend_from_slice(&data),
            Err(_trailers) => {}
        }
        if body.is_end_stream() {
            break;
        }
    }
    if rest.is_empty() {
        return Ok(first);
    }
    Ok(Bytes::from([&first[..], &rest[..]].concat()))
}

impl Failure {
    /// Of a target that may have got the request.
    fn of_target(status: StatusCode) -> Self {
        Self { status, unsent: None, blames_target: true }
    }
}

//! The API's HTTP side: one loopback port, every limit named, every refusal in the caller's protocol.
//!
//! A call is read, its signature checked, and then sent to whoever holds the model; what comes back is written. Task metadata
//! (`GET /v4/…`) takes the same way, unsigned, as ECS has it.

mod limits;
mod read;
#[cfg(test)]
mod tests;
mod write;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;

use crate::sigv4::{self, RequestParts};
use crate::{ApiError, Call, Keys, Service};
use gimmetime_clock::source;
use limits::{LIMITS, Limits};
use read::Envelope;
use write::{Dialect, Reply};

/// What a call comes to.
pub type Answer = Result<Value, ApiError>;
/// Where calls are sent to be answered. When its receiver is dropped, the server ends.
pub type Calls = mpsc::Sender<(Call, oneshot::Sender<Answer>)>;

/// What every connection shares.
struct Front {
    address: SocketAddr,
    keys: Keys,
    calls: Calls,
    limits: Limits,
}

/// Serves the API until the receiver of `calls` is dropped; then finishes what is in flight, and returns.
pub async fn serve(listener: TcpListener, keys: Keys, calls: Calls) -> io::Result<()> {
    serve_within(LIMITS, listener, keys, calls).await
}

async fn serve_within(limits: Limits, listener: TcpListener, keys: Keys, calls: Calls) -> io::Result<()> {
    let front = Arc::new(Front { address: listener.local_addr()?, keys, calls, limits });
    let room = Arc::new(Semaphore::new(limits.connections));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let accepted = async {
            let permit = Arc::clone(&room).acquire_owned().await.expect("the semaphore is never closed");
            (listener.accept().await, permit)
        };
        tokio::select! {
            () = front.calls.closed() => break,
            accepted = accepted => match accepted {
                (Ok((stream, _)), permit) => {
                    let front = Arc::clone(&front);
                    connections.spawn(async move {
                        serve_connection(stream, front).await;
                        drop(permit);
                    });
                }
                (Err(_), _) => tokio::time::sleep(limits.accept_pause).await,
            },
        }
    }
    let _ = tokio::time::timeout(limits.goodbye, async { while connections.join_next().await.is_some() {} }).await;
    Ok(())
}

async fn serve_connection(stream: TcpStream, front: Arc<Front>) {
    let _ = stream.set_nodelay(true);
    let shared = Arc::clone(&front);
    let service = service_fn(move |request| {
        let front = Arc::clone(&shared);
        async move { Ok::<_, Infallible>(handle(&front, request).await.into_response()) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(front.limits.head)
        .max_headers(limits::HEADERS)
        .max_buf_size(limits::HEAD_SIZE)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    // What breaks a connection is its client's business: there is nobody here to tell.
    tokio::select! {
        _ = connection.as_mut() => return,
        () = front.calls.closed() => {}
        () = tokio::time::sleep(front.limits.lifetime) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = tokio::time::timeout(front.limits.last_call, connection).await;
}

async fn handle(front: &Front, request: Request<Incoming>) -> Reply {
    let path = request.uri().path();
    match (request.method(), path) {
        (&Method::POST, "/") if request.uri().query().is_none() => handle_call(front, request).await,
        (&Method::GET, path) if path.starts_with("/v4/") => handle_metadata(front, &request).await,
        _ => {
            let message =
                format!("there is nothing at {} {path}: calls are POSTed to / without a query", request.method());
            let error = ApiError::new("UnknownOperationException", message).with_status(StatusCode::NOT_FOUND);
            Reply::new(Dialect::Json, Err(error))
        }
    }
}

async fn handle_call(front: &Front, request: Request<Incoming>) -> Reply {
    let (parts, body) = request.into_parts();
    let body = match read::body(body, front.limits.body).await {
        Ok(body) => body,
        Err(error) => return Reply::new(read::dialect_of(&parts.headers), Err(error)),
    };
    let envelope = match read::envelope(&parts.headers, &body) {
        Ok(envelope) => envelope,
        Err(error) => return Reply::new(read::dialect_of(&parts.headers), Err(error)),
    };
    let dialect = envelope.dialect();
    Reply::new(dialect, admit(front, &parts, &body, envelope).await)
}

/// Answers a call whose service is known, if it is signed.
async fn admit(front: &Front, parts: &hyper::http::request::Parts, body: &[u8], envelope: Envelope) -> Answer {
    let service = envelope.service;
    let signed = RequestParts { method: &parts.method, path: parts.uri.path(), headers: &parts.headers, service };
    sigv4::verify(&signed, body, &front.keys, source::wall(), front.address)
        .map_err(|error| error.for_service(service))?;
    front.ask(envelope.into_call(body)?).await
}

/// Metadata needs no signature: the task's id in the path is what only the task knows.
async fn handle_metadata(front: &Front, request: &Request<Incoming>) -> Reply {
    let asked =
        sigv4::check_host(request.headers(), front.address).map_err(|error| error.for_service(Service::Metadata));
    let answer = match asked {
        Ok(()) => {
            let parameters = json!({"path": request.uri().path()});
            front.ask(Call { service: Service::Metadata, operation: "GetMetadata".to_owned(), parameters }).await
        }
        Err(error) => Err(error),
    };
    Reply::new(Dialect::Metadata, answer)
}

impl Front {
    async fn ask(&self, call: Call) -> Answer {
        let (reply, answer) = oneshot::channel();
        let stopping = || {
            let message = "the engine is stopping: ask again once it runs";
            ApiError::new("ServiceUnavailableException", message).with_status(StatusCode::SERVICE_UNAVAILABLE)
        };
        let asked = async {
            self.calls.send((call, reply)).await.map_err(|_| stopping())?;
            answer.await.map_err(|_| stopping())?
        };
        let limit = self.limits.answer;
        let late = |_| ApiError::server(format!("the engine did not answer within {limit:?}"));
        tokio::time::timeout(limit, asked).await.map_err(late)?
    }
}

//! One client's connection, from its acceptance to its end.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;

use gimmetime_clock::{Mono, source};
use http::header::{CONNECTION, HeaderValue};
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::access::Entry;
use crate::account::Account;
use crate::answer;
use crate::body::Reply;
use crate::exchange::{Answer, exchange};
use crate::forward::{self, Way};
use crate::guard::{Guard, Link};
use crate::head::{HEADERS_LIMIT, REQUEST_LINE_LIMIT};
use crate::listener::Phase;
use crate::plane::Plane;

/// What all requests of one connection share.
struct Client {
    plane: Arc<Plane>,
    id: u64,
    way: Way,
    opened: Mono,
    phase: watch::Receiver<Phase>,
    link: Arc<Link>,
}

/// Serves one client until either side has had enough.
pub(crate) async fn serve(plane: Arc<Plane>, stream: TcpStream, way: Way, mut phase: watch::Receiver<Phase>) {
    let link = Arc::<Link>::default();
    let guard = Guard::new(stream, plane.settings.idle_timeout, Arc::clone(&link));
    let client = Arc::new(Client {
        id: plane.ids.next(),
        plane,
        way,
        opened: source::mono(),
        phase: phase.clone(),
        link: Arc::clone(&link),
    });
    let service = service_fn({
        let client = Arc::clone(&client);
        move |request| answer(Arc::clone(&client), request)
    });
    let connection = http1::Builder::new()
        .title_case_headers(true)
        // A client that has closed its side may still read, and nothing tells it from one that has left: a target that hangs
        // is waited for until the idle timeout, whoever asked.
        .half_close(true)
        .auto_date_header(false)
        .header_read_timeout(None)
        .max_header_size(2 * (REQUEST_LINE_LIMIT + HEADERS_LIMIT))
        .serve_connection(guard, service);
    let mut connection = pin!(connection);
    let ending = async { phase.wait_for(|phase| *phase == Phase::Ending).await.is_ok() };
    // How a connection ended is in the log of its requests; there is nothing else to tell.
    tokio::select! {
        biased;
        _ = connection.as_mut() => {}
        _ = ending => {
            link.end_when_idle();
            let _ = connection.await;
        }
    }
    client.note_refusal();
}

async fn answer(client: Arc<Client>, request: Request<Incoming>) -> Result<Response<Reply>, Infallible> {
    let plane = &client.plane;
    let (mut parts, body) = request.into_parts();
    let mut account = Account::open(plane, client.id, &client.way, client.link.head_bytes(), &parts);
    let trace = plane.ids.trace(account.began().wall);
    forward::request(&mut parts.headers, &parts.uri, &client.way, &trace);
    if let Some(uri) = forward::origin_form(&parts.uri) {
        parts.uri = uri;
    }
    account.note_trace(&parts.headers);
    let is_old = plane.settings.client_keep_alive < account.began().mono.since(client.opened);
    let mut response = match exchange(plane, parts, body, &mut account).await {
        Ok(answer) => pass_on(plane, answer, account),
        Err(status) => stand_in(status, account),
    };
    if is_old || *client.phase.borrow() != Phase::Open {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response)
}

fn pass_on(plane: &Plane, answer: Answer, mut account: Account) -> Response<Reply> {
    let (mut parts, body) = match answer {
        Answer::Whole(parts, bytes) => (parts, Ok(bytes)),
        Answer::Streaming(parts, incoming, hold) => (parts, Err((incoming, hold))),
    };
    forward::reply(&mut parts.headers);
    parts.version = http::Version::HTTP_11;
    parts.extensions.clear();
    account.replied(parts.status, &parts.headers);
    let body = match body {
        Ok(bytes) => {
            account.add_sent(bytes.len() as u64);
            Reply::whole(bytes)
        }
        Err((incoming, hold)) => Reply::stream(incoming, hold, account, plane.settings.idle_timeout),
    };
    Response::from_parts(parts, body)
}

fn stand_in(status: StatusCode, mut account: Account) -> Response<Reply> {
    let response = answer::reply(status);
    account.replied_ourselves(status, response.headers());
    response
}

impl Client {
    /// Counts and logs what the guard answered by itself.
    fn note_refusal(&self) {
        let Some(refusal) = self.link.refusal() else { return };
        let counts = &self.plane.counts;
        let count = if refusal.status() < 500 { &counts.elb_4xx } else { &counts.elb_5xx };
        count.up();
        if self.plane.settings.access_log.is_none() {
            return;
        }
        let now = source::now();
        self.plane.log.push(&Entry {
            connection: self.id,
            client: self.way.client,
            local: self.way.local,
            began: now,
            ended: now,
            dispatched: None,
            answered: None,
            target: None,
            status: refusal.status(),
            target_status: None,
            received: 0,
            sent: answer::refusal(refusal).len() as u64,
            request: None,
            host: None,
            agent: None,
            trace: None,
        });
    }
}

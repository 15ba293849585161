//! The answers that are the balancer's own: refusals as raw bytes, and replies in place of a target's.

use bytes::Bytes;
use gimmetime_clock::{reply, source};
use http::header::{CONNECTION, CONTENT_TYPE, DATE, SERVER};
use http::{HeaderValue, Response, StatusCode};

use crate::body::Reply;
use crate::head::Refusal;

const SERVER_NAME: &str = "gimmetime-balancer";
const TEXT: &str = "text/plain; charset=utf-8";

/// The whole answer to a request that was refused; the connection closes after it.
pub(crate) fn refusal(refusal: Refusal) -> Bytes {
    let line = status_line(refusal.status());
    let date = date();
    let date = String::from_utf8_lossy(&date);
    let length = line.len() + 1;
    Bytes::from(format!(
        "HTTP/1.1 {line}\r\nServer: {SERVER_NAME}\r\nDate: {date}\r\nContent-Type: {TEXT}\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n{line}\n"
    ))
}

/// The reply when no target gave one; the connection closes after a client's fault, and stays after ours.
pub(crate) fn reply(status: StatusCode) -> Response<Reply> {
    let body = Bytes::from(status_line(status.as_u16()) + "\n");
    let mut response = Response::new(Reply::whole(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(SERVER, HeaderValue::from_static(SERVER_NAME));
    headers.insert(DATE, HeaderValue::from_bytes(&date()).expect("a date is visible ASCII"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(TEXT));
    if status.is_client_error() {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Code and reason phrase; 460 and 463 are the ALB's own.
fn status_line(status: u16) -> String {
    let reason = match status {
        460 => "Client Closed Request",
        463 => "Too Many Forwarded Addresses",
        _ => StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("Error"),
    };
    format!("{status} {reason}")
}

fn date() -> [u8; 29] {
    let mut date = [0; 29];
    reply::write_imf_fixdate(source::wall(), &mut date);
    date
}

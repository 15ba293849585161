//! What changes in the headers on their way through, in both directions. Pure.

use std::net::SocketAddr;

use http::header::{
    CONNECTION, CONTENT_LENGTH, EXPECT, Entry, HOST, HeaderMap, HeaderName, HeaderValue, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE,
};
use http::uri::{PathAndQuery, Uri};

use crate::trace;

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// The header that a trace goes on with.
pub(crate) const X_AMZN_TRACE_ID: HeaderName = HeaderName::from_static("x-amzn-trace-id");

/// Where a request came from, and in by which of our addresses.
#[derive(Debug)]
pub(crate) struct Way {
    pub(crate) client: SocketAddr,
    pub(crate) local: SocketAddr,
    /// The same as header values, written once a connection.
    client_value: HeaderValue,
    port_value: HeaderValue,
}

impl Way {
    pub(crate) fn new(client: SocketAddr, local: SocketAddr) -> Self {
        let client_text = client.ip().to_canonical().to_string();
        let client_value = HeaderValue::try_from(client_text).expect("an address is visible ASCII");
        Self { client, local, client_value, port_value: HeaderValue::from(local.port()) }
    }
}

/// Makes a client's headers ready for a target: hop-by-hop fields go, where it came from is added. `trace` is a new id.
///
/// `Transfer-Encoding` stays, which can only be `chunked` here: without it the HTTP library sends a GET without its body.
pub(crate) fn request(headers: &mut HeaderMap, uri: &Uri, way: &Way, trace: &str) {
    strip_hop_by_hop(headers);
    // The expectation was met by our own `100 Continue`.
    headers.remove(EXPECT);
    set_host(headers, uri, way.local);
    add_forwarded_for(headers, &way.client_value);
    headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static("http"));
    headers.insert(X_FORWARDED_PORT, way.port_value.clone());
    let received = headers.get(X_AMZN_TRACE_ID).and_then(|value| value.to_str().ok());
    let extended = trace::extend(received, trace);
    headers.insert(X_AMZN_TRACE_ID, HeaderValue::try_from(extended).expect("it consists of visible ASCII"));
}

/// The request target in the form that an origin server expects, path and query (RFC 9112 §3.2.1), if it is not in that.
pub(crate) fn origin_form(uri: &Uri) -> Option<Uri> {
    uri.authority()?;
    Some(Uri::from(uri.path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"))))
}

/// Makes a target's headers ready for a client.
pub(crate) fn reply(headers: &mut HeaderMap) {
    strip_hop_by_hop(headers);
    // Its chunks were counted on their way in: a length beside them was never true (RFC 9112 §6.3).
    if headers.remove(TRANSFER_ENCODING).is_some() {
        headers.remove(CONTENT_LENGTH);
    }
}

/// Takes out the fields that are between two neighbours only (RFC 9110 §7.6.1), but for the one that frames the body.
fn strip_hop_by_hop(headers: &mut HeaderMap) {
    if let Entry::Occupied(connection) = headers.entry(CONNECTION) {
        let (_, values) = connection.remove_entry_mult();
        let named: Vec<HeaderName> = values.filter_map(|value| named_fields(&value)).flatten().collect();
        for name in named {
            headers.remove(name);
        }
    }
    for name in [KEEP_ALIVE, PROXY_CONNECTION, TE, TRAILER, UPGRADE] {
        headers.remove(name);
    }
}

/// The fields that a `Connection` header names; never those that say what the message is and where it goes.
fn named_fields(value: &HeaderValue) -> Option<Vec<HeaderName>> {
    let names = value.to_str().ok()?.split(',').map(str::trim);
    let options = names.filter(|name| !name.eq_ignore_ascii_case("close") && !name.eq_ignore_ascii_case("keep-alive"));
    let kept = |name: &HeaderName| [HOST, CONTENT_LENGTH, TRANSFER_ENCODING].contains(name);
    Some(options.filter_map(|name| HeaderName::try_from(name).ok()).filter(|name| !kept(name)).collect())
}

/// The host of an absolute target counts before the header (RFC 9112 §3.2.2); HTTP/1.0 may have neither.
fn set_host(headers: &mut HeaderMap, uri: &Uri, local: SocketAddr) {
    let host = match uri.authority() {
        Some(authority) => authority.as_str().rsplit('@').next().unwrap_or_default().to_owned(),
        None if headers.contains_key(HOST) => return,
        None => local.to_string(),
    };
    headers.insert(HOST, HeaderValue::try_from(host).expect("an authority is visible ASCII"));
}

fn add_forwarded_for(headers: &mut HeaderMap, client: &HeaderValue) {
    if !headers.contains_key(X_FORWARDED_FOR) {
        headers.insert(X_FORWARDED_FOR, client.clone());
        return;
    }
    let mut list = Vec::new();
    for before in headers.get_all(X_FORWARDED_FOR) {
        if !before.is_empty() {
            list.extend_from_slice(before.as_bytes());
            list.extend_from_slice(b", ");
        }
    }
    list.extend_from_slice(client.as_bytes());
    headers.insert(X_FORWARDED_FOR, HeaderValue::try_from(list).expect("it consists of valid values"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prepared(uri: &str, fields: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        let way = Way::new(([10, 0, 0, 9], 1234).into(), ([127, 0, 0, 1], 8080).into());
        request(&mut headers, &uri.parse().unwrap(), &way, "1-2-3");
        headers
    }

    #[track_caller]
    fn has(headers: &HeaderMap, name: &str, value: &str) {
        let all: Vec<_> = headers.get_all(name).iter().collect();
        assert_eq!(all, [value], "{name}");
    }

    #[test]
    fn where_a_request_came_from_is_added_and_its_host_kept() {
        let headers = prepared("/now", &[("host", "time.example"), ("accept", "*/*")]);
        has(&headers, "host", "time.example");
        has(&headers, "accept", "*/*");
        has(&headers, "x-forwarded-for", "10.0.0.9");
        has(&headers, "x-forwarded-proto", "http");
        has(&headers, "x-forwarded-port", "8080");
        has(&headers, "x-amzn-trace-id", "Root=1-2-3");
    }

    #[test]
    fn the_client_is_appended_to_those_before_it_and_cannot_choose_protocol_and_port() {
        let headers = prepared(
            "/",
            &[
                ("x-forwarded-for", "1.1.1.1, 2.2.2.2"),
                ("x-forwarded-for", "3.3.3.3"),
                ("x-forwarded-proto", "https"),
                ("x-forwarded-port", "443"),
            ],
        );
        has(&headers, "x-forwarded-for", "1.1.1.1, 2.2.2.2, 3.3.3.3, 10.0.0.9");
        has(&headers, "x-forwarded-proto", "http");
        has(&headers, "x-forwarded-port", "8080");
    }

    #[test]
    fn hop_by_hop_fields_end_here() {
        let headers = prepared(
            "/",
            &[
                ("connection", "keep-alive, X-Secret"),
                ("connection", "upgrade, host, transfer-encoding, x-forwarded-for"),
                ("x-secret", "1"),
                ("host", "a"),
                ("keep-alive", "timeout=5"),
                ("proxy-connection", "close"),
                ("te", "trailers"),
                ("trailer", "a"),
                ("transfer-encoding", "chunked"),
                ("upgrade", "h2c"),
                ("expect", "100-continue"),
            ],
        );
        let mut names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        let added = ["x-amzn-trace-id", "x-forwarded-for", "x-forwarded-port", "x-forwarded-proto"];
        assert_eq!(names, [&["host", "transfer-encoding"], added.as_slice()].concat());
    }

    #[test]
    fn a_reply_has_its_length_unless_it_came_in_chunks() {
        let mut headers = HeaderMap::from_iter([(CONTENT_LENGTH, HeaderValue::from(3))]);
        headers.insert(CONNECTION, HeaderValue::from_static("content-length"));
        reply(&mut headers);
        has(&headers, "content-length", "3");
        headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        reply(&mut headers);
        assert!(headers.is_empty(), "{headers:?}");
    }

    #[test]
    fn an_absolute_target_names_the_host_and_goes_on_as_a_path() {
        let headers = prepared("http://time.example:81/now?x", &[("host", "other")]);
        has(&headers, "host", "time.example:81");
        assert_eq!(origin_form(&"http://time.example:81/now?x".parse().unwrap()).unwrap(), "/now?x");
        assert_eq!(origin_form(&"http://time.example".parse().unwrap()).unwrap(), "/");
        assert_eq!(origin_form(&"/now".parse().unwrap()), None);
        has(&prepared("/", &[]), "host", "127.0.0.1:8080");
    }
}

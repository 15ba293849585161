//! Request heads: where one ends, and what it asks for. Pure; the grammar itself is `httparse`'s.

use crate::body::{Framing, MAX_BODY};
use crate::reply::Status;
use crate::witness;

/// The request line, its end included: what a load balancer lets through passes here.
pub(crate) const MAX_LINE: usize = 16 * 1024;
/// The whole head, its end included.
pub(crate) const MAX_HEAD: usize = 32 * 1024;
/// Header fields in a head.
pub(crate) const MAX_HEADERS: usize = 64;

/// What a request asks for: all of it that bears on the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) target: Target,
    pub(crate) method: Method,
    pub(crate) persistence: Persistence,
    pub(crate) framing: Framing,
    /// `Expect: 100-continue`: the client holds its body back until it hears from us.
    pub(crate) waits_for_continue: bool,
    /// The load balancer's second, if it stamped one.
    pub(crate) stamped_seconds: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Now,
    Live,
    Health,
    Unknown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    Head,
    Other,
}

/// Whether the client wants the connection for more (RFC 9112 §9.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Persistence {
    /// HTTP/1.1, unless it says otherwise.
    Stays,
    /// HTTP/1.0 that says `keep-alive`, and must hear it back.
    StaysIfTold,
    Closes,
}

/// Where the head at the front of some bytes ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// Not in these bytes.
    Open,
    /// After that many.
    Ends(usize),
    /// It is none, or too long.
    Refused(Status),
}

/// Finds the end of the head that `bytes` begin with; empty lines before it are gone already.
///
/// `seen` of the bytes were looked at before and had no end. What it returns is the same however the bytes were split.
pub(crate) fn extent(bytes: &[u8], seen: usize) -> Extent {
    // TLS to this port, or any other protocol: no need to wait for its end.
    if bytes.first().is_some_and(|byte| !byte.is_ascii_graphic()) {
        return Extent::Refused(Status::BadRequest);
    }
    let end = (seen.saturating_sub(3)..bytes.len()).find_map(|at| match bytes[at..] {
        [b'\n', b'\n', ..] => Some(at + 2),
        [b'\n', b'\r', b'\n', ..] => Some(at + 3),
        _ => None,
    });
    let long_line = MAX_LINE <= bytes.len() && !bytes[..MAX_LINE].contains(&b'\n');
    match end {
        _ if long_line => Extent::Refused(Status::UriTooLong),
        Some(end) if end <= MAX_HEAD => Extent::Ends(end),
        None if bytes.len() < MAX_HEAD => Extent::Open,
        _ => Extent::Refused(Status::HeadersTooLarge),
    }
}

/// Reads a whole head. The error is the status to refuse it with.
pub(crate) fn parse(head: &[u8]) -> Result<Request, Status> {
    let mut fields = [const { std::mem::MaybeUninit::uninit() }; MAX_HEADERS];
    let mut parsed = httparse::Request::new(&mut []);
    match parsed.parse_with_uninit_headers(head, &mut fields) {
        Ok(httparse::Status::Complete(_)) => {}
        Err(httparse::Error::TooManyHeaders) => return Err(Status::HeadersTooLarge),
        Err(_) if names_another_version(head) => return Err(Status::VersionNotSupported),
        Ok(httparse::Status::Partial) | Err(_) => return Err(Status::BadRequest),
    }
    let old = parsed.version == Some(0);
    let fields = Fields::read(parsed.headers)?;
    if 1 < fields.hosts || (fields.hosts == 0 && !old) {
        return Err(Status::BadRequest);
    }
    Ok(Request {
        target: target(parsed.path.unwrap_or_default()),
        method: match parsed.method {
            Some("GET") => Method::Get,
            Some("HEAD") => Method::Head,
            _ => Method::Other,
        },
        persistence: match (fields.says_close, old, fields.says_keep_alive) {
            (true, ..) | (_, true, false) => Persistence::Closes,
            (_, true, true) => Persistence::StaysIfTold,
            (_, false, _) => Persistence::Stays,
        },
        framing: fields.framing(old)?,
        waits_for_continue: fields.waits_for_continue && !old,
        stamped_seconds: fields.stamped_seconds,
    })
}

impl Request {
    /// Whether it announces more body than anybody here would throw away.
    pub(crate) fn is_too_large(&self) -> bool {
        matches!(self.framing, Framing::Length(length) if MAX_BODY < length)
    }
}

/// The header fields that bear on the answer.
#[derive(Default)]
struct Fields {
    hosts: usize,
    length: Option<u64>,
    /// Transfer codings; the last one seen is known to be `chunked` or not.
    codings: usize,
    chunked: bool,
    says_close: bool,
    says_keep_alive: bool,
    waits_for_continue: bool,
    stamped_seconds: Option<u32>,
}

impl Fields {
    fn read(headers: &[httparse::Header<'_>]) -> Result<Self, Status> {
        let mut fields = Self::default();
        for header in headers {
            let (name, value) = (header.name, header.value.trim_ascii());
            // Most names differ in length: comparing without case costs nothing for them.
            if name.eq_ignore_ascii_case("Host") {
                fields.hosts += 1;
                if !value.iter().all(|byte| byte.is_ascii_graphic() && !b"/\\@,?#".contains(byte)) {
                    return Err(Status::BadRequest);
                }
            } else if name.eq_ignore_ascii_case("Connection") {
                fields.says_close |= tokens(value).any(|token| token.eq_ignore_ascii_case(b"close"));
                fields.says_keep_alive |= tokens(value).any(|token| token.eq_ignore_ascii_case(b"keep-alive"));
            } else if name.eq_ignore_ascii_case("Content-Length") {
                let length = content_length(value).ok_or(Status::BadRequest)?;
                if fields.length.replace(length).is_some() {
                    return Err(Status::BadRequest);
                }
            } else if name.eq_ignore_ascii_case("Transfer-Encoding") {
                fields.codings += tokens(value).count().max(1);
                fields.chunked = value.eq_ignore_ascii_case(b"chunked");
            } else if name.eq_ignore_ascii_case("Expect") {
                if !value.eq_ignore_ascii_case(b"100-continue") {
                    return Err(Status::ExpectationFailed);
                }
                fields.waits_for_continue = true;
            } else if name.eq_ignore_ascii_case(witness::HEADER) && fields.stamped_seconds.is_none() {
                fields.stamped_seconds = witness::stamped_seconds(value);
            }
        }
        Ok(fields)
    }

    /// Where the body ends. Two answers to that are none: that is how requests are smuggled (RFC 9112 §6.1, §11.2).
    fn framing(&self, old: bool) -> Result<Framing, Status> {
        match (self.codings, self.length) {
            (0, None | Some(0)) => Ok(Framing::None),
            (0, Some(length)) => Ok(Framing::Length(length)),
            (_, Some(_)) => Err(Status::BadRequest),
            (_, None) if old => Err(Status::BadRequest),
            (1, None) if self.chunked => Ok(Framing::Chunked),
            (_, None) => Err(Status::NotImplemented),
        }
    }
}

/// Digits only; a number that does not fit is as large as any.
fn content_length(value: &[u8]) -> Option<u64> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(value.iter().fold(0_u64, |length, digit| length.saturating_mul(10).saturating_add(u64::from(digit - b'0'))))
}

fn tokens(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii).filter(|token| !token.is_empty())
}

/// The path decides; a query is ignored. A target in absolute form is as good (RFC 9112 §3.2.2).
fn target(uri: &str) -> Target {
    let uri = uri.split(['?', '#']).next().unwrap_or_default();
    let path = match uri.split_once("://") {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => rest.find('/').map_or("/", |at| &rest[at..]),
        _ => uri,
    };
    match path {
        "/now" => Target::Now,
        "/live" => Target::Live,
        "/health" => Target::Health,
        _ => Target::Unknown,
    }
}

/// Whether the request line ends in a version of HTTP, which then is one we do not speak.
fn names_another_version(head: &[u8]) -> bool {
    let line = head.split(|&byte| byte == b'\n').next().unwrap_or_default().trim_ascii_end();
    let version = line.rsplit(|&byte| byte == b' ').next().unwrap_or_default();
    match version.strip_prefix(b"HTTP/") {
        Some([major, b'.', minor]) => {
            major.is_ascii_digit() && minor.is_ascii_digit() && !matches!((major, minor), (b'1', b'0' | b'1'))
        }
        Some([major]) => major.is_ascii_digit(),
        _ => false,
    }
}

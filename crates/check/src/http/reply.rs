//! A reply: its head, its body, and when each part had come.

use std::ops::Range;
use std::time::Duration;

use gimmetime_clock::Now;

use super::Fault;
use super::body::Framing;

/// More header fields than this are refused.
const MAX_FIELDS: usize = 64;

/// One reply and its moments on our clock.
///
/// What a reply says was determined before its bytes were sent, so a bound uses the read that completed the part that says it
/// (`head_done`, `done`); in the usual case all three are the same read.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status code, 200..=999; interim replies are skipped.
    pub status: u16,
    /// The raw head, its empty line included.
    pub head: Vec<u8>,
    /// The body, without its framing, up to the limit.
    pub body: Vec<u8>,
    /// Whether the body went on beyond the limit.
    pub body_cut: bool,
    /// Right before the request was written.
    pub sent: Now,
    /// Right after the read that returned the first byte.
    pub received: Now,
    /// Right after the read that completed the head.
    pub head_done: Now,
    /// Right after the read that completed the body.
    pub done: Now,
    pub(super) fields: Vec<(Range<usize>, Range<usize>)>,
}

impl Reply {
    /// The header fields in their order: names as sent (ASCII), values without surrounding space.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.fields.iter().map(|(name, value)| {
            let name =
                str::from_utf8(&self.head[name.clone()]).expect("httparse lets only token characters into a name");
            (name, &self.head[value.clone()])
        })
    }

    /// The first field of that name, in any case.
    pub fn header(&self, wanted: &str) -> Option<&[u8]> {
        self.headers().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value)
    }

    /// From before the write to the first byte.
    pub fn round_trip(&self) -> Duration {
        self.received.mono.since(self.sent.mono)
    }

    /// Whether the status is 2xx or 3xx.
    pub fn is_success(&self) -> bool {
        (200..400).contains(&self.status)
    }

    /// The body as text: what is not UTF-8 is replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

#[cfg(test)]
impl Reply {
    /// A reply as the client would return it, for simulations; all parts come at once.
    pub(crate) fn simulated(head: &str, body: &[u8], sent: Now, received: Now) -> Self {
        let parsed = parse_head(head.as_bytes()).unwrap().unwrap();
        Self {
            status: parsed.status,
            head: head.as_bytes().to_vec(),
            body: body.to_vec(),
            body_cut: false,
            sent,
            received,
            head_done: received,
            done: received,
            fields: parsed.fields,
        }
    }
}

/// A head as read: everything but moments and body.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) status: u16,
    pub(super) length: usize,
    pub(super) fields: Vec<(Range<usize>, Range<usize>)>,
    pub(super) framing: Framing,
    pub(super) keeps_alive: bool,
}

/// Reads a head from the start of `buffer`; `None` if it is not complete yet.
pub(super) fn parse_head(buffer: &[u8]) -> Result<Option<Head>, Fault> {
    let mut slots = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut parsed = httparse::Response::new(&mut slots);
    let length = match parsed.parse(buffer) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(cause) => return Err(Fault::Malformed(cause.to_string())),
    };
    let status = parsed.code.expect("a complete head has a status code");
    let start = buffer.as_ptr() as usize;
    let place = |part: &[u8]| {
        let from = part.as_ptr() as usize - start;
        from..from + part.len()
    };
    let fields = parsed.headers.iter().map(|field| (place(field.name.as_bytes()), place(field.value))).collect();
    let framing = framing(status, parsed.headers)?;
    let keeps_alive = keeps_alive(parsed.version == Some(1), parsed.headers) && framing != Framing::UntilClose;
    Ok(Some(Head { status, length, fields, framing, keeps_alive }))
}

/// RFC 9112 §6.3, for the reply to a GET.
fn framing(status: u16, headers: &[httparse::Header<'_>]) -> Result<Framing, Fault> {
    if status < 200 || status == 204 || status == 304 {
        return Ok(Framing::Length(0));
    }
    let codings: Vec<_> = tokens(headers, "transfer-encoding").collect();
    if let Some(last) = codings.last() {
        return match last.eq_ignore_ascii_case(b"chunked") {
            true if codings.len() == 1 => Ok(Framing::Chunked),
            true => Err(Fault::Malformed("a transfer coding besides chunked was not asked for".to_owned())),
            false => Ok(Framing::UntilClose),
        };
    }
    let mut length = None;
    for text in tokens(headers, "content-length") {
        let number = str::from_utf8(text).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        let number: Option<u64> = number.and_then(|text| text.parse().ok());
        if number.is_none() || (length.is_some() && length != number) {
            return Err(Fault::Malformed("no single, readable Content-Length".to_owned()));
        }
        length = number;
    }
    Ok(length.map_or(Framing::UntilClose, Framing::Length))
}

/// RFC 9112 §9.3: 1.1 keeps the connection unless it says `close`, 1.0 only if it says `keep-alive`. A reply with both a
/// length and a coding may have been smuggled: its connection is not trusted with another one.
fn keeps_alive(is_1_1: bool, headers: &[httparse::Header<'_>]) -> bool {
    let says = |wanted: &str| tokens(headers, "connection").any(|token| token.eq_ignore_ascii_case(wanted.as_bytes()));
    let has = |wanted| tokens(headers, wanted).next().is_some();
    let ambiguous = has("transfer-encoding") && has("content-length");
    !ambiguous && !says("close") && (is_1_1 || says("keep-alive"))
}

/// The comma-separated members of all fields of that name.
fn tokens<'a>(headers: &'a [httparse::Header<'_>], name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    let fields = headers.iter().filter(move |field| field.name.eq_ignore_ascii_case(name));
    fields.flat_map(|field| field.value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn head(text: &str) -> Result<Option<Head>, Fault> {
        parse_head(text.as_bytes())
    }

    #[track_caller]
    fn frames(fields: &str, framing: Framing, keeps_alive: bool) {
        let head = head(&format!("HTTP/1.1 200 OK\r\n{fields}\r\n")).unwrap().unwrap();
        assert_eq!((head.framing, head.keeps_alive), (framing, keeps_alive), "{fields}");
    }

    #[test]
    fn the_body_ends_where_the_standard_says() {
        frames("Content-Length: 10\r\n", Framing::Length(10), true);
        frames("content-length: 10, 10\r\n", Framing::Length(10), true);
        frames("Transfer-Encoding: chunked\r\n", Framing::Chunked, true);
        frames("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", Framing::Chunked, false);
        frames("Content-Length: 10\r\nConnection: Close\r\n", Framing::Length(10), false);
        frames("", Framing::UntilClose, false);
        assert_eq!(head("HTTP/1.1 304 N\r\nContent-Length: 9\r\n\r\n").unwrap().unwrap().framing, Framing::Length(0));
        assert!(!head("HTTP/1.0 200 OK\r\nContent-Length: 9\r\n\r\n").unwrap().unwrap().keeps_alive);
    }

    #[test]
    fn two_lengths_or_none_readable_are_malformed() {
        for fields in ["Content-Length: 1\r\nContent-Length: 2", "Content-Length: +1", "Content-Length:"] {
            assert!(
                matches!(head(&format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\n")), Err(Fault::Malformed(_))),
                "{fields}"
            );
        }
        assert!(matches!(head("SSH-2.0-OpenSSH_9.2\r\n"), Err(Fault::Malformed(_))));
    }

    proptest! {
        #[test]
        fn no_bytes_whatever_make_the_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), cut in 0_usize..100) {
            let _ = parse_head(&bytes);
            let mut good = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\nGimmetime-Instance: a\r\n\r\n".to_vec();
            good.truncate(cut);
            good.extend_from_slice(&bytes);
            let _ = parse_head(&good);
        }
    }
}

//! Replies: rendered into a buffer that is already there. Pure.

use gimmetime_clock::Timestamp;
use gimmetime_clock::reply::{
    IMF_FIXDATE_LENGTH, INSTANCE, RECEIVED, SENT, format_body, format_stamp, write_imf_fixdate,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Ok,
    BadRequest,
    NotFound,
    MethodNotAllowed,
    RequestTimeout,
    ContentTooLarge,
    UriTooLong,
    ExpectationFailed,
    HeadersTooLarge,
    NotImplemented,
    Unavailable,
    VersionNotSupported,
}

impl Status {
    /// The status line, and what the body says of it.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Ok => ("200 OK", "ok\n"),
            Self::BadRequest => ("400 Bad Request", "this is no HTTP request, or not an unambiguous one\n"),
            Self::NotFound => ("404 Not Found", "there are /now, /live and /health\n"),
            Self::MethodNotAllowed => ("405 Method Not Allowed", "only GET and HEAD are answered\n"),
            Self::RequestTimeout => ("408 Request Timeout", "the request took too long to arrive\n"),
            Self::ContentTooLarge => ("413 Content Too Large", "a body has no use here, and this one is too large\n"),
            Self::UriTooLong => ("414 URI Too Long", "the request line is longer than 16 KiB\n"),
            Self::ExpectationFailed => ("417 Expectation Failed", "only 100-continue can be expected\n"),
            Self::HeadersTooLarge => {
                ("431 Request Header Fields Too Large", "more than 64 header fields, or more than 32 KiB\n")
            }
            Self::NotImplemented => ("501 Not Implemented", "the only transfer coding known here is chunked\n"),
            Self::Unavailable => ("503 Service Unavailable", "too many connections\n"),
            Self::VersionNotSupported => {
                ("505 HTTP Version Not Supported", "only versions 1.0 and 1.1 are spoken here\n")
            }
        }
    }
}

/// What a reply carries.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Content<'a> {
    /// The time at which it is sent.
    Now,
    Text(&'a str),
    /// What there is to say about the status.
    OfStatus,
}

/// What a reply says about the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Nothing, so it stays.
    Stays,
    /// `keep-alive`, for a client of HTTP/1.0.
    StaysAsTold,
    Closes,
}

/// One reply, but for the moment it is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reply<'a> {
    pub(crate) status: Status,
    pub(crate) content: Content<'a>,
    /// The client asked for the head only.
    pub(crate) head_only: bool,
    pub(crate) fate: Fate,
    pub(crate) instance: &'a str,
    pub(crate) received: Timestamp,
}

impl Reply<'_> {
    /// Appends the reply as sent at `sent`: `Date`, stamp and body are this one reading, cut.
    pub(crate) fn write(&self, sent: Timestamp, out: &mut Vec<u8>) {
        let (line, words) = self.status.words();
        let now = format_body(sent);
        let content = match self.content {
            Content::Now => &now[..],
            Content::Text(text) => text.as_bytes(),
            Content::OfStatus => words.as_bytes(),
        };
        let mut date = [0; IMF_FIXDATE_LENGTH];
        write_imf_fixdate(sent, &mut date);
        let mut put = |parts: &[&[u8]]| parts.iter().for_each(|part| out.extend_from_slice(part));
        put(&[b"HTTP/1.1 ", line.as_bytes()]);
        put(&[
            b"\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: ",
            decimal(content.len(), &mut [0; 20]),
        ]);
        put(&[b"\r\nCache-Control: no-store\r\nDate: ", &date]);
        put(&[b"\r\n", INSTANCE.as_bytes(), b": ", self.instance.as_bytes()]);
        put(&[b"\r\n", RECEIVED.as_bytes(), b": ", &format_stamp(self.received)]);
        put(&[b"\r\n", SENT.as_bytes(), b": ", &format_stamp(sent)]);
        if self.status == Status::MethodNotAllowed {
            put(&[b"\r\nAllow: GET, HEAD"]);
        }
        put(&[match self.fate {
            Fate::Stays => b"",
            Fate::StaysAsTold => b"\r\nConnection: keep-alive",
            Fate::Closes => b"\r\nConnection: close",
        }]);
        put(&[b"\r\n\r\n", if self.head_only { b"" } else { content }]);
    }
}

/// A number in as many digits as it needs, written into the end of `room`.
fn decimal(mut number: usize, room: &mut [u8; 20]) -> &[u8] {
    let mut start = room.len();
    loop {
        start -= 1;
        room[start] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return &room[start..];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gimmetime_clock::reply::Readings;
    use proptest::prelude::*;

    const SENT_AT: Timestamp = Timestamp::from_nanos(1_795_342_020_123_456_789);

    fn written(status: Status, content: Content<'_>, head_only: bool, fate: Fate) -> String {
        let received = Timestamp::from_nanos(SENT_AT.as_nanos() - 1000);
        let mut out = Vec::new();
        Reply { status, content, head_only, fate, instance: "0123456789ab", received }.write(SENT_AT, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_time_is_written_byte_for_byte_as_ever() {
        let wanted = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 10\r\n\
            Cache-Control: no-store\r\nDate: Sun, 22 Nov 2026 10:07:00 GMT\r\nGimmetime-Instance: 0123456789ab\r\n\
            Gimmetime-Received: 1795342020.123455789\r\nGimmetime-Sent: 1795342020.123456789\r\n\r\n1795342020";
        assert_eq!(written(Status::Ok, Content::Now, false, Fate::Stays), wanted);
        let head = written(Status::Ok, Content::Now, true, Fate::Stays);
        assert_eq!(head, wanted.strip_suffix("1795342020").unwrap());
    }

    #[test]
    fn a_refusal_says_what_is_allowed_and_that_it_closes() {
        let reply = written(Status::MethodNotAllowed, Content::OfStatus, false, Fate::Closes);
        assert!(reply.contains("\r\nAllow: GET, HEAD\r\nConnection: close\r\n\r\nonly GET"), "{reply}");
    }

    proptest! {
        #[test]
        fn any_moment_is_read_back_as_it_was_written(nanos in 0..i64::MAX, wait in 0_i64..1 << 40) {
            let (received, sent) = (Timestamp::from_nanos(nanos.saturating_sub(wait).max(0)), Timestamp::from_nanos(nanos));
            let reply = Reply { status: Status::Ok, content: Content::Now, head_only: false, fate: Fate::Stays, instance: "a", received };
            let mut out = Vec::new();
            reply.write(sent, &mut out);
            let mut headers = [httparse::EMPTY_HEADER; 16];
            let mut parsed = httparse::Response::new(&mut headers);
            let length = parsed.parse(&out).unwrap().unwrap();
            let readings = Readings::read(parsed.headers.iter().map(|header| (header.name, header.value)), &out[length..]);
            let second = Timestamp::from_secs(sent.unix_seconds());
            prop_assert_eq!((readings.received, readings.sent, readings.date), (Some(received), Some(sent), Some(second)));
            prop_assert_eq!(readings.body, u64::try_from(sent.unix_seconds()).ok());
        }
    }
}

//! Where one raw request head ends, whether it may pass, and how long the body behind it is. Pure.
//!
//! Owns every judgement on what a client sent before HTTP is spoken: limits, syntax, framing. Where RFC 9112 lets a recipient
//! choose between mending and refusing, it refuses: what two parsers may read differently never reaches the second one.
//! Results depend on the bytes alone, never on how they were split on their way.

mod chunks;
mod fields;
#[cfg(test)]
mod tests;

pub(crate) use chunks::Chunks;
use fields::Fields;

/// Longest request line (method, target, version) in bytes without its end; the ALB's limit.
pub(crate) const REQUEST_LINE_LIMIT: usize = 16 * 1024;
/// Longest header field line in bytes without its end; the ALB's limit.
pub(crate) const HEADER_LIMIT: usize = 16 * 1024;
/// All header field lines together in bytes; the ALB's limit.
pub(crate) const HEADERS_LIMIT: usize = 64 * 1024;
/// Most header fields: what the HTTP library behind this parses without an allocation. (The ALB limits their size only.)
pub(crate) const HEADER_COUNT_LIMIT: usize = 100;
/// Most addresses in `X-Forwarded-For`; the ALB's limit.
pub(crate) const FORWARDED_LIMIT: usize = 30;
/// Most empty lines in front of a request line (RFC 9112 §2.2 asks to skip at least one).
const EMPTY_LINES_LIMIT: usize = 4;
const LINE_END: usize = 2;

/// Why a request is answered here and its connection closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Not HTTP/1, or HTTP/1 that two parsers may read differently; with what is wrong.
    Malformed(&'static str),
    /// A header field, or all of them, or their number, beyond the limits.
    HeadersTooLarge,
    /// `TRACE` and `CONNECT`, which a reverse proxy does not serve.
    MethodNotAllowed,
    /// The client stopped in the middle of a request for the idle timeout.
    Timeout,
    /// Beyond [`REQUEST_LINE_LIMIT`].
    RequestLineTooLong,
    /// Beyond [`FORWARDED_LIMIT`].
    TooManyForwarded,
    /// A transfer coding other than `chunked`.
    UnknownTransferCoding,
    /// Neither HTTP/1.1 nor HTTP/1.0.
    UnknownVersion,
}

impl Refusal {
    /// The status code that the ALB answers with.
    pub(crate) fn status(self) -> u16 {
        match self {
            Self::Malformed(_) | Self::HeadersTooLarge => 400,
            Self::MethodNotAllowed => 405,
            Self::Timeout => 408,
            Self::RequestLineTooLong => 414,
            Self::TooManyForwarded => 463,
            Self::UnknownTransferCoding => 501,
            Self::UnknownVersion => 505,
        }
    }
}

/// How long the body behind a head is (RFC 9112 §6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// So many bytes; 0 for none.
    Length(u64),
    /// Chunks, the last of which is empty.
    Chunked,
}

/// A request head that may pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    /// Bytes of empty lines in front of it.
    pub(crate) skip: usize,
    /// Where it ends, counted from the same start; the body begins there.
    pub(crate) end: usize,
    /// How long the body is.
    pub(crate) framing: Framing,
}

/// Finds the end of one head while its bytes arrive, and classifies it on the way.
#[derive(Debug, Default)]
pub(crate) struct Finder {
    scanned: usize,
    line_start: usize,
    empty_lines: usize,
    headers_start: Option<usize>,
    fields: Fields,
}

impl Finder {
    /// The head, once `bytes` hold all of it; `None` while they do not.
    ///
    /// `bytes` begin where the head was expected; each call gets all that the call before got, and more.
    pub(crate) fn advance(&mut self, bytes: &[u8]) -> Result<Option<Head>, Refusal> {
        while let Some(at) = bytes[self.scanned..].iter().position(|byte| *byte == b'\n') {
            let end = self.scanned + at + 1;
            self.check_size(end)?;
            let line = &bytes[self.line_start..end];
            self.scanned = end;
            self.line_start = end;
            let Some(text) = line.strip_suffix(b"\r\n") else {
                return Err(Refusal::Malformed("a line that ends without CR"));
            };
            if let Some(head) = self.line(text, end)? {
                return Ok(Some(head));
            }
        }
        self.scanned = bytes.len();
        self.check_size(bytes.len())?;
        Ok(None)
    }

    fn line(&mut self, text: &[u8], end: usize) -> Result<Option<Head>, Refusal> {
        match (self.headers_start, text.is_empty()) {
            (None, true) => {
                self.empty_lines += 1;
                if EMPTY_LINES_LIMIT < self.empty_lines {
                    return Err(Refusal::Malformed("empty lines in place of a request"));
                }
            }
            (None, false) => {
                self.fields.request_line(text)?;
                self.headers_start = Some(end);
            }
            (Some(_), false) => self.fields.header(text)?,
            (Some(_), true) => {
                let framing = self.fields.conclude()?;
                return Ok(Some(Head { skip: self.empty_lines * LINE_END, end, framing }));
            }
        }
        Ok(None)
    }

    /// Refuses the line that has begun at `line_start` and reaches at least to `end`, if that is too far.
    fn check_size(&self, end: usize) -> Result<(), Refusal> {
        let line = end - self.line_start;
        match self.headers_start {
            None if REQUEST_LINE_LIMIT + LINE_END < line => Err(Refusal::RequestLineTooLong),
            Some(_) if HEADER_LIMIT + LINE_END < line => Err(Refusal::HeadersTooLarge),
            Some(start) if HEADERS_LIMIT + LINE_END < end - start => Err(Refusal::HeadersTooLarge),
            _ => Ok(()),
        }
    }
}

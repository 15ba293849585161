//! What one request line and its header fields say, as far as it decides whether and how the request may pass.

use http::Uri;

use super::{FORWARDED_LIMIT, Framing, HEADER_COUNT_LIMIT, Refusal};

/// Gathered line by line; judged as a whole by [`Fields::conclude`].
#[derive(Debug, Default)]
pub(super) struct Fields {
    version_1_0: bool,
    count: usize,
    hosts: usize,
    length: Option<u64>,
    coding: Option<Coding>,
    forwarded: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Coding {
    Chunked,
    Unknown,
}

impl Fields {
    /// Takes the request line in, without its end.
    pub(super) fn request_line(&mut self, line: &[u8]) -> Result<(), Refusal> {
        let mut parts = line.splitn(3, |byte| *byte == b' ');
        let (Some(method), Some(target), Some(version)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(Refusal::Malformed("a request line of fewer than three parts"));
        };
        if !is_token(method) {
            return Err(Refusal::Malformed("a method that is not a token"));
        }
        self.version_1_0 = match version {
            b"HTTP/1.1" => false,
            b"HTTP/1.0" => true,
            other if is_version(other) => return Err(Refusal::UnknownVersion),
            _ => return Err(Refusal::Malformed("a version that is not HTTP's")),
        };
        if method == b"TRACE" || method == b"CONNECT" {
            return Err(Refusal::MethodNotAllowed);
        }
        check_target(method, target)
    }

    /// Takes one header field line in, without its end.
    pub(super) fn header(&mut self, line: &[u8]) -> Result<(), Refusal> {
        self.count += 1;
        if HEADER_COUNT_LIMIT < self.count {
            return Err(Refusal::HeadersTooLarge);
        }
        if matches!(line[0], b' ' | b'\t') {
            return Err(Refusal::Malformed("a header field folded over lines"));
        }
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            return Err(Refusal::Malformed("a header field without a colon"));
        };
        let (name, value) = (&line[..colon], &line[colon + 1..]);
        if !is_token(name) {
            return Err(Refusal::Malformed("a header name that is not a token"));
        }
        if !value.iter().all(|byte| is_value_byte(*byte)) {
            return Err(Refusal::Malformed("a control character in a header value"));
        }
        // Of what this trims, only spaces and tabs have got here (RFC 9110 §5.6.3).
        self.known(name, value.trim_ascii())
    }

    fn known(&mut self, name: &[u8], value: &[u8]) -> Result<(), Refusal> {
        // The lengths tell the four names apart, so that most headers cost one comparison of integers.
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => {
                self.hosts += 1;
                if !value.iter().all(|byte| is_host_byte(*byte)) {
                    return Err(Refusal::Malformed("a host that is not one"));
                }
            }
            14 if name.eq_ignore_ascii_case(b"content-length") => self.content_length(value)?,
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => self.transfer_encoding(value)?,
            15 if name.eq_ignore_ascii_case(b"x-forwarded-for") => {
                self.forwarded += value.split(|byte| *byte == b',').count();
            }
            _ => {}
        }
        Ok(())
    }

    /// How long the body is, once all fields are in; or what they say against each other.
    pub(super) fn conclude(&self) -> Result<Framing, Refusal> {
        if 1 < self.hosts || (self.hosts == 0 && !self.version_1_0) {
            return Err(Refusal::Malformed("not exactly one host"));
        }
        let framing = match (self.coding, self.length) {
            (Some(_), Some(_)) => return Err(Refusal::Malformed("both a length and a transfer coding")),
            (Some(_), None) if self.version_1_0 => return Err(Refusal::Malformed("a transfer coding in HTTP/1.0")),
            (Some(Coding::Unknown), None) => return Err(Refusal::UnknownTransferCoding),
            (Some(Coding::Chunked), None) => Framing::Chunked,
            (None, length) => Framing::Length(length.unwrap_or(0)),
        };
        if FORWARDED_LIMIT < self.forwarded {
            return Err(Refusal::TooManyForwarded);
        }
        Ok(framing)
    }

    fn content_length(&mut self, value: &[u8]) -> Result<(), Refusal> {
        let length = parse_length(value).ok_or(Refusal::Malformed("a content length that is not a number"))?;
        match self.length {
            Some(before) if before != length => Err(Refusal::Malformed("content lengths that differ")),
            _ => {
                self.length = Some(length);
                Ok(())
            }
        }
    }

    fn transfer_encoding(&mut self, value: &[u8]) -> Result<(), Refusal> {
        if self.coding.is_some() {
            return Err(Refusal::Malformed("more than one transfer coding header"));
        }
        if value.eq_ignore_ascii_case(b"chunked") {
            self.coding = Some(Coding::Chunked);
            return Ok(());
        }
        let mut codings = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).peekable();
        while let Some(coding) = codings.next() {
            let chunked_before_the_end = coding.eq_ignore_ascii_case(b"chunked") && codings.peek().is_some();
            if !is_token(coding) || chunked_before_the_end {
                return Err(Refusal::Malformed("a transfer coding that is not one"));
            }
        }
        self.coding = Some(Coding::Unknown);
        Ok(())
    }
}

fn check_target(method: &[u8], target: &[u8]) -> Result<(), Refusal> {
    let refused = Err(Refusal::Malformed("a request target that is not one"));
    match target {
        b"*" if method == b"OPTIONS" => Ok(()),
        [b'/', rest @ ..] if rest.iter().all(|byte| is_plain_target_byte(*byte)) => Ok(()),
        [] | [b'*', ..] => refused,
        // What is out of the ordinary is judged by the parser that will read it next, so that the two never differ.
        _ => match Uri::try_from(target) {
            Ok(_) if target.contains(&b'#') => refused,
            Ok(uri) if target[0] == b'/' && uri.host().is_none() => Ok(()),
            Ok(uri) if uri.scheme_str() == Some("http") && uri.host().is_some() && is_visible(target) => Ok(()),
            _ => refused,
        },
    }
}

fn parse_length(value: &[u8]) -> Option<u64> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    // The HTTP library keeps two values at the end of the range for itself.
    std::str::from_utf8(value).ok()?.parse().ok().filter(|length| *length <= u64::MAX >> 1)
}

fn is_version(text: &[u8]) -> bool {
    match text.strip_prefix(b"HTTP/") {
        Some([major] | [major, b'.', _]) if !major.is_ascii_digit() => false,
        Some([_]) => true,
        Some([_, b'.', minor]) => minor.is_ascii_digit(),
        _ => false,
    }
}

fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|byte| is_token_byte(*byte))
}

/// RFC 9110 §5.6.2
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn is_value_byte(byte: u8) -> bool {
    byte == b'\t' || (b' ' <= byte && byte != 0x7f)
}

fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b".-:[]_%~".contains(&byte)
}

fn is_plain_target_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"/-._~%?=&+:,;@!$'()*".contains(&byte)
}

fn is_visible(target: &[u8]) -> bool {
    target.iter().all(u8::is_ascii_graphic)
}

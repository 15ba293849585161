//! As much of HTTP/1.1 as a registry's client speaks.

use std::io::{self, BufRead};

/// A request as it came.
#[derive(Debug, Clone, Default)]
pub(crate) struct Asked {
    pub(crate) method: String,
    /// Without the query.
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) authorization: Option<String>,
    pub(crate) content_type: String,
    pub(crate) body: Vec<u8>,
}

#[derive(Debug, Clone)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Asked {
    /// A value of the query, its escapes undone.
    pub(crate) fn parameter(&self, name: &str) -> Option<String> {
        parameter(&self.query, name)
    }
}

/// A value of a query or a form, its escapes undone.
pub(super) fn parameter(query: &str, name: &str) -> Option<String> {
    let value = query.split('&').filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name)?.1;
    Some(percent_encoding::percent_decode_str(value).decode_utf8().unwrap().into_owned())
}

impl Response {
    pub(crate) fn new(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new() }
    }

    /// An error as registries have it.
    pub(crate) fn error(status: u16, code: &str, message: &str) -> Self {
        let body = serde_json::json!({ "errors": [{ "code": code, "message": message }] });
        Self::new(status).with("Content-Type", "application/json").body(body.to_string())
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn body(self, body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), ..self }
    }

    pub(crate) fn without(&mut self, name: &str) {
        self.headers.retain(|(header, _)| !header.eq_ignore_ascii_case(name));
    }

    pub(super) fn bytes(&self, is_head: bool) -> Vec<u8> {
        let mut lines = vec![format!("HTTP/1.1 {} x", self.status)];
        lines.extend(self.headers.iter().map(|(name, value)| format!("{name}: {value}")));
        if !self.is_chunked() && !self.ends_with_its_connection() {
            lines.push(format!("Content-Length: {}", self.body.len()));
        }
        lines.extend([String::new(), String::new()]);
        let mut bytes = lines.join("\r\n").into_bytes();
        if !is_head && self.is_chunked() {
            for chunk in self.body.chunks(100) {
                bytes.extend(format!("{:x}\r\n", chunk.len()).bytes().chain(chunk.iter().copied()).chain(*b"\r\n"));
            }
            bytes.extend(b"0\r\n\r\n");
        } else if !is_head {
            bytes.extend(&self.body);
        }
        bytes
    }

    fn is_chunked(&self) -> bool {
        self.headers.iter().any(|(name, _)| name == "Transfer-Encoding")
    }

    /// Then it needs no length.
    pub(super) fn ends_with_its_connection(&self) -> bool {
        self.headers.iter().any(|(name, _)| name == "Connection")
    }
}

/// The next request without its body, and the body's length.
pub(super) fn head(reader: &mut impl BufRead) -> io::Result<Option<(Asked, usize)>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_ascii_whitespace();
    let (method, target) = (words.next().unwrap().to_owned(), words.next().unwrap());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut asked = Asked { method, path: path.to_owned(), query: query.to_owned(), ..Asked::default() };
    let mut length = None;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        let value = value.trim().to_owned();
        match name.to_ascii_lowercase().as_str() {
            "authorization" => asked.authorization = Some(value),
            "content-type" => asked.content_type = value,
            "content-length" => length = Some(value.parse().unwrap()),
            "transfer-encoding" | "expect" => panic!("nothing is sent in chunks or on request: {line}"),
            _ => {}
        }
    }
    if matches!(asked.method.as_str(), "POST" | "PUT" | "PATCH") {
        assert!(length.is_some(), "a body has a length: {asked:?}");
    }
    Ok(Some((asked, length.unwrap_or(0))))
}

/// So many bytes of the request's body.
pub(super) fn body(reader: &mut impl BufRead, asked: &mut Asked, length: usize) -> io::Result<()> {
    asked.body = vec![0; length];
    reader.read_exact(&mut asked.body)
}

//! AWS Signature Version 4: checks the signatures of requests, and makes those of our own small client.
//!
//! Refuses what the protocol allows and no local client needs: unsigned payloads, presigned URLs, session tokens, paths other
//! than `/`. Source: AWS General Reference, "Create a signed AWS API request".

mod authorization;
#[cfg(test)]
mod tests;

use std::fmt::Write;
use std::net::SocketAddr;
use std::time::Duration;

use gimmetime_clock::{Timestamp, iso, reply};
use gimmetime_scheduler::model::REGION;
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use sha2::{Digest, Sha256};

use crate::{ApiError, Service};
use authorization::Authorization;

/// How far a request's date may be from ours, either way.
pub const CLOCK_SKEW: Duration = Duration::from_mins(5);

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const AMZ_DATE: &str = "x-amz-date";
const AMZ_TARGET: &str = "x-amz-target";
const CONTENT_SHA256: &str = "x-amz-content-sha256";
const SECURITY_TOKEN: &str = "x-amz-security-token";

/// The pair of keys that requests are signed with.
#[derive(Clone, PartialEq, Eq)]
pub struct Keys {
    /// Goes over the wire.
    pub access_key: String,
    /// Never does.
    pub secret_key: String,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys").field("access_key", &self.access_key).finish_non_exhaustive()
    }
}

/// What of a request is signed, besides its body.
#[derive(Debug, Clone, Copy)]
pub struct RequestParts<'a> {
    /// `POST`
    pub method: &'a Method,
    /// The path as sent.
    pub path: &'a str,
    /// All headers as sent.
    pub headers: &'a HeaderMap,
    /// The service whose operation is called.
    pub service: Service,
}

/// Why a request is not let in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// There is no `Authorization` header.
    #[error("Missing Authentication Token")]
    Missing,
    /// The header, or something it needs, is not there or malformed.
    #[error("{0}")]
    Incomplete(String),
    /// The access key is not ours, or came with a session token, which we never hand out.
    #[error("The security token included in the request is invalid.")]
    UnknownKey,
    /// The credential is for another region, service, or day.
    #[error("{0}")]
    Scope(String),
    /// The date is more than [`CLOCK_SKEW`] from ours.
    #[error("{0}")]
    Expired(String),
    /// The request was sent to another host, or through a name that is not ours (DNS rebinding).
    #[error("the request is for host `{got}`, this endpoint is `{want}`")]
    WrongHost {
        /// What the request says.
        got: String,
        /// Where we listen.
        want: SocketAddr,
    },
    /// The body is declared as not covered by the signature.
    #[error("x-amz-content-sha256 is not the hash of the body: a payload must be signed here")]
    UnsignedPayload,
    /// Another secret, or other bytes than were signed.
    #[error(
        "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details."
    )]
    Mismatch,
}

impl SignatureError {
    /// The error as `service` says it: its codes differ between the protocols.
    pub fn for_service(&self, service: Service) -> ApiError {
        let (json, query) = match self {
            Self::Missing => ("MissingAuthenticationTokenException", "MissingAuthenticationToken"),
            Self::Incomplete(_) => ("IncompleteSignatureException", "IncompleteSignature"),
            Self::UnknownKey => ("UnrecognizedClientException", "InvalidClientTokenId"),
            Self::Expired(_) => ("RequestExpired", "RequestExpired"),
            Self::Scope(_) | Self::WrongHost { .. } | Self::UnsignedPayload | Self::Mismatch => {
                ("InvalidSignatureException", "SignatureDoesNotMatch")
            }
        };
        if service.is_query() {
            ApiError::new(query, self.to_string()).with_status(StatusCode::FORBIDDEN)
        } else {
            ApiError::new(json, self.to_string())
        }
    }
}

/// Whether a request was signed with `keys`, for the called service, now, for `host`, exactly as it arrived.
pub fn verify(
    parts: &RequestParts<'_>,
    body: &[u8],
    keys: &Keys,
    now: Timestamp,
    host: SocketAddr,
) -> Result<(), SignatureError> {
    check_host(parts.headers, host)?;
    let authorization = Authorization::of(parts.headers)?;
    authorization.check_signs(parts.headers)?;
    if authorization.access_key != keys.access_key || parts.headers.contains_key(SECURITY_TOKEN) {
        return Err(SignatureError::UnknownKey);
    }
    let date = request_date(parts.headers)?;
    authorization.check_scope(parts.service, &date)?;
    check_date(&date, now)?;
    let hash = hex(&Sha256::digest(body));
    if parts.headers.get(CONTENT_SHA256).is_some_and(|declared| declared != hash.as_str()) {
        return Err(SignatureError::UnsignedPayload);
    }
    let canonical = canonical_request(parts, &authorization.signed_headers, &hash)?;
    let mac = signature(keys, parts.service, &date, &canonical);
    // `verify_slice` compares in constant time.
    mac.verify_slice(&authorization.signature).map_err(|_| SignatureError::Mismatch)
}

/// Signs a request by adding `x-amz-date` and `authorization` to its headers; all headers there are signed.
///
/// `host` must be among them.
pub fn sign(
    method: &Method,
    headers: &mut HeaderMap,
    body: &[u8],
    keys: &Keys,
    service: Service,
    now: Timestamp,
) -> Result<(), SignatureError> {
    let date = format_date(now);
    headers.insert(AMZ_DATE, HeaderValue::from_str(&date).expect("a date is digits and letters"));
    let mut names: Vec<String> = headers.keys().map(|name| name.as_str().to_owned()).collect();
    names.sort_unstable();
    let parts = RequestParts { method, path: "/", headers, service };
    let canonical = canonical_request(&parts, &names, &hex(&Sha256::digest(body)))?;
    let signature = hex(&signature(keys, service, &date, &canonical).finalize().into_bytes());
    let value = format!(
        "{ALGORITHM} Credential={}/{}, SignedHeaders={}, Signature={signature}",
        keys.access_key,
        scope(&date, service),
        names.join(";")
    );
    let value = HeaderValue::from_str(&value)
        .map_err(|_| SignatureError::Incomplete("the access key does not fit into a header".to_owned()))?;
    headers.insert(header::AUTHORIZATION, value);
    Ok(())
}

/// `20261122T100700Z`, as `X-Amz-Date` has it.
pub fn format_date(now: Timestamp) -> String {
    let text = iso::format(now);
    let seconds = text.split('.').next().unwrap_or(&text);
    format!("{}Z", seconds.replace(['-', ':'], ""))
}

/// The moment that a text like `20261122T100700Z` says.
fn parse_date(date: &str) -> Option<Timestamp> {
    let digits = |at: usize, length: usize| date.get(at..at + length);
    if date.len() != 16 || digits(8, 1)? != "T" {
        return None;
    }
    let (day, time) = (
        format!("{}-{}-{}", digits(0, 4)?, digits(4, 2)?, digits(6, 2)?),
        format!("{}:{}:{}{}", digits(9, 2)?, digits(11, 2)?, digits(13, 2)?, digits(15, 1)?),
    );
    iso::parse(&format!("{day}T{time}"))
}

/// The request's date in the form it is signed in: from `X-Amz-Date`, else from `Date`.
fn request_date(headers: &HeaderMap) -> Result<String, SignatureError> {
    let malformed = || SignatureError::Incomplete("Date must be in ISO-8601 'basic format'.".to_owned());
    if let Some(date) = headers.get(AMZ_DATE) {
        let date = date.to_str().map_err(|_| malformed())?;
        return parse_date(date).map(|_| date.to_owned()).ok_or_else(malformed);
    }
    let date = headers.get(header::DATE).ok_or_else(malformed)?;
    let text = date.to_str().map_err(|_| malformed())?;
    // botocore writes the zone as RFC 5322 has it.
    let fixed = text.strip_suffix("-0000").map(|date| format!("{date}GMT"));
    let moment = reply::parse_imf_fixdate(fixed.as_deref().unwrap_or(text).as_bytes());
    let moment = moment.or_else(|| parse_date(text)).ok_or_else(malformed)?;
    Ok(format_date(moment))
}

fn check_date(date: &str, now: Timestamp) -> Result<(), SignatureError> {
    let moment = parse_date(date).ok_or(SignatureError::Mismatch)?;
    let (now_text, minutes) = (format_date(now), CLOCK_SKEW.as_secs() / 60);
    if moment.plus(CLOCK_SKEW) < now {
        let limit = format_date(now.minus(CLOCK_SKEW));
        return Err(SignatureError::Expired(format!(
            "Signature expired: {date} is now earlier than {limit} ({now_text} - {minutes} min.)"
        )));
    }
    if now < moment.minus(CLOCK_SKEW) {
        let limit = format_date(now.plus(CLOCK_SKEW));
        return Err(SignatureError::Expired(format!(
            "Signature not yet current: {date} is still later than {limit} ({now_text} + {minutes} min.)"
        )));
    }
    Ok(())
}

/// Refuses a request that was sent under another name than ours, as a page in a browser would be made to.
pub(crate) fn check_host(headers: &HeaderMap, host: SocketAddr) -> Result<(), SignatureError> {
    let mut values = headers.get_all(header::HOST).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(SignatureError::Incomplete("expected exactly one Host header".to_owned()));
    };
    let got = String::from_utf8_lossy(value.as_bytes());
    let local = host.ip().is_loopback() && got.eq_ignore_ascii_case(&format!("localhost:{}", host.port()));
    if got == host.to_string() || local {
        Ok(())
    } else {
        Err(SignatureError::WrongHost { got: got.into_owned(), want: host })
    }
}

fn canonical_request(parts: &RequestParts<'_>, signed: &[String], hash: &str) -> Result<String, SignatureError> {
    let mut request = format!("{}\n{}\n\n", parts.method, parts.path);
    for name in signed {
        let _ = writeln!(request, "{name}:{}", canonical_value(parts.headers, name)?);
    }
    let _ = write!(request, "\n{}\n{hash}", signed.join(";"));
    Ok(request)
}

/// All values of a header, trimmed, runs of spaces made one, joined by commas.
fn canonical_value(headers: &HeaderMap, name: &str) -> Result<String, SignatureError> {
    let mut values = Vec::new();
    for value in headers.get_all(name) {
        let text = std::str::from_utf8(value.as_bytes())
            .map_err(|_| SignatureError::Incomplete(format!("header `{name}` is not text")))?;
        values.push(text.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" "));
    }
    Ok(values.join(","))
}

fn signature(keys: &Keys, service: Service, date: &str, canonical: &str) -> Hmac<Sha256> {
    let day = date.get(..8).unwrap_or(date);
    let step = |key: &[u8], message: &str| hmac(key, message).finalize().into_bytes();
    let key = step(format!("AWS4{}", keys.secret_key).as_bytes(), day);
    let key = step(&key, REGION);
    let key = step(&key, service.signing_name());
    let key = step(&key, "aws4_request");
    let hash = hex(&Sha256::digest(canonical));
    hmac(&key, &format!("{ALGORITHM}\n{date}\n{}\n{hash}", scope(date, service)))
}

fn scope(date: &str, service: Service) -> String {
    format!("{}/{REGION}/{}/aws4_request", date.get(..8).unwrap_or(date), service.signing_name())
}

fn hmac(key: &[u8], message: &str) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(message.as_bytes());
    mac
}

/// Lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

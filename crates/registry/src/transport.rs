//! One HTTP exchange: TLS, limits and timeouts, no redirects, nothing kept but connections.
//!
//! What is sent and where is decided elsewhere. An exchange ends with a whole reply or a [`Fault`].

use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use rustls::{CertificateError, OtherError};
use ureq::config::AutoHeaderValue;
use ureq::http::{HeaderMap, Request};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, TlsProvider};
use ureq::{Agent, Proxy};

use crate::access::Access;
use crate::error::RegistryError;
use crate::secret::Secret;
use crate::url::Url;

/// Largest body that is read of a reply that is not a success; more of it helps nobody.
pub(crate) const MAX_ERROR_BODY: u64 = 64 << 10;
/// Longest exchange, however steadily it moves on: half a gigabyte over a slow line.
const LONGEST: Duration = Duration::from_hours(1);
/// Connections that are kept open to one host: as many as blobs that go in parallel.
const KEPT_CONNECTIONS: usize = 8;
const USER_AGENT: &str = concat!("gimmetime/", env!("CARGO_PKG_VERSION"));

/// Why there is no reply.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The name leads nowhere.
    #[error("the name of its host leads nowhere")]
    Name,
    /// Nobody listens, or the connection was cut.
    #[error("{0}")]
    Connection(String),
    /// Nothing moved for too long.
    #[error("nothing came within the time limit ({0})")]
    Timeout(String),
    /// The other end cannot prove who it is, or does not speak TLS.
    #[error("{0}")]
    Tls(String),
    /// The other end shows the certificate of an authority as its own, which proves nothing (RFC 5280, section 4.2.1.9).
    #[error("its certificate says that it is an authority's (CA:TRUE), and none such is taken for a server's")]
    Authority,
    /// It is no HTTP, or more than is read.
    #[error("{0}")]
    Protocol(String),
}

/// What is sent.
pub(crate) struct Message<'a> {
    pub(crate) method: &'static str,
    pub(crate) url: &'a Url,
    accept: &'static [&'static str],
    content: Option<(&'a str, &'a [u8])>,
    limit: u64,
}

/// What came back.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

pub(crate) struct Transport {
    plain: Agent,
    /// Made when TLS is spoken first: to read the system's certificates takes some milliseconds.
    tls: LazyLock<Agent, Box<dyn FnOnce() -> Agent + Send + Sync>>,
}

impl Fault {
    /// Whether another try may go better.
    pub(crate) fn is_passing(&self) -> bool {
        matches!(self, Self::Connection(_) | Self::Timeout(_) | Self::Name)
    }
}

impl<'a> Message<'a> {
    /// Without a body; at most `limit` bytes of a success are read.
    pub(crate) fn new(method: &'static str, url: &'a Url, limit: u64) -> Self {
        Self { method, url, accept: &["*/*"], content: None, limit }
    }

    pub(crate) fn accept(self, accept: &'static [&'static str]) -> Self {
        Self { accept, ..self }
    }

    pub(crate) fn body(self, media_type: &'a str, bytes: &'a [u8]) -> Self {
        Self { content: Some((media_type, bytes)), ..self }
    }
}

impl Reply {
    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// A header as text; `None` if it is absent, or no visible ASCII.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

impl Transport {
    /// A transport to the server of `base` and to whatever it names.
    ///
    /// # Errors
    /// The file of certificates cannot be used, or the proxy is none.
    pub(crate) fn new(base: &Url, access: &Access) -> Result<Self, RegistryError> {
        let own = access.ca.as_deref().map_or(Ok(Vec::new()), certificates)?;
        let proxy = proxy(base, access)?;
        let timeouts = (access.connect_timeout, access.idle_timeout);
        let plain = agent(proxy.clone(), timeouts, own.clone());
        let secure = move || agent(proxy, timeouts, with_system(own));
        Ok(Self { plain, tls: LazyLock::new(Box::new(secure)) })
    }

    /// Sends a message and reads the whole reply.
    pub(crate) fn send(&self, message: &Message<'_>, authorization: Option<&Secret>) -> Result<Reply, Fault> {
        let mut request = Request::builder().method(message.method).uri(message.url.to_string());
        for accept in message.accept {
            request = request.header("Accept", *accept);
        }
        if let Some(authorization) = authorization {
            request = request.header("Authorization", authorization.reveal());
        }
        // A plain registry may send a download on to a store with TLS.
        let agent: &Agent = if message.url.is_tls { &self.tls } else { &self.plain };
        let response = match message.content {
            Some((media_type, bytes)) => {
                let request =
                    request.header("Content-Type", media_type).body(bytes).map_err(|error| protocol(&error))?;
                agent.run(request)
            }
            None => agent.run(request.body(()).map_err(|error| protocol(&error))?),
        };
        let (parts, mut body) = response.map_err(fault)?.into_parts();
        let status = parts.status.as_u16();
        let limit = if parts.status.is_success() { message.limit } else { MAX_ERROR_BODY };
        let read = body.with_config().limit(limit).read_to_vec();
        let body = match read {
            // The rest of a long complaint is not worth another try.
            Err(ureq::Error::BodyExceedsLimit(_)) if !parts.status.is_success() => Vec::new(),
            other => other.map_err(fault)?,
        };
        Ok(Reply { status, headers: parts.headers, body })
    }
}

fn proxy(base: &Url, access: &Access) -> Result<Option<Proxy>, RegistryError> {
    let Some(text) = access.proxy.as_ref().map(Secret::reveal).filter(|_| !base.is_loopback()) else { return Ok(None) };
    let shown = || text.rsplit_once('@').map_or(text, |(_, host)| host).to_owned();
    Proxy::new(text).map(Some).map_err(|_| RegistryError::Proxy { proxy: shown() })
}

fn agent(proxy: Option<Proxy>, (connect, idle): (Duration, Duration), roots: Vec<Certificate<'static>>) -> Agent {
    let provider = rustls::crypto::ring::default_provider();
    let tls = TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .unversioned_rustls_crypto_provider(Arc::new(provider))
        .root_certs(RootCerts::Specific(Arc::new(roots)))
        .build();
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .proxy(proxy)
        .user_agent(USER_AGENT)
        .accept(AutoHeaderValue::None)
        .accept_encoding(AutoHeaderValue::None)
        .max_idle_connections(2 * KEPT_CONNECTIONS)
        .max_idle_connections_per_host(KEPT_CONNECTIONS)
        .timeout_resolve(Some(connect))
        .timeout_connect(Some(connect))
        .timeout_per_read(Some(idle))
        .timeout_per_write(Some(idle))
        .timeout_per_call(Some(LONGEST))
        .tls_config(tls);
    config.build().new_agent()
}

/// These certificates and the system's.
fn with_system(mut roots: Vec<Certificate<'static>>) -> Vec<Certificate<'static>> {
    let system = rustls_native_certs::load_native_certs().certs;
    roots.extend(system.iter().map(|certificate| Certificate::from_der(certificate).to_owned()));
    roots
}

fn certificates(file: &Path) -> Result<Vec<Certificate<'static>>, RegistryError> {
    let error = |reason: String| RegistryError::Certificates { file: file.to_owned(), reason };
    let pem = std::fs::read(file).map_err(|reason| error(reason.to_string()))?;
    let mut certificates = Vec::new();
    for item in ureq::tls::parse_pem(&pem) {
        if let PemItem::Certificate(certificate) = item.map_err(|reason| error(reason.to_string()))? {
            certificates.push(certificate);
        }
    }
    if certificates.is_empty() { Err(error("it holds no certificate".to_owned())) } else { Ok(certificates) }
}

fn protocol(error: &dyn std::error::Error) -> Fault {
    Fault::Protocol(error.to_string())
}

/// Sorted by kind; the words are only shown.
fn fault(error: ureq::Error) -> Fault {
    use ureq::Error;
    match error {
        Error::HostNotFound => Fault::Name,
        Error::Timeout(phase) => Fault::Timeout(phase.to_string()),
        Error::Tls(reason) => Fault::Tls(reason.to_owned()),
        Error::Rustls(reason) => tls_fault(&reason),
        Error::Io(error) => io_fault(&error),
        Error::ConnectionFailed => Fault::Connection("no connection".to_owned()),
        Error::BodyExceedsLimit(limit) => Fault::Protocol(format!("the reply has more than {limit} bytes")),
        other => Fault::Protocol(other.to_string()),
    }
}

fn io_fault(error: &std::io::Error) -> Fault {
    if let Some(reason) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        return tls_fault(reason);
    }
    match error.kind() {
        std::io::ErrorKind::TimedOut | std::io::ErrorKind::WouldBlock => Fault::Timeout(error.to_string()),
        _ => Fault::Connection(error.to_string()),
    }
}

/// What is often met has words of its own: tools make such certificates unless they are told otherwise, and some trust them.
fn tls_fault(reason: &rustls::Error) -> Fault {
    if let rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(other))) = reason
        && let Some(webpki::Error::CaUsedAsEndEntity) = other.downcast_ref()
    {
        return Fault::Authority;
    }
    Fault::Tls(reason.to_string())
}

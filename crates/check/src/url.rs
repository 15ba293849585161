//! Where a service is reached. Plain http only; an address is resolved at one place, [`resolve`].

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

/// The path that is asked when none is given.
const DEFAULT_PATH: &str = "/now";
const DEFAULT_PORT: u16 = 80;
/// A name server that says nothing must not stop those who ask: the system alone would wait for half a minute and more.
const RESOLVE_LIMIT: Duration = Duration::from_secs(10);
/// The longest address that is read; servers refuse longer request lines anyway.
const MAX_LENGTH: usize = 2048;

/// An http address, taken apart. `http://` may be left out; no path means `/now`; a fragment is dropped.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Url {
    /// A host name or an address; IPv6 without its brackets.
    pub host: String,
    /// 80 if none was given.
    pub port: u16,
    /// Begins with `/`; holds the query; visible ASCII only.
    pub path: String,
}

/// Why a text is no address that can be asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// TLS is not spoken here.
    #[error("`{0}` is https, which cannot be checked yet: give its http address")]
    Https(String),
    /// Neither http nor https.
    #[error("`{url}` has the scheme `{scheme}`, expected http")]
    Scheme {
        /// What was given.
        url: String,
        /// Its scheme.
        scheme: String,
    },
    /// No host, or one with characters no host has.
    #[error("`{0}` names no host: expected http://HOST[:PORT][/PATH]")]
    Host(String),
    /// Not a port.
    #[error("`{url}` has the port `{port}`, expected a number from 1 to 65535")]
    Port {
        /// What was given.
        url: String,
        /// Its port.
        port: String,
    },
    /// A user name or password.
    #[error("an address with a user name would send it in plain text: remove what stands before the `@`")]
    User,
    /// A path that would break the request line.
    #[error("the path of `{0}` has a space, a control or a non-ASCII character: percent-encode it")]
    Path(String),
    /// Too long.
    #[error("an address of {0} bytes is too long, at most {MAX_LENGTH} are read")]
    TooLong(usize),
}

/// A host name that leads nowhere.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot resolve `{host}`: {reason}")]
pub struct ResolveError {
    /// The name.
    pub host: String,
    /// The resolver's words.
    pub reason: String,
}

/// Where to connect instead of a URL's own host and port, as curl's `--connect-to` has it: the request, and what its `Host`
/// field says, stay as they are. For a name that does not resolve here yet, or a balancer behind a tunnel.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ConnectTo {
    /// A host name or an address; IPv6 without its brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
}

/// Why a text names no place to connect to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` names no place to connect to: expected HOST:PORT")]
pub struct ConnectToError(String);

impl FromStr for ConnectTo {
    type Err = ConnectToError;

    fn from_str(text: &str) -> Result<Self, ConnectToError> {
        let error = || ConnectToError(text.to_owned());
        let (host, port) = split_authority(text).ok_or_else(error)?;
        let port = port.and_then(parse_port).ok_or_else(error)?;
        Ok(Self { host: host.to_owned(), port })
    }
}

impl fmt::Display for ConnectTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", bracketed(&self.host), self.port)
    }
}

impl Url {
    /// What the `Host` field says: the host, in brackets if it is IPv6, with the port unless it is 80.
    pub fn authority(&self) -> String {
        let host = bracketed(&self.host);
        if self.port == DEFAULT_PORT { host } else { format!("{host}:{}", self.port) }
    }

    /// Every address to connect to: those of `connect_to` if it is given, else those of the host.
    pub async fn addresses(&self, connect_to: Option<&ConnectTo>) -> Result<Vec<SocketAddr>, ResolveError> {
        match connect_to {
            Some(other) => resolve(&other.host, other.port).await,
            None => resolve(&self.host, self.port).await,
        }
    }
}

/// Every address a host has, each once, in the resolver's order: each may be a balancer node of its own.
async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, ResolveError> {
    if let Ok(literal) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(literal, port)]);
    }
    let error = |reason: String| ResolveError { host: host.to_owned(), reason };
    let mut addresses = Vec::new();
    for address in within(RESOLVE_LIMIT, tokio::net::lookup_host((host, port))).await.map_err(error)? {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    if addresses.is_empty() { Err(error("the name has no address".to_owned())) } else { Ok(addresses) }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}{}", self.authority(), self.path)
    }
}

impl FromStr for Url {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        if MAX_LENGTH < text.len() {
            return Err(UrlError::TooLong(text.len()));
        }
        let rest = match text.split_once("://") {
            None => text,
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => rest,
            Some((scheme, _)) if scheme.eq_ignore_ascii_case("https") => return Err(UrlError::Https(text.to_owned())),
            Some((scheme, _)) => {
                return Err(UrlError::Scheme { url: text.to_owned(), scheme: scheme.to_owned() });
            }
        };
        let rest = rest.split('#').next().unwrap_or_default();
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err(UrlError::User);
        }
        let path = if path.starts_with('/') { path.to_owned() } else { format!("{DEFAULT_PATH}{path}") };
        if !path.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(UrlError::Path(text.to_owned()));
        }
        let (host, port) = split_authority(authority).ok_or_else(|| UrlError::Host(text.to_owned()))?;
        let port = match port {
            None => DEFAULT_PORT,
            Some(port) => {
                parse_port(port).ok_or_else(|| UrlError::Port { url: text.to_owned(), port: port.to_owned() })?
            }
        };
        Ok(Self { host: host.to_owned(), port, path })
    }
}

/// What a lookup finds, or why it finds nothing.
async fn within<T>(limit: Duration, lookup: impl Future<Output = io::Result<T>>) -> Result<T, String> {
    match tokio::time::timeout(limit, lookup).await {
        Ok(found) => found.map_err(|cause| cause.to_string()),
        Err(_) => Err(format!("no answer within {limit:?}")),
    }
}

/// The host (without brackets) and the port, if one was given; `None` if the host is none.
fn split_authority(authority: &str) -> Option<(&str, Option<&str>)> {
    if let Some(rest) = authority.strip_prefix('[') {
        let (host, after) = rest.split_once(']')?;
        host.parse::<Ipv6Addr>().ok()?;
        return match after {
            "" => Some((host, None)),
            _ => Some((host, Some(after.strip_prefix(':')?))),
        };
    }
    let (host, port) = authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port)));
    let plausible = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    (!host.is_empty() && host.bytes().all(plausible)).then_some((host, port))
}

/// The host as it stands before a port: IPv6 in brackets.
fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

fn parse_port(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok())?.filter(|port| *port != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn reads(text: &str, host: &str, port: u16, path: &str) {
        let expected = Url { host: host.to_owned(), port, path: path.to_owned() };
        assert_eq!(text.parse(), Ok(expected), "{text}");
    }

    #[track_caller]
    fn refuses(text: &str, sentence: &str) {
        assert_eq!(text.parse::<Url>().unwrap_err().to_string(), sentence);
    }

    #[test]
    fn an_empty_path_means_now_and_a_slash_means_a_slash() {
        reads("http://127.0.0.1:8080", "127.0.0.1", 8080, "/now");
        reads("http://time.example.com/", "time.example.com", 80, "/");
        reads("HTTP://time.example.com?x=1", "time.example.com", 80, "/now?x=1");
        reads("http://h/a/b?c=d#e", "h", 80, "/a/b?c=d");
        reads("localhost:8080/live", "localhost", 8080, "/live");
    }

    #[test]
    fn an_ipv6_literal_loses_its_brackets_and_gets_them_back() {
        reads("http://[::1]:8080/now", "::1", 8080, "/now");
        reads("http://[fd00::2]", "fd00::2", 80, "/now");
        let url: Url = "http://[::1]:8080".parse().unwrap();
        assert_eq!((url.authority().as_str(), url.to_string().as_str()), ("[::1]:8080", "http://[::1]:8080/now"));
        assert_eq!("http://h".parse::<Url>().unwrap().authority(), "h");
    }

    #[test]
    fn https_is_refused_in_one_sentence() {
        refuses("https://h/now", "`https://h/now` is https, which cannot be checked yet: give its http address");
    }

    #[test]
    fn what_is_no_address_is_refused_by_name() {
        refuses("ftp://h", "`ftp://h` has the scheme `ftp`, expected http");
        refuses("http://", "`http://` names no host: expected http://HOST[:PORT][/PATH]");
        refuses("http://[::1", "`http://[::1` names no host: expected http://HOST[:PORT][/PATH]");
        refuses("http://::1/", "`http://::1/` names no host: expected http://HOST[:PORT][/PATH]");
        refuses("http://h:0/", "`http://h:0/` has the port `0`, expected a number from 1 to 65535");
        refuses("http://h:+80", "`http://h:+80` has the port `+80`, expected a number from 1 to 65535");
        refuses("http://h:65536", "`http://h:65536` has the port `65536`, expected a number from 1 to 65535");
        refuses(
            "http://u:p@h/",
            "an address with a user name would send it in plain text: remove what stands before the `@`",
        );
        assert!(matches!("http://h/a b".parse::<Url>(), Err(UrlError::Path(_))));
        assert!(matches!("http://h/\r\nX: y".parse::<Url>(), Err(UrlError::Path(_))));
        assert!(matches!("x".repeat(3000).parse::<Url>(), Err(UrlError::TooLong(3000))));
    }

    proptest! {
        #[test]
        fn whatever_is_read_is_read_the_same_again(text in "(http://)?[a-z0-9.\\[\\]:@]{0,12}(:[0-9]{1,6})?[/?#a-z]{0,8}") {
            if let Ok(url) = text.parse::<Url>() {
                prop_assert_eq!(url.to_string().parse(), Ok(url));
            }
        }
    }

    #[test]
    fn a_place_to_connect_to_has_a_host_and_a_port() {
        let reads = |text: &str| text.parse::<ConnectTo>().map(|read| (read.host.clone(), read.port, read.to_string()));
        assert_eq!(reads("127.0.0.1:4566").unwrap(), ("127.0.0.1".to_owned(), 4566, "127.0.0.1:4566".to_owned()));
        assert_eq!(reads("[::1]:80").unwrap(), ("::1".to_owned(), 80, "[::1]:80".to_owned()));
        for none in ["", "host", "host:0", ":80", "http://host:80", "a:b:80"] {
            let words = format!("`{none}` names no place to connect to: expected HOST:PORT");
            assert_eq!(reads(none).unwrap_err().to_string(), words);
        }
    }

    #[tokio::test]
    async fn another_place_to_connect_to_changes_the_address_only() {
        let url: Url = "http://no-such-host.invalid/now".parse().unwrap();
        let other = "[::1]:81".parse().unwrap();
        assert_eq!(url.addresses(Some(&other)).await, Ok(vec!["[::1]:81".parse().unwrap()]));
        assert_eq!(url.authority(), "no-such-host.invalid");
    }

    #[tokio::test]
    async fn a_name_server_that_says_nothing_is_not_waited_for() {
        let silence = within(Duration::from_millis(1), std::future::pending::<io::Result<()>>());
        assert_eq!(silence.await, Err("no answer within 1ms".to_owned()));
    }

    #[tokio::test]
    async fn a_literal_is_its_own_address_and_a_name_keeps_all_of_them_once() {
        let url: Url = "http://[::1]:81".parse().unwrap();
        assert_eq!(url.addresses(None).await, Ok(vec!["[::1]:81".parse().unwrap()]));
        let local = "http://localhost:82".parse::<Url>().unwrap().addresses(None).await.unwrap();
        assert!(local.contains(&"127.0.0.1:82".parse().unwrap()), "{local:?}");
        assert!(local.iter().enumerate().all(|(at, address)| !local[..at].contains(address)), "{local:?}");
    }
}

//! An absolute http address, and what is suspicious about where it leads.
//!
//! Registries name other servers in their replies (a token server, an upload's place, a blob's store). Whatever they
//! name is read here before anything goes there.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ureq::http::Uri;

/// The longest address that is read; upload sessions carry a state of about one kilobyte.
const MAX_LENGTH: usize = 8 << 10;

/// An address with scheme, host and path; never with a user name or a fragment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Url {
    pub(crate) is_tls: bool,
    /// Lower case; IPv6 in its brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Begins with `/`.
    pub(crate) path: String,
    /// Without its `?`.
    pub(crate) query: Option<String>,
}

/// Why a text is no address to go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UrlError {
    #[error("it is no http or https address")]
    NotHttp,
    #[error("it holds a user name")]
    User,
    #[error("its host is a number that is written in an unusual way")]
    OddNumber,
}

impl Url {
    pub(crate) fn parse(text: &str) -> Result<Self, UrlError> {
        let visible = text.len() <= MAX_LENGTH && text.bytes().all(|byte| byte.is_ascii_graphic());
        let (text, _fragment) = text.split_once('#').unwrap_or((text, ""));
        let uri: Uri = text.parse().ok().filter(|_| visible).ok_or(UrlError::NotHttp)?;
        let is_tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(UrlError::NotHttp),
        };
        let authority = uri.authority().ok_or(UrlError::NotHttp)?;
        if authority.as_str().contains('@') {
            return Err(UrlError::User);
        }
        let host = authority.host().to_ascii_lowercase();
        let port = match authority.port() {
            Some(port) => port.as_u16(),
            None if authority.as_str().len() == host.len() => {
                if is_tls {
                    443
                } else {
                    80
                }
            }
            None => return Err(UrlError::NotHttp),
        };
        if host.is_empty() || port == 0 {
            return Err(UrlError::NotHttp);
        }
        let url = Self { is_tls, host, port, path: uri.path().to_owned(), query: uri.query().map(str::to_owned) };
        // A resolver takes `2852039166` and `0xa9.254.43518` for addresses too; no server needs to be named so.
        if url.ip().is_none() && url.host.rsplit('.').find(|label| !label.is_empty()).is_some_and(is_number) {
            return Err(UrlError::OddNumber);
        }
        Ok(url)
    }

    /// The host as an address, if it is one.
    pub(crate) fn ip(&self) -> Option<IpAddr> {
        self.host.trim_start_matches('[').trim_end_matches(']').parse().ok()
    }

    /// Whether the host is this machine by its very name.
    pub(crate) fn is_loopback(&self) -> bool {
        self.host == "localhost" || self.ip().is_some_and(|ip| ip.to_canonical().is_loopback())
    }

    /// Whether both lead to the same server: scheme, host and port.
    pub(crate) fn has_origin_of(&self, other: &Self) -> bool {
        (self.is_tls, &self.host, self.port) == (other.is_tls, &other.host, other.port)
    }

    /// With `name=value` added to the query, which keeps what it holds.
    #[must_use]
    pub(crate) fn with_parameter(&self, name: &str, value: &str) -> Self {
        let parameter = format!("{name}={}", escaped(value));
        let query = match self.query.as_deref() {
            None | Some("") => parameter,
            Some(query) => format!("{query}&{parameter}"),
        };
        Self { query: Some(query), ..self.clone() }
    }

    /// `scheme://host:port` alone: the query may hold a secret.
    pub(crate) fn origin(&self) -> String {
        let scheme = if self.is_tls { "https" } else { "http" };
        let usual = if self.is_tls { 443 } else { 80 };
        if self.port == usual {
            format!("{scheme}://{}", self.host)
        } else {
            format!("{scheme}://{}:{}", self.host, self.port)
        }
    }
}

/// The whole address, as it is requested.
impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin(), self.path)?;
        self.query.as_ref().map_or(Ok(()), |query| write!(f, "?{query}"))
    }
}

/// `text` as the value of a query or a form (RFC 3986, section 2.3): `:` and `/` may stay in a query.
pub(crate) fn escaped(text: &str) -> String {
    use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
    const KEPT: &AsciiSet =
        &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b':').remove(b'/');
    utf8_percent_encode(text, KEPT).to_string()
}

/// Whether an address is one that no registry has a reason to name: this host's metadata, a link, nobody, everybody.
pub(crate) fn is_off_limits(ip: IpAddr) -> bool {
    /// Metadata services that are not link-local.
    const METADATA: [IpAddr; 2] =
        [IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)), IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254))];
    let ip = ip.to_canonical();
    let off_limits = match ip {
        IpAddr::V4(v4) => v4.is_link_local() || v4.octets()[0] == 0 || v4.is_broadcast(),
        IpAddr::V6(v6) => v6.is_unicast_link_local() || v6.is_unspecified(),
    };
    off_limits || ip.is_multicast() || METADATA.contains(&ip)
}

fn is_number(label: &str) -> bool {
    let digits = label.strip_prefix("0x").or_else(|| label.strip_prefix("0X"));
    match digits {
        Some(hex) => hex.bytes().all(|byte| byte.is_ascii_hexdigit()),
        None => label.bytes().all(|byte| byte.is_ascii_digit()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_part_is_told_apart() {
        let url = Url::parse("https://Registry.example:5000/v2/a/?_state=x%2F#part").unwrap();
        assert!(url.is_tls);
        assert_eq!((url.host.as_str(), url.port, url.path.as_str()), ("registry.example", 5000, "/v2/a/"));
        assert_eq!(url.query.as_deref(), Some("_state=x%2F"));
        assert_eq!(
            url.with_parameter("digest", "sha256:a b").to_string(),
            "https://registry.example:5000/v2/a/?_state=x%2F&digest=sha256:a%20b"
        );
        assert_eq!(Url::parse("http://a.b").unwrap().with_parameter("x", "1").to_string(), "http://a.b/?x=1");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in
            ["", "/v2/", "ftp://a.b/", "http://", "http:///x", "https://a.b:/", "https://a.b:0/", "http://a.b/\u{e9}"]
        {
            assert_eq!(Url::parse(text), Err(UrlError::NotHttp), "{text}");
        }
        assert_eq!(Url::parse("https://registry.example@evil.example/"), Err(UrlError::User));
        for host in ["2852039166", "0xa9fea9fe", "169.254.43518", "0251.0376.0251.0376", "127.1", "1.2.3.4."] {
            assert_eq!(Url::parse(&format!("http://{host}/")), Err(UrlError::OddNumber), "{host}");
        }
    }

    #[test]
    fn addresses_that_no_registry_has_are_off_limits() {
        for ip in [
            "169.254.169.254",
            "0.0.0.0",
            "0.1.2.3",
            "255.255.255.255",
            "224.0.0.1",
            "100.100.100.200",
            "::",
            "fe80::1",
            "fd00:ec2::254",
            "::ffff:169.254.169.254",
            "ff02::1",
        ] {
            assert!(is_off_limits(ip.parse().unwrap()), "{ip}");
        }
        for ip in ["127.0.0.1", "10.0.0.1", "::1", "93.184.216.34", "2001:db8::1"] {
            assert!(!is_off_limits(ip.parse().unwrap()), "{ip}");
        }
    }

    proptest! {
        #[test]
        fn an_address_is_shown_so_that_it_parses_again(text in "https?://[a-z0-9.:@\\[\\]-]{0,12}(/[ -~]{0,12})?") {
            if let Ok(url) = Url::parse(&text) {
                prop_assert_eq!(Url::parse(&url.to_string()), Ok(url));
            }
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in ".{0,60}") {
            let _ = Url::parse(&text);
        }
    }
}

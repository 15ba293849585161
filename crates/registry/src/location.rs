//! Where a registry sends an upload or a download on to (`Location`, RFC 9110, section 10.2.2), and whether to go there.
//!
//! The answer may leave the registry, as downloads of large registries do: into a store that must never see its credentials.

use crate::url::{Url, UrlError, is_off_limits};

/// Why a place is not gone to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{from}` sends to {to}, where nothing goes: {reason}")]
pub struct LocationError {
    /// The server that said so.
    pub from: String,
    /// The server it named, if its name can be read.
    pub to: String,
    /// Why not.
    pub reason: String,
}

/// The address that `location` means in the reply to a request of `base` (RFC 3986, section 5.2).
///
/// # Errors
/// It is no address, leaves TLS, or leads where no registry's data are.
pub(crate) fn resolve(base: &Url, location: &str) -> Result<Url, LocationError> {
    let error =
        |to: &str, reason: &str| LocationError { from: base.origin(), to: to.to_owned(), reason: reason.to_owned() };
    let text = absolute(base, location);
    let url = Url::parse(&text).map_err(|reason: UrlError| error("an address", &reason.to_string()))?;
    if base.is_tls && !url.is_tls {
        return Err(error(&url.origin(), "it would leave TLS"));
    }
    let elsewhere = !url.has_origin_of(base);
    if elsewhere && url.ip().is_some_and(is_off_limits) {
        return Err(error(&url.origin(), "it is an address of a machine's own metadata or of no machine"));
    }
    if elsewhere && url.is_loopback() && !base.is_loopback() {
        return Err(error(&url.origin(), "it is this machine"));
    }
    Ok(url)
}

fn absolute(base: &Url, location: &str) -> String {
    let origin = base.origin();
    if location.starts_with("//") {
        let scheme = if base.is_tls { "https" } else { "http" };
        format!("{scheme}:{location}")
    } else if location.starts_with('/') {
        format!("{origin}{location}")
    } else if location.starts_with('?') {
        format!("{origin}{}{location}", base.path)
    } else if has_scheme(location) {
        location.to_owned()
    } else {
        let folder = base.path.rfind('/').map_or("/", |at| &base.path[..=at]);
        format!("{origin}{folder}{location}")
    }
}

/// Whether a text begins with `scheme:`; a relative path has no colon before its first slash.
fn has_scheme(text: &str) -> bool {
    let scheme = text.split(['/', '?', '#']).next().and_then(|first| first.split_once(':')).map(|(scheme, _)| scheme);
    scheme.is_some_and(|scheme| {
        scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn base() -> Url {
        Url::parse("https://registry.example/v2/team/app/blobs/uploads/").unwrap()
    }

    #[track_caller]
    fn resolved(location: &str) -> String {
        resolve(&base(), location).unwrap().to_string()
    }

    #[test]
    fn every_form_of_a_location_is_understood() {
        let uploads = "https://registry.example/v2/team/app/blobs/uploads/";
        assert_eq!(resolved("https://store.example/x?_state=1"), "https://store.example/x?_state=1");
        assert_eq!(resolved("//store.example/x"), "https://store.example/x");
        assert_eq!(resolved("/v2/team/app/blobs/uploads/7?a=b"), format!("{uploads}7?a=b"));
        assert_eq!(resolved("7"), format!("{uploads}7"));
        assert_eq!(resolved("?_state=abc"), format!("{uploads}?_state=abc"));
        assert_eq!(resolved("7?next=http://x.y/"), format!("{uploads}7?next=http://x.y/"));
    }

    #[test]
    fn evil_locations_are_refused() {
        for location in [
            "http://registry.example/x",
            "https://169.254.169.254/latest/meta-data/",
            "https://0.0.0.0/",
            "https://[fe80::1]/",
            "https://127.0.0.1/",
            "https://localhost/",
            "https://user@registry.example/",
            "https://2852039166/",
            "file:///etc/passwd",
            "javascript:alert(1)",
        ] {
            assert!(resolve(&base(), location).is_err(), "{location}");
        }
    }

    #[test]
    fn a_registry_on_loopback_may_name_its_neighbour() {
        let base = Url::parse("http://127.0.0.1:5000/v2/a/blobs/uploads/").unwrap();
        assert!(resolve(&base, "http://127.0.0.1:5001/x").is_ok());
        assert!(resolve(&base, "http://169.254.169.254/x").is_err());
    }

    proptest! {
        #[test]
        fn whatever_is_named_is_neither_plain_nor_off_limits(location in "(https?:)?/{0,2}[a-z0-9.:@%?#-]{0,16}(/[ -~]{0,12})?") {
            if let Ok(url) = resolve(&base(), &location) {
                prop_assert!(url.is_tls && !url.is_loopback() && !url.ip().is_some_and(is_off_limits));
            }
        }

        #[test]
        fn no_location_makes_it_panic(location in ".{0,80}") {
            let _ = resolve(&base(), &location);
        }

        #[test]
        fn a_relative_location_stays_at_the_registry(location in "/?[a-z0-9?&=_-]{1,20}") {
            let url = resolve(&base(), &location).unwrap();
            prop_assert!(url.has_origin_of(&base()));
        }
    }
}

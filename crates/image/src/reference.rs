//! Names of images: `host/repository[:tag][@sha256:…]` (OCI distribution-spec, "Pulling manifests").
//!
//! The host is never guessed: `nginx` means nothing here, where another tool would ask a registry on the internet.

use std::fmt;
use std::str::FromStr;

use crate::digest::{Digest, DigestError};

/// Longest reference without its digest, host included, as registries have it.
const MAX_NAME: usize = 255;
const MAX_TAG: usize = 128;
/// The host of images that are on this machine.
pub const LOCALHOST: &str = "localhost";

/// The name of an image, by tag, by digest, or by both.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Reference {
    /// `localhost`, a domain name or an address, with its port if it has one.
    pub host: String,
    /// The repository within the host, lower case.
    pub repository: String,
    /// The tag, if any.
    pub tag: Option<String>,
    /// The digest, if any; where both are given the digest decides.
    pub digest: Option<Digest>,
}

/// Why a text names no image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// Too short or too long.
    #[error("expected an image reference of 1 to 255 characters, but found {found}")]
    Length {
        /// Characters found.
        found: usize,
    },
    /// No host before the first slash.
    #[error("image `{text}` names no host; write `localhost/{text}` for an image of this machine")]
    NoHost {
        /// The text.
        text: String,
    },
    /// A host with characters that no host has.
    #[error("image host `{host}` is no domain name, optionally with `:port`")]
    Host {
        /// The host.
        host: String,
    },
    /// A repository with characters that none has.
    #[error("image repository `{repository}` may hold only a-z, 0-9, and single `.`, `_`, `-` or `/` between them")]
    Repository {
        /// The repository.
        repository: String,
    },
    /// A tag with characters that none has.
    #[error(
        "image tag `{tag}` may hold only letters, digits, `_`, `.` and `-`, at most 128, and starts with no `.` or `-`"
    )]
    Tag {
        /// The tag.
        tag: String,
    },
    /// A digest where an image is given a name.
    #[error("image name `{text}` holds a digest, which cannot be chosen; leave out what follows the `@`")]
    Pinned {
        /// The text.
        text: String,
    },
    /// What follows the `@` is no digest.
    #[error(transparent)]
    Digest(#[from] DigestError),
}

impl Reference {
    /// The image `repository` of this machine with that digest.
    pub fn local(repository: &str, digest: Digest) -> Result<Self, ReferenceError> {
        check_repository(repository)?;
        Ok(Self { host: LOCALHOST.to_owned(), repository: repository.to_owned(), tag: None, digest: Some(digest) })
    }

    /// Whether the image is on this machine.
    pub fn is_local(&self) -> bool {
        self.host == LOCALHOST
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, Some(digest.parse()?)),
            None => (text, None),
        };
        if name.is_empty() || name.len() > MAX_NAME {
            return Err(ReferenceError::Length { found: name.chars().count() });
        }
        // As everywhere: the first component is a host if it could not be a repository's.
        let (host, rest) = name
            .split_once('/')
            .filter(|(first, _)| first.contains(['.', ':']) || *first == LOCALHOST)
            .ok_or_else(|| ReferenceError::NoHost { text: text.to_owned() })?;
        let (repository, tag) = match rest.split_once(':') {
            Some((repository, tag)) => (repository, Some(tag)),
            None => (rest, None),
        };
        check_host(host)?;
        check_repository(repository)?;
        tag.map_or(Ok(()), check_tag)?;
        Ok(Self { host: host.to_owned(), repository: repository.to_owned(), tag: tag.map(str::to_owned), digest })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.host, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        self.digest.as_ref().map_or(Ok(()), |digest| write!(f, "@{digest}"))
    }
}

fn check_host(host: &str) -> Result<(), ReferenceError> {
    let (name, port) = host.split_once(':').map_or((host, None), |(name, port)| (name, Some(port)));
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    // `parse` alone would take `+80`.
    let number = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok();
    if name.split('.').all(label) && port.is_none_or(number) {
        return Ok(());
    }
    Err(ReferenceError::Host { host: host.to_owned() })
}

fn check_repository(repository: &str) -> Result<(), ReferenceError> {
    if repository.split('/').all(is_component) {
        return Ok(());
    }
    Err(ReferenceError::Repository { repository: repository.to_owned() })
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`, the grammar of one component of a repository.
fn is_component(component: &str) -> bool {
    let alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = component.as_bytes();
    let ends = bytes.first().is_some_and(|&byte| alphanumeric(byte)) && bytes.last().is_some_and(|&b| alphanumeric(b));
    let separators = bytes.split(|&byte| alphanumeric(byte)).filter(|separator| !separator.is_empty());
    let known = |separator: &[u8]| matches!(separator, b"." | b"_" | b"__") || separator.iter().all(|&b| b == b'-');
    ends && separators.into_iter().all(known)
}

fn check_tag(tag: &str) -> Result<(), ReferenceError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    let well_formed =
        !tag.is_empty() && tag.len() <= MAX_TAG && !tag.starts_with(['.', '-']) && tag.bytes().all(allowed);
    if well_formed { Ok(()) } else { Err(ReferenceError::Tag { tag: tag.to_owned() }) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::digest::sha256;

    #[track_caller]
    fn parsed(text: &str) -> Reference {
        let reference: Reference = text.parse().unwrap();
        assert_eq!(reference.to_string(), text);
        reference
    }

    #[track_caller]
    fn refused(text: &str) -> ReferenceError {
        text.parse::<Reference>().unwrap_err()
    }

    #[test]
    fn every_part_is_told_apart() {
        let digest = sha256(b"x");
        let reference = parsed(&format!("localhost:5000/team/time-server:v1.2@{digest}"));
        assert_eq!(reference.host, "localhost:5000");
        assert_eq!(reference.repository, "team/time-server");
        assert_eq!(reference.tag.as_deref(), Some("v1.2"));
        assert_eq!(reference.digest, Some(digest.clone()));
        assert_eq!(
            Reference::local("gimmetime", digest.clone()).unwrap(),
            parsed(&format!("localhost/gimmetime@{digest}"))
        );
        assert_eq!(parsed("000000000000.dkr.ecr.eu-west-1.amazonaws.com/a__b").tag, None);
    }

    #[test]
    fn a_name_without_a_host_is_never_looked_up_elsewhere() {
        assert_eq!(refused("nginx:latest"), ReferenceError::NoHost { text: "nginx:latest".to_owned() });
        assert_eq!(refused("library/nginx"), ReferenceError::NoHost { text: "library/nginx".to_owned() });
    }

    #[test]
    fn each_wrong_part_is_named() {
        assert_eq!(refused(""), ReferenceError::Length { found: 0 });
        assert_eq!(refused("-a.b/c"), ReferenceError::Host { host: "-a.b".to_owned() });
        assert_eq!(refused("a.b:+80/c"), ReferenceError::Host { host: "a.b:+80".to_owned() });
        for repository in ["Time", "a..b", "a/", "a___b", "_a", "../b"] {
            let error = ReferenceError::Repository { repository: repository.to_owned() };
            assert_eq!(refused(&format!("localhost/{repository}")), error);
        }
        assert_eq!(refused("localhost/a:-b"), ReferenceError::Tag { tag: "-b".to_owned() });
        assert!(matches!(refused("localhost/a@sha256:12"), ReferenceError::Digest(_)));
    }

    proptest! {
        #[test]
        fn what_parses_is_shown_as_it_was_written(text in "(localhost|[a-z]{1,3}\\.[a-z]{2})(/[a-zA-Z0-9._-]{1,4}){1,2}(:[a-z.]{1,3})?") {
            if let Ok(reference) = text.parse::<Reference>() {
                prop_assert_eq!(reference.to_string(), text);
            }
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in ".{0,300}") {
            let _ = text.parse::<Reference>();
        }
    }
}

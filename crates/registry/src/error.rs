//! What can go wrong with a registry, by what the caller can do about it.
//!
//! Made of status and error code alone (OCI distribution-spec, "Error Codes"); the words of a registry are shown, never read.

use std::path::PathBuf;
use std::time::Duration;

use gimmetime_image::Digest;

use crate::credentials::Tried;
use crate::endpoint::is_ecr;
use crate::location::LocationError;
use crate::realm::RealmError;
use crate::receipt::Stage;
use crate::transport::Fault;

/// Why a registry could not be used.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The reference's host cannot be asked.
    #[error("`{registry}` cannot be a registry: {reason}")]
    Address {
        /// The host.
        registry: String,
        /// Why not.
        reason: String,
    },
    /// The registry asks for credentials, and there are none.
    #[error("`{registry}` asks for a user name and a password, and none was found: {}", listed(tried))]
    NoCredentials {
        /// Its host.
        registry: String,
        /// Where credentials were looked for, and what was found there.
        tried: Vec<Tried>,
    },
    /// The registry does not accept any of the credentials.
    #[error(
        "`{registry}` does not accept the credentials to {}: {}\nhint: {}", stage.attempt(), listed(tried),
        mend_credentials(registry, *stage)
    )]
    Unauthorized {
        /// Its host.
        registry: String,
        /// What was attempted.
        stage: Stage,
        /// Where credentials were looked for, and what was found there.
        tried: Vec<Tried>,
    },
    /// The credentials are right, but not for this.
    #[error(
        "`{registry}` denies to {} in `{repository}`{}\nhint: allow {action} to the user whose credentials were used",
        stage.attempt(), words(None, message)
    )]
    Denied {
        /// Its host.
        registry: String,
        /// The repository.
        repository: String,
        /// What was attempted.
        stage: Stage,
        /// The permission that is missing, in the registry's own terms if they are known.
        action: String,
        /// The registry's words, for a person; empty if it said nothing.
        message: String,
    },
    /// There is no such repository, and the registry makes none by itself.
    #[error("`{registry}` has no repository `{repository}`\nhint: {}", make_repository(registry, repository))]
    RepositoryMissing {
        /// Its host.
        registry: String,
        /// The repository.
        repository: String,
    },
    /// A tag that no image can have.
    #[error(transparent)]
    Tag(#[from] gimmetime_image::ReferenceError),
    /// A reference without tag and digest, where one is needed.
    #[error("`{reference}` names no image: it has neither tag nor digest\nhint: {reference}:latest")]
    Unnamed {
        /// The reference.
        reference: String,
    },
    /// There is no such image.
    #[error("there is no image `{reference}`")]
    NotFound {
        /// The image that was asked for.
        reference: String,
    },
    /// The tag names another image and may not be moved.
    #[error(
        "tag `{tag}` cannot be moved to {local}: it names {} and is immutable\nhint: choose another tag",
        remote.as_ref().map_or("another image", Digest::as_str)
    )]
    TagImmutable {
        /// The tag.
        tag: String,
        /// What it names; `None` if the registry will not say.
        remote: Option<Digest>,
        /// What was pushed.
        local: Digest,
    },
    /// Bytes were damaged on the way, or the registry is not what it claims to be.
    #[error("the {what} should be {expected}, but the registry has {found}")]
    DigestMismatch {
        /// What was sent or fetched.
        what: &'static str,
        /// Its digest.
        expected: Digest,
        /// What the registry says of it.
        found: String,
    },
    /// The registry asks to come back later, and did so until the last try.
    #[error(
        "`{registry}` was asked too often to {}{}", stage.attempt(),
        after.map_or(String::new(), |after| format!("\nhint: try again in {} s", after.as_secs()))
    )]
    RateLimited {
        /// Its host.
        registry: String,
        /// What was attempted.
        stage: Stage,
        /// When it asks to come back.
        after: Option<Duration>,
    },
    /// No reply, until the last try.
    #[error(
        "cannot {} at `{registry}`{}: {fault}{}", stage.attempt(), times(*tries),
        mend_network(registry, *stage, fault)
    )]
    Network {
        /// Its host.
        registry: String,
        /// What was attempted.
        stage: Stage,
        /// How often.
        tries: u32,
        /// What happened the last time.
        fault: Fault,
    },
    /// The registry names a token server that credentials are not sent to.
    #[error(transparent)]
    Realm(#[from] RealmError),
    /// The registry sends an upload or a download somewhere it must not go.
    #[error(transparent)]
    Location(#[from] LocationError),
    /// A reply that is none of the above.
    #[error(
        "`{registry}` refused to {} with {status}{}", stage.attempt(),
        words(code.as_deref(), message)
    )]
    Refused {
        /// Its host.
        registry: String,
        /// What was attempted.
        stage: Stage,
        /// The HTTP status.
        status: u16,
        /// The registry's error code, such as `MANIFEST_INVALID`.
        code: Option<String>,
        /// Its words, for a person; empty if it said nothing.
        message: String,
    },
    /// A reply that no registry should give.
    #[error("the reply of `{registry}` to {} is not understood: expected {expected}, but found {found}", stage.attempt())]
    Malformed {
        /// Its host.
        registry: String,
        /// What was attempted.
        stage: Stage,
        /// What the specification asks for.
        expected: &'static str,
        /// What came.
        found: String,
    },
    /// An image for other machines only.
    #[error("`{reference}` holds no image for linux/amd64, only for {}", found.join(", "))]
    OtherPlatform {
        /// The image that was asked for.
        reference: String,
        /// What it is for.
        found: Vec<String>,
    },
    /// The certificates to trust cannot be read.
    #[error("cannot use the certificates in `{file}`: {reason}\nhint: give a PEM file with at least one certificate")]
    Certificates {
        /// The file.
        file: PathBuf,
        /// Why not.
        reason: String,
    },
    /// The proxy's address is none.
    #[error("`{proxy}` is no proxy, expected http://HOST:PORT")]
    Proxy {
        /// What was given, without user name and password.
        proxy: String,
    },
    /// The caller raised [`crate::Interrupt`].
    #[error("interrupted before it could {}; the same command goes on with what is there", stage.attempt())]
    Interrupted {
        /// What would have come next.
        stage: Stage,
    },
}

fn listed(tried: &[Tried]) -> String {
    let lines: Vec<String> = tried.iter().map(ToString::to_string).collect();
    if lines.is_empty() { "there was nowhere to look".to_owned() } else { lines.join("; ") }
}

fn words(code: Option<&str>, message: &str) -> String {
    match (code, message) {
        (None, "") => String::new(),
        (Some(code), "") => format!(" ({code})"),
        (None, message) => format!(": {message}"),
        (Some(code), message) => format!(" ({code}): {message}"),
    }
}

fn mend_credentials(registry: &str, stage: Stage) -> String {
    if is_ecr(registry) {
        format!("they may have expired, or lack {}", stage.ecr_actions())
    } else {
        format!("docker login {registry}")
    }
}

fn times(tries: u32) -> String {
    if tries == 1 { String::new() } else { format!(", tried {tries} times") }
}

fn mend_network(registry: &str, stage: Stage, fault: &Fault) -> String {
    match (fault, stage) {
        (Fault::Tls(_), _) => {
            "\nhint: give the registry's certificate authority with --ca FILE, if it has one of its own".to_owned()
        }
        (Fault::Authority, _) => {
            "\nhint: sign another one with it, or make it with basicConstraints=CA:FALSE; --ca FILE trusts either"
                .to_owned()
        }
        (Fault::Connection(_), Stage::StartUpload) if is_ecr(registry) => {
            "\nhint: it may be that there is no such repository: aws ecr describe-repositories".to_owned()
        }
        _ => String::new(),
    }
}

fn make_repository(registry: &str, repository: &str) -> String {
    if is_ecr(registry) {
        format!("aws ecr create-repository --repository-name {repository}")
    } else {
        "make it first, or check its name".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ECR: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";

    #[test]
    fn a_message_says_what_was_attempted_and_its_last_line_what_to_do() {
        let network = |stage, fault| RegistryError::Network { registry: ECR.to_owned(), stage, tries: 4, fault };
        let cut = network(Stage::StartUpload, Fault::Connection("connection reset".to_owned())).to_string();
        let (words, hint) = cut.split_once("\nhint: ").unwrap();
        assert_eq!(words, format!("cannot start the upload at `{ECR}`, tried 4 times: connection reset"));
        assert!(hint.contains("no such repository"), "{hint}");
        let tls = network(Stage::HeadManifest, Fault::Tls("unknown issuer".to_owned())).to_string();
        assert!(tls.ends_with("--ca FILE, if it has one of its own"), "{tls}");
        let missing = RegistryError::RepositoryMissing { registry: ECR.to_owned(), repository: "time".to_owned() };
        assert!(missing.to_string().ends_with("\nhint: aws ecr create-repository --repository-name time"));
        let registry = ECR.to_owned();
        let denied = RegistryError::Denied {
            registry: registry.clone(),
            repository: "time".to_owned(),
            stage: Stage::PutManifest,
            action: Stage::PutManifest.right(ECR).to_owned(),
            message: "your token has expired".to_owned(),
        };
        assert!(denied.to_string().contains(": your token has expired\nhint: allow ecr:PutImage"), "{denied}");
        let expired = RegistryError::Unauthorized { registry, stage: Stage::PutManifest, tried: Vec::new() };
        assert!(expired.to_string().ends_with("they may have expired, or lack ecr:PutImage"), "{expired}");
    }
}

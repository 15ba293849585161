//! Manifests of a repository: looked up, fetched and stored, by digest or by tag.

use gimmetime_image::{Digest, sha256};

use crate::error::RegistryError;
use crate::event::Event;
use crate::receipt::{Outcome, Stage};
use crate::run::{Answered, Run, complaint, refused};
use crate::transport::{Message, Reply};

pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// What is understood; registries answer 404 for what is not asked for.
const ACCEPTED: &[&str] = &[MANIFEST, INDEX, DOCKER_MANIFEST, DOCKER_INDEX];
/// Largest manifest, as registries have it.
const MAX_MANIFEST: u64 = 4 << 20;

/// What a registry says of a digest or tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Lookup {
    Found(Digest),
    Absent,
    /// It will not say: 403, which some rights to push bring with them.
    Unknown,
}

/// A manifest as it was fetched; its bytes are those of its digest.
pub(crate) struct Fetched {
    pub(crate) digest: Digest,
    pub(crate) bytes: Vec<u8>,
}

/// What became of a manifest that was sent.
pub(crate) enum Put {
    /// It is there. `lists_subject`: the registry keeps it as a referrer of its subject.
    Stored { lists_subject: bool },
    /// It was there before, under a tag that cannot be moved.
    WasThere,
    /// The tag names something else and cannot be moved.
    Immutable { remote: Option<Digest> },
}

/// Whether there is a manifest `target`, a digest or a tag.
pub(crate) fn head(run: &Run<'_>, target: &str) -> Result<Lookup, RegistryError> {
    let url = run.endpoint().url(&format!("manifests/{target}"));
    let answered = run.ask(Stage::HeadManifest, &Message::new("HEAD", &url, 0).accept(ACCEPTED))?;
    let (found, outcome) = match answered.reply.status {
        200 => match digest_of(&answered.reply) {
            Some(digest) => (Lookup::Found(digest), Outcome::Found),
            None => return by_content(run, target),
        },
        404 => (Lookup::Absent, Outcome::Absent),
        403 => (Lookup::Unknown, Outcome::Unknown),
        405 => return by_content(run, target),
        _ => return Err(refused(run.endpoint(), Stage::HeadManifest, &answered.reply)),
    };
    run.record(Stage::HeadManifest, target, outcome, 0, &answered);
    Ok(found)
}

/// For a registry that tells no digest, or knows no HEAD.
fn by_content(run: &Run<'_>, target: &str) -> Result<Lookup, RegistryError> {
    match get(run, target) {
        Ok(Some(fetched)) => Ok(Lookup::Found(fetched.digest)),
        Ok(None) => Ok(Lookup::Absent),
        Err(RegistryError::Denied { .. }) => Ok(Lookup::Unknown),
        Err(error) => Err(error),
    }
}

/// The manifest `target`, a digest or a tag; `None` if there is none.
pub(crate) fn get(run: &Run<'_>, target: &str) -> Result<Option<Fetched>, RegistryError> {
    let url = run.endpoint().url(&format!("manifests/{target}"));
    let answered = run.ask(Stage::GetManifest, &Message::new("GET", &url, MAX_MANIFEST).accept(ACCEPTED))?;
    match answered.reply.status {
        200 => {}
        404 => {
            run.record(Stage::GetManifest, target, Outcome::Absent, 0, &answered);
            return Ok(None);
        }
        _ => return Err(refused(run.endpoint(), Stage::GetManifest, &answered.reply)),
    }
    let digest = sha256(&answered.reply.body);
    let claimed = [target.parse().ok(), digest_of(&answered.reply)];
    if let Some(claimed) = claimed.into_iter().flatten().find(|claimed| *claimed != digest) {
        return Err(RegistryError::DigestMismatch { what: "manifest", expected: claimed, found: digest.to_string() });
    }
    run.record(Stage::GetManifest, target, Outcome::Found, answered.reply.body.len() as u64, &answered);
    Ok(Some(Fetched { digest, bytes: answered.reply.body }))
}

/// Stores a manifest under `target`, its digest or a tag. What is there already under an immutable tag is as good as stored.
pub(crate) fn put(
    run: &Run<'_>,
    target: &str,
    media_type: &str,
    bytes: &[u8],
    digest: &Digest,
) -> Result<Put, RegistryError> {
    let url = run.endpoint().url(&format!("manifests/{target}"));
    let answered = run.ask(Stage::PutManifest, &Message::new("PUT", &url, MAX_MANIFEST).body(media_type, bytes))?;
    let reply = &answered.reply;
    if is_conflict(reply) {
        return settle(run, target, digest, &answered);
    }
    if !matches!(reply.status, 200 | 201 | 204) {
        if complaint(&reply.body).0.as_deref() == Some("DIGEST_INVALID") {
            let found = "other bytes".to_owned();
            return Err(RegistryError::DigestMismatch { what: "manifest", expected: digest.clone(), found });
        }
        return Err(refused(run.endpoint(), Stage::PutManifest, reply));
    }
    // Neither this header nor `Location` is asked for: ECR has sent none.
    check_claim("manifest", reply, digest)?;
    run.record(Stage::PutManifest, target, Outcome::Stored, bytes.len() as u64, &answered);
    Ok(Put::Stored { lists_subject: reply.header("OCI-Subject").is_some() })
}

/// Stores a manifest under its own digest: the bytes that were stored, and whether the registry keeps it as a referrer of its
/// subject.
pub(crate) fn put_by_digest(run: &Run<'_>, bytes: &[u8], digest: &Digest) -> Result<(u64, bool), RegistryError> {
    match put(run, digest.as_str(), MANIFEST, bytes, digest)? {
        Put::Stored { lists_subject } => {
            let sent = bytes.len() as u64;
            run.tell(Event::Stored { digest: digest.clone(), bytes: sent });
            Ok((sent, lists_subject))
        }
        Put::WasThere => Ok((0, false)),
        Put::Immutable { remote } => {
            let found = remote.map_or("something else".to_owned(), |remote| remote.to_string());
            Err(RegistryError::DigestMismatch { what: "manifest", expected: digest.clone(), found })
        }
    }
}

/// An error if the registry claims another digest for what it stored.
pub(crate) fn check_claim(what: &'static str, reply: &Reply, expected: &Digest) -> Result<(), RegistryError> {
    match reply.header("Docker-Content-Digest") {
        Some(claimed) if claimed != expected.as_str() => {
            let found = claimed.chars().take(100).collect();
            Err(RegistryError::DigestMismatch { what, expected: expected.clone(), found })
        }
        _ => Ok(()),
    }
}

/// A tag that is immutable is refused with this code by ECR, and with these statuses by others; some do so even if it names
/// the very same manifest.
fn is_conflict(reply: &Reply) -> bool {
    let is_client_error = (400..500).contains(&reply.status);
    matches!(reply.status, 409 | 412)
        || is_client_error && complaint(&reply.body).0.as_deref().is_some_and(|code| code == "TAG_INVALID")
}

fn settle(run: &Run<'_>, target: &str, digest: &Digest, answered: &Answered) -> Result<Put, RegistryError> {
    match head(run, target)? {
        Lookup::Found(found) if found == *digest => {
            run.record(Stage::PutManifest, target, Outcome::Skipped, 0, answered);
            Ok(Put::WasThere)
        }
        Lookup::Found(found) => Ok(Put::Immutable { remote: Some(found) }),
        Lookup::Unknown if target != digest.as_str() => Ok(Put::Immutable { remote: None }),
        // Nothing is there that could be in the way: it is refused for another reason.
        Lookup::Unknown | Lookup::Absent => Err(refused(run.endpoint(), Stage::PutManifest, &answered.reply)),
    }
}

fn digest_of(reply: &Reply) -> Option<Digest> {
    reply.header("Docker-Content-Digest")?.parse().ok()
}

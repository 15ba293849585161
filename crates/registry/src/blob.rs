//! Blobs of a repository: looked up and fetched. A download may be sent on to a store elsewhere, without credentials.

use gimmetime_image::{Digest, sha256};

use crate::error::RegistryError;
use crate::location;
use crate::receipt::{Outcome, Stage};
use crate::resolve::Descriptor;
use crate::run::{Answered, Failed, Run, refused};
use crate::transport::Message;

/// Servers that a download is sent on to, one after the other.
const MAX_REDIRECTS: u32 = 5;

/// What a registry says of a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presence {
    There,
    Absent,
    /// It will not say, or does not know how: 403, 405.
    Unknown,
}

/// Whether the blob is there; one try, which is part of an upload's.
pub(crate) fn look(run: &Run<'_>, digest: &Digest, tried: u32) -> Result<Presence, Failed> {
    let url = run.endpoint().url(&format!("blobs/{digest}"));
    let answered = run.try_once(Stage::HeadBlob, &Message::new("HEAD", &url, 0), tried)?;
    let (presence, outcome) = match answered.reply.status {
        404 => (Presence::Absent, Outcome::Absent),
        // A registry that leaves blobs to a store names the place of one that is there.
        200 | 301 | 302 | 303 | 307 | 308 => (Presence::There, Outcome::Found),
        403 | 405 => (Presence::Unknown, Outcome::Unknown),
        _ => return Err(refused(run.endpoint(), Stage::HeadBlob, &answered.reply).into()),
    };
    run.record(Stage::HeadBlob, digest.as_str(), outcome, 0, &answered);
    Ok(presence)
}

/// The blob's bytes, verified: no more of them than its manifest says, and than `limit`.
pub(crate) fn get(run: &Run<'_>, blob: &Descriptor, limit: u64) -> Result<Vec<u8>, RegistryError> {
    let digest = &blob.digest;
    let answered = run.retrying(|tried| follow(run, digest, blob.size.min(limit), tried))?;
    let reply = &answered.reply;
    match reply.status {
        200 => {}
        404 => {
            let registry = run.endpoint().registry.clone();
            let (expected, found) = ("the blob that its manifest names", format!("no {digest}"));
            return Err(RegistryError::Malformed { registry, stage: Stage::GetBlob, expected, found });
        }
        _ => return Err(refused(run.endpoint(), Stage::GetBlob, reply)),
    }
    let found = sha256(&reply.body);
    if found != *digest {
        let (expected, found) = (digest.clone(), found.to_string());
        return Err(RegistryError::DigestMismatch { what: "blob", expected, found });
    }
    run.record(Stage::GetBlob, digest.as_str(), Outcome::Found, reply.body.len() as u64, &answered);
    Ok(answered.reply.body)
}

fn follow(run: &Run<'_>, digest: &Digest, limit: u64, tried: u32) -> Result<Answered, Failed> {
    let mut url = run.endpoint().url(&format!("blobs/{digest}"));
    for _ in 0..=MAX_REDIRECTS {
        let answered = run.try_once(Stage::GetBlob, &Message::new("GET", &url, limit), tried)?;
        match (answered.reply.status, answered.reply.header("Location")) {
            (301 | 302 | 303 | 307 | 308, Some(to)) => {
                url = location::resolve(&url, to).map_err(RegistryError::from)?;
            }
            _ => return Ok(answered),
        }
    }
    let (expected, found) = ("the blob", format!("more than {MAX_REDIRECTS} redirects"));
    let registry = run.endpoint().registry.clone();
    Err(RegistryError::Malformed { registry, stage: Stage::GetBlob, expected, found }.into())
}

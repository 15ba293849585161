//! The upload of one blob: look, open a session, send all of it in one PUT.
//!
//! No chunks: registries disagree on them. Whatever fails, the next try looks again and opens a new session: a reply may have
//! been lost after the blob was stored, and a session that failed is of no use at some registries.

use gimmetime_image::Digest;

use crate::blob::{self, Presence};
use crate::error::RegistryError;
use crate::event::Event;
use crate::location;
use crate::manifest::check_claim;
use crate::receipt::{Outcome, Stage};
use crate::run::{Failed, Run, complaint, refused};
use crate::transport::{MAX_ERROR_BODY, Message};
use crate::url::Url;

const BYTES: &str = "application/octet-stream";

/// Bytes under their digest, to be stored.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Payload<'a> {
    pub(crate) digest: &'a Digest,
    pub(crate) bytes: &'a [u8],
}

/// Stores the blob unless it is there; the bytes that were stored.
pub(crate) fn upload(run: &Run<'_>, payload: Payload<'_>) -> Result<u64, RegistryError> {
    let digest = payload.digest.clone();
    let bytes = payload.bytes.len() as u64;
    if run.retrying(|tried| once(run, payload, tried))? {
        run.tell(Event::Stored { digest, bytes });
        Ok(bytes)
    } else {
        run.tell(Event::Skipped { digest });
        Ok(0)
    }
}

/// One try; whether anything had to be sent.
fn once(run: &Run<'_>, payload: Payload<'_>, tried: u32) -> Result<bool, Failed> {
    if blob::look(run, payload.digest, tried)? == Presence::There {
        return Ok(false);
    }
    let Some(place) = open(run, payload.digest, tried)? else { return Ok(false) };
    run.tell(Event::Sending { digest: payload.digest.clone(), bytes: payload.bytes.len() as u64 });
    send(run, payload, &place, tried).map(|()| true)
}

/// Where to send the blob; `None` if the registry says that it has it after all.
fn open(run: &Run<'_>, digest: &Digest, tried: u32) -> Result<Option<Url>, Failed> {
    let url = run.endpoint().url("blobs/uploads/");
    let answered =
        run.try_once(Stage::StartUpload, &Message::new("POST", &url, MAX_ERROR_BODY).body(BYTES, b""), tried)?;
    let reply = &answered.reply;
    let place = match reply.status {
        202 => {
            let place = reply.header("Location").map(|location| location::resolve(&url, location));
            // An upload is named by this header too, where a proxy has lost the other.
            let named = || reply.header("Docker-Upload-UUID").map(|id| location::resolve(&url, id));
            let Some(place) = place.or_else(named) else {
                let registry = run.endpoint().registry.clone();
                let (expected, found) = ("a `Location` with its 202", "none".to_owned());
                return Err(RegistryError::Malformed { registry, stage: Stage::StartUpload, expected, found }.into());
            };
            Some(place.map_err(RegistryError::from)?)
        }
        201 => None,
        _ => return Err(refused(run.endpoint(), Stage::StartUpload, reply).into()),
    };
    let outcome = if place.is_some() { Outcome::Found } else { Outcome::Skipped };
    run.record(Stage::StartUpload, digest.as_str(), outcome, 0, &answered);
    Ok(place)
}

fn send(run: &Run<'_>, payload: Payload<'_>, place: &Url, tried: u32) -> Result<(), Failed> {
    let url = place.with_parameter("digest", payload.digest.as_str());
    let answered =
        run.try_once(Stage::PutBlob, &Message::new("PUT", &url, MAX_ERROR_BODY).body(BYTES, payload.bytes), tried)?;
    let reply = &answered.reply;
    if !matches!(reply.status, 200 | 201 | 204) {
        let code = complaint(&reply.body).0;
        return Err(match (reply.status, code.as_deref()) {
            (_, Some("DIGEST_INVALID")) => {
                let (expected, found) = (payload.digest.clone(), "other bytes".to_owned());
                RegistryError::DigestMismatch { what: "blob", expected, found }.into()
            }
            (_, Some("BLOB_UPLOAD_INVALID" | "BLOB_UPLOAD_UNKNOWN")) | (416, _) => {
                Failed::SessionLost { reply: Box::new(answered.reply) }
            }
            _ => refused(run.endpoint(), Stage::PutBlob, reply).into(),
        });
    }
    check_claim("blob", reply, payload.digest)?;
    run.record(Stage::PutBlob, payload.digest.as_str(), Outcome::Stored, payload.bytes.len() as u64, &answered);
    Ok(())
}

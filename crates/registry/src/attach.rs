//! Something about an image that is kept beside it, such as a bill of materials: a manifest of its own whose `subject` is the
//! image (OCI image-spec 1.1, "Guidelines for Artifact Usage"; distribution-spec 1.1, "Pushing Manifests with Subject").

use std::collections::BTreeMap;

use gimmetime_image::{Digest, sha256};
use serde_json::{Value, json};

use crate::error::RegistryError;
use crate::manifest::{self, INDEX, Lookup, MANIFEST, Put};
use crate::receipt::{AttachedReceipt, Listed, Outcome, Stage};
use crate::run::Run;
use crate::transport::Message;
use crate::upload::Payload;

const EMPTY_TYPE: &str = "application/vnd.oci.empty.v1+json";
const EMPTY: &[u8] = b"{}";
/// Largest list of referrers that is read.
const MAX_LIST: u64 = 4 << 20;

/// What is attached to an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attached {
    /// What it is, such as `application/vnd.cyclonedx+json`.
    pub media_type: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// What it says about itself; the same for the same bytes, or each push adds another one.
    pub annotations: BTreeMap<String, String>,
}

/// Its blobs and its manifest, for one image.
pub(crate) struct Artifact {
    media_type: String,
    digest: Digest,
    bytes: Vec<u8>,
    empty: Digest,
    manifest: Vec<u8>,
    manifest_digest: Digest,
    subject: Digest,
    annotations: BTreeMap<String, String>,
}

impl Artifact {
    /// Of `attached`, to the image whose manifest has that digest and size.
    pub(crate) fn new(attached: &Attached, subject: &Digest, subject_size: usize) -> Self {
        let (digest, empty) = (sha256(&attached.bytes), sha256(EMPTY));
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "artifactType": attached.media_type,
            "config": { "mediaType": EMPTY_TYPE, "digest": empty, "size": EMPTY.len() },
            "layers": [{ "mediaType": attached.media_type, "digest": digest, "size": attached.bytes.len() }],
            "subject": { "mediaType": MANIFEST, "digest": subject, "size": subject_size },
            "annotations": attached.annotations,
        });
        let manifest = manifest.to_string().into_bytes();
        Self {
            media_type: attached.media_type.clone(),
            bytes: attached.bytes.clone(),
            manifest_digest: sha256(&manifest),
            subject: subject.clone(),
            annotations: attached.annotations.clone(),
            digest,
            empty,
            manifest,
        }
    }

    /// What has to be there before its manifest.
    pub(crate) fn payloads(&self) -> [Payload<'_>; 2] {
        [Payload { digest: &self.digest, bytes: &self.bytes }, Payload { digest: &self.empty, bytes: EMPTY }]
    }

    /// Whether the registry has it.
    pub(crate) fn is_there(&self, run: &Run<'_>) -> Result<bool, RegistryError> {
        let there = manifest::head(run, self.manifest_digest.as_str())?;
        Ok(there == Lookup::Found(self.manifest_digest.clone()))
    }

    pub(crate) fn receipt(&self, listed: Listed) -> AttachedReceipt {
        AttachedReceipt { manifest: self.manifest_digest.clone(), digest: self.digest.clone(), listed }
    }

    /// Stores its manifest, and sees to it that it can be found from the image.
    pub(crate) fn push(&self, run: &Run<'_>) -> Result<(AttachedReceipt, u64), RegistryError> {
        let digest = &self.manifest_digest;
        let (bytes, lists_subject) = manifest::put_by_digest(run, &self.manifest, digest)?;
        let listed = if lists_subject || self.is_listed(run)? { Listed::ByRegistry } else { self.list_by_tag(run)? };
        Ok((self.receipt(listed), bytes))
    }

    /// Whether the registry lists it; one that knows nothing of referrers answers 404.
    fn is_listed(&self, run: &Run<'_>) -> Result<bool, RegistryError> {
        let url = run.endpoint().url(&format!("referrers/{}", self.subject));
        let answered = run.ask(Stage::GetReferrers, &Message::new("GET", &url, MAX_LIST).accept(&[INDEX]))?;
        let index: Option<Value> = serde_json::from_slice(&answered.reply.body).ok();
        let is_listed = answered.reply.status == 200 && index.is_some_and(|index| self.is_in(&index));
        let outcome = if is_listed { Outcome::Found } else { Outcome::Absent };
        run.record(Stage::GetReferrers, self.subject.as_str(), outcome, answered.reply.body.len() as u64, &answered);
        Ok(is_listed)
    }

    /// Lists it in an index under a tag made of the image's digest. If the registry does not let that tag be changed, it stays
    /// unlisted: the image itself is none the worse.
    fn list_by_tag(&self, run: &Run<'_>) -> Result<Listed, RegistryError> {
        let tag = format!("sha256-{}", self.subject.hex());
        let no = |reason: String| Ok(Listed::No { reason });
        let index = match manifest::get(run, &tag) {
            Ok(None) => json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [] }),
            Ok(Some(fetched)) => match serde_json::from_slice(&fetched.bytes) {
                Ok(index) => index,
                Err(_) => return no(format!("tag `{tag}` holds something else than an index")),
            },
            Err(error @ (RegistryError::Denied { .. } | RegistryError::Refused { .. })) => return no(error.to_string()),
            Err(error) => return Err(error),
        };
        if self.is_in(&index) {
            return Ok(Listed::ByTag { tag });
        }
        let Some(index) = self.added_to(index) else {
            return no(format!("tag `{tag}` holds something else than an index"));
        };
        let bytes = index.to_string().into_bytes();
        match manifest::put(run, &tag, INDEX, &bytes, &sha256(&bytes)) {
            Ok(Put::Stored { .. } | Put::WasThere) => Ok(Listed::ByTag { tag }),
            Ok(Put::Immutable { .. }) => no(format!("tag `{tag}` is immutable")),
            Err(error @ (RegistryError::Denied { .. } | RegistryError::Refused { .. })) => no(error.to_string()),
            Err(error) => Err(error),
        }
    }

    fn is_in(&self, index: &Value) -> bool {
        let manifests = index["manifests"].as_array().into_iter().flatten();
        manifests.into_iter().any(|entry| entry["digest"] == self.manifest_digest.as_str())
    }

    fn added_to(&self, mut index: Value) -> Option<Value> {
        index.get_mut("manifests")?.as_array_mut()?.push(json!({
            "mediaType": MANIFEST,
            "digest": self.manifest_digest,
            "size": self.manifest.len(),
            "artifactType": self.media_type,
            "annotations": self.annotations,
        }));
        Some(index)
    }
}

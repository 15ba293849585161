//! What was done, request by request: the proof of a push, and where its time went.

use serde::Serialize;

use gimmetime_image::Digest;

use crate::endpoint::is_ecr;

/// One kind of request, by what it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Ask the token server that the registry named.
    Token,
    /// Look whether a manifest is there.
    HeadManifest,
    /// Fetch a manifest.
    GetManifest,
    /// Look whether a blob is there.
    HeadBlob,
    /// Fetch a blob.
    GetBlob,
    /// Open an upload session.
    StartUpload,
    /// Send a blob.
    PutBlob,
    /// Store a manifest, by digest or by tag.
    PutManifest,
    /// Ask what refers to a manifest.
    GetReferrers,
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Something was looked up or fetched.
    Found,
    /// It is not there.
    Absent,
    /// The registry will not say.
    Unknown,
    /// Something was stored.
    Stored,
    /// It was not sent, since it is there.
    Skipped,
}

/// One request, all its tries together.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// What it was for.
    pub stage: Stage,
    /// The digest or tag that it was about; the scope of a token.
    pub subject: String,
    /// How it ended.
    pub outcome: Outcome,
    /// Bytes of the body that was sent or fetched, once.
    pub bytes: u64,
    /// The last try, in milliseconds.
    pub ms: f64,
    /// How often it was tried; more than 1 means that something failed on the way.
    pub tries: u32,
}

/// What became of a tag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum TagState {
    /// It named the image before.
    Unchanged,
    /// It names the image now.
    Pushed,
    /// It was pushed, and another digest was found under it afterwards: somebody else pushed it too.
    Moved {
        /// What it names now.
        to: Digest,
    },
    /// It was pushed; the registry will not say what it names now.
    Unverified,
}

/// A tag and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tag {
    /// The tag.
    pub tag: String,
    /// What became of it.
    #[serde(flatten)]
    pub state: TagState,
}

/// How what was attached to the image can be found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "listed")]
pub enum Listed {
    /// The registry lists it among the image's referrers.
    ByRegistry,
    /// Under a tag made of the image's digest, since the registry has no list of referrers.
    ByTag {
        /// The tag.
        tag: String,
    },
    /// As it was before this push, which did not look.
    Before,
    /// By its own digest only.
    No {
        /// Why it could not be listed.
        reason: String,
    },
}

/// What was attached to the image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AttachedReceipt {
    /// The digest of the manifest that names it and its subject.
    pub manifest: Digest,
    /// The digest of its bytes.
    pub digest: Digest,
    /// How it is found.
    #[serde(flatten)]
    pub listed: Listed,
}

/// What a push did.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Receipt {
    /// `HOST/REPOSITORY@sha256:…`, by which the image can be pulled.
    pub reference: String,
    /// The image's digest.
    pub digest: Digest,
    /// The tags that were asked for.
    pub tags: Vec<Tag>,
    /// What was attached, if anything was.
    pub attached: Option<AttachedReceipt>,
    /// Every request, in the order in which they ended.
    pub requests: Vec<Request>,
    /// Bytes of blobs and manifests that were stored.
    pub bytes_sent: u64,
    /// The whole push, in milliseconds.
    pub ms: f64,
}

impl Receipt {
    /// Whether the image, its tags and what is attached were all there before.
    pub fn is_unchanged(&self) -> bool {
        self.bytes_sent == 0
    }
}

impl Stage {
    /// What is attempted, for a message: "cannot …".
    pub(crate) fn attempt(self) -> &'static str {
        match self {
            Self::Token => "ask for a token",
            Self::HeadManifest => "look for the manifest",
            Self::GetManifest => "fetch the manifest",
            Self::HeadBlob => "look for the blob",
            Self::GetBlob => "fetch the blob",
            Self::StartUpload => "start the upload",
            Self::PutBlob => "upload the blob",
            Self::PutManifest => "store the manifest",
            Self::GetReferrers => "list the referrers",
        }
    }

    /// The right that it needs at a registry, in the registry's own terms.
    pub(crate) fn right(self, registry: &str) -> &'static str {
        if is_ecr(registry) { self.ecr_actions() } else { self.action() }
    }

    /// As token servers name it.
    fn action(self) -> &'static str {
        match self {
            Self::Token | Self::StartUpload | Self::PutBlob | Self::PutManifest => "push",
            Self::HeadManifest | Self::GetManifest | Self::HeadBlob | Self::GetBlob | Self::GetReferrers => "pull",
        }
    }

    /// The permissions that Amazon ECR asks for (its private registry's IAM actions).
    pub(crate) fn ecr_actions(self) -> &'static str {
        match self {
            Self::Token => "ecr:GetAuthorizationToken",
            Self::HeadManifest | Self::GetManifest | Self::GetReferrers => "ecr:BatchGetImage",
            Self::HeadBlob => "ecr:BatchCheckLayerAvailability",
            Self::GetBlob => "ecr:GetDownloadUrlForLayer",
            Self::StartUpload => "ecr:InitiateLayerUpload",
            Self::PutBlob => "ecr:UploadLayerPart and ecr:CompleteLayerUpload",
            Self::PutManifest => "ecr:PutImage",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_right_is_named_as_its_registry_names_it() {
        let ecr = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";
        assert_eq!(Stage::PutManifest.right(ecr), "ecr:PutImage");
        assert_eq!(Stage::StartUpload.right(ecr), "ecr:InitiateLayerUpload");
        assert_eq!(Stage::PutManifest.right("ghcr.io"), "push");
        assert_eq!(Stage::HeadBlob.right("ghcr.io"), "pull");
    }
}

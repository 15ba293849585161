//! What a place's repository holds.

use aws_sdk_ecr::types::ImageDetail;
use gimmetime_clock::Timestamp;

use crate::error::{AwsError, refused};
use crate::inventory::MAX_PAGES;
use crate::session::Session;

/// An image in a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredImage {
    /// `sha256:…` of its manifest.
    pub digest: String,
    /// Its tags, sorted.
    pub tags: Vec<String>,
    /// Bytes of its layers, compressed.
    pub bytes: u64,
    /// When it was pushed.
    pub pushed: Option<Timestamp>,
}

/// The images in a repository of the session's account, newest first; none where there is no such repository.
pub async fn images(session: &Session, repository: &str) -> Result<Vec<StoredImage>, AwsError> {
    let (mut images, mut token) = (Vec::new(), None);
    for _ in 0..MAX_PAGES {
        let call = session.ecr().describe_images().repository_name(repository).set_next_token(token);
        let reply = match call.send().await.map_err(|error| refused("list the images", session.endpoint(), error)) {
            Err(error) if error.has_code("RepositoryNotFoundException") => break,
            reply => reply?,
        };
        images.extend(reply.image_details().iter().filter_map(stored));
        token = reply.next_token;
        if token.is_none() {
            break;
        }
    }
    images.sort_by(|a, b| b.pushed.cmp(&a.pushed).then_with(|| a.digest.cmp(&b.digest)));
    Ok(images)
}

/// One that has no digest names nothing.
fn stored(image: &ImageDetail) -> Option<StoredImage> {
    let mut tags = image.image_tags().to_vec();
    tags.sort();
    Some(StoredImage {
        digest: image.image_digest()?.to_owned(),
        tags,
        bytes: image.image_size_in_bytes().and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or_default(),
        pushed: image.image_pushed_at().and_then(|at| i64::try_from(at.as_nanos()).ok()).map(Timestamp::from_nanos),
    })
}

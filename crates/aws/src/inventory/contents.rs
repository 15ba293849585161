//! What would be lost with a place: told before `down` asks for its name.

use crate::error::{AwsError, refused};
use crate::inventory::{MAX_PAGES, by_name};
use crate::session::Session;
use crate::stack::{find, resources};

/// What a place holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Contents {
    /// Resources of its stack.
    pub resources: usize,
    /// Images in its repository.
    pub images: usize,
    /// Bytes of those images, compressed.
    pub image_bytes: u64,
    /// Bytes of its logs; CloudWatch counts them some hours late.
    pub log_bytes: u64,
}

/// What the place of that name holds.
pub async fn contents(session: &Session, name: &str) -> Result<Contents, AwsError> {
    let mut held = Contents::default();
    if let Some(stack) = find(session, name).await? {
        let all = resources(session, &stack.id).await?;
        held.resources = all.iter().filter(|resource| resource.is_there()).count();
    }
    (held.images, held.image_bytes) = images(session, &name.to_lowercase()).await?;
    for group in by_name::log_group_names(name) {
        held.log_bytes += by_name::log_group(session, &group).await?.unwrap_or_default();
    }
    Ok(held)
}

async fn images(session: &Session, repository: &str) -> Result<(usize, u64), AwsError> {
    let (mut n, mut bytes, mut token) = (0, 0, None);
    for _ in 0..MAX_PAGES {
        let call = session.ecr().describe_images().repository_name(repository).set_next_token(token);
        let reply = match call.send().await.map_err(|error| refused("count the images", session.endpoint(), error)) {
            Err(error) if error.has_code("RepositoryNotFoundException") => break,
            reply => reply?,
        };
        for image in reply.image_details() {
            n += 1;
            bytes += image.image_size_in_bytes().and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or_default();
        }
        token = reply.next_token;
        if token.is_none() {
            break;
        }
    }
    Ok((n, bytes))
}

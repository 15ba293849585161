//! What would be lost with a place: told before `down` asks for its name.

use crate::error::AwsError;
use crate::inventory::{by_name, images};
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
    for image in images(session, &name.to_lowercase()).await? {
        held.images += 1;
        held.image_bytes += image.bytes;
    }
    for group in by_name::log_group_names(name) {
        held.log_bytes += by_name::log_group(session, &group).await?.unwrap_or_default();
    }
    Ok(held)
}

//! The image of a release on its way to where tasks on AWS pull it from.

use std::sync::Arc;
use std::time::Duration;

use gimmetime_aws::Session;
use gimmetime_clock::source;
use gimmetime_image::{Digest, Image, Program, Reference};
use gimmetime_registry::{Access, Registry, RegistryError};

use super::aws::Cloud;
use super::{repository_name, repository_of};
use crate::args::Smoke;
use crate::exit::{Exit, Failure};
use crate::follow::unless_interrupted;
use crate::release::{ARCHITECTURE, Packed, build};
use crate::render::Printer;
use crate::settings::{ImageSource, Settings};
use crate::verbs::Context;
use crate::verbs::image::{self, ecr};

/// Hex digits of the digest in a tag: a tag of a version alone could not be pushed twice where tags are immutable.
const TAG_DIGITS: usize = 12;

/// What a release is made of, before it is where tasks pull it from.
pub(crate) enum Prepared {
    /// Built here, in memory.
    Built {
        /// The image.
        image: Arc<Image>,
        /// What is known of it.
        packed: Packed,
        /// What is in it.
        program: Box<Program>,
    },
    /// In the place's repository already.
    There(Digest),
    /// In a registry.
    Elsewhere(Reference),
}

/// An image where tasks pull it from.
#[derive(Debug)]
pub(crate) struct Published {
    /// `HOST/NAME`, without a tag.
    pub(crate) repository: String,
    /// What is known of it.
    pub(crate) packed: Packed,
    /// `X86_64` or `ARM64`.
    pub(crate) architecture: String,
    /// How long it took to push; None if it was there.
    pub(crate) pushed: Option<Duration>,
}

impl Prepared {
    /// Builds what must be built. Nobody is asked, and what cannot run is refused.
    pub(crate) fn of(settings: &Settings, source: &ImageSource) -> Result<Self, Failure> {
        match source {
            ImageSource::Builtin | ImageSource::Path(_) => {
                let (image, packed, program) = build(settings, source)?;
                Ok(Self::Built { image: Arc::new(image), packed, program: Box::new(program) })
            }
            ImageSource::Digest(digest) => {
                digest.parse().map(Self::There).map_err(|error| Failure::unsure(format!("{digest}: {error}")))
            }
            ImageSource::Reference(reference) => Ok(Self::Elsewhere(reference.clone())),
        }
    }

    /// Starts what was built here once, as its tasks will be: what cannot work is refused before anything is made or rolled.
    pub(crate) async fn try_first(
        &self,
        settings: &Settings,
        smoke: &Smoke,
        printer: &mut Printer,
    ) -> Result<(), Failure> {
        let Self::Built { program, .. } = self else { return Ok(()) };
        if smoke.no_smoke {
            return Ok(());
        }
        let why_not = match () {
            () if !settings.service.secrets.is_empty() => Some("its secrets are on AWS"),
            () if std::env::consts::ARCH != "x86_64" => Some("it is for x86-64"),
            () => None,
        };
        if let Some(why) = why_not {
            printer.note(format!("  not tried here first: {why}"));
            return Ok(());
        }
        let passed = image::try_first(program, settings).await?;
        printer.note(format!("  {passed}"));
        Ok(())
    }

    /// Which image it is, and where it is or will be. Pushes nothing.
    pub(crate) async fn locate(
        &self,
        context: &Context,
        session: &Session,
        repository: &str,
    ) -> Result<Published, Failure> {
        let reference = match self {
            Self::Built { packed, .. } => {
                return Ok(Published {
                    repository: repository.to_owned(),
                    packed: packed.clone(),
                    architecture: ARCHITECTURE.to_owned(),
                    pushed: None,
                });
            }
            Self::There(digest) => Reference { digest: Some(digest.clone()), ..parsed(repository)? },
            Self::Elsewhere(reference) => reference.clone(),
        };
        let version = reference.tag.clone().unwrap_or_else(|| "unknown".to_owned());
        let access = access(context, session, &reference)?;
        let asked = reference.clone();
        let resolved = in_background(move || Registry::open(&asked, access)?.resolve(&|_| {})).await;
        let resolved = resolved.map_err(|error| failed(&error, &repository_name(&context.settings), repository))?;
        Ok(Published {
            repository: format!("{}/{}", reference.host, reference.repository),
            packed: Packed { digest: resolved.image.to_string(), version, git: None },
            architecture: architecture(&resolved.architecture),
            pushed: None,
        })
    }

    /// Brings it to the repository, unless it is there.
    pub(crate) async fn publish(
        &self,
        context: &Context,
        session: &Session,
        repository: &str,
    ) -> Result<Published, Failure> {
        let Self::Built { image, packed, .. } = self else { return self.locate(context, session, repository).await };
        let began = source::mono();
        let reference = parsed(repository)?;
        let access = access(context, session, &reference)?;
        let (image, tags) = (Arc::clone(image), vec![tag(packed)]);
        let push = move || Registry::open(&reference, access)?.push(&image, &tags, None, &|_| {});
        let receipt = in_background(push).await;
        let receipt = receipt.map_err(|error| failed(&error, &repository_name(&context.settings), repository))?;
        let pushed = (!receipt.is_unchanged()).then(|| source::mono().since(began));
        Ok(Published { pushed, ..self.locate(context, session, repository).await? })
    }
}

impl Cloud {
    /// Brings the image of a release to where this place's tasks pull it from, and has them run on what it is for.
    pub(crate) async fn publish(
        &mut self,
        context: &Context,
        source: &ImageSource,
        smoke: &Smoke,
        printer: &mut Printer,
    ) -> Result<Published, Failure> {
        let prepared = Prepared::of(&context.settings, source)?;
        prepared.try_first(&context.settings, smoke, printer).await?;
        let repository = repository_of(&context.common, &self.outputs);
        let words = match &prepared {
            Prepared::Built { .. } => format!("pushing to {repository}"),
            Prepared::There(_) | Prepared::Elsewhere(_) => format!("looking for {source}"),
        };
        printer.progress(&words, &words);
        let publishing = prepared.publish(context, &self.session, &repository);
        let published = unless_interrupted(publishing, "interrupted before anything was rolled out").await;
        printer.clear();
        let published = published??;
        self.launch_on(&published.architecture);
        Ok(published)
    }
}

/// `0.1.0-9c1f0b6a77de`: says which version it is to whoever looks into the repository, and which image.
fn tag(packed: &Packed) -> String {
    let hex = packed.digest.split_once(':').map_or(packed.digest.as_str(), |(_, hex)| hex);
    format!("{}-{}", packed.version.replace('+', "_"), &hex[..TAG_DIGITS.min(hex.len())])
}

/// An architecture as ECS has it.
fn architecture(oci: &str) -> String {
    match oci {
        "amd64" => ARCHITECTURE.to_owned(),
        other => other.to_uppercase(),
    }
}

fn parsed(repository: &str) -> Result<Reference, Failure> {
    repository.parse().map_err(|error| Failure::failed(format!("the place's repository `{repository}`: {error}")))
}

/// How a registry is reached. The session's own is given a password by AWS, and none that is meant for another. One that
/// stands in for it on this machine (`--registry`) is offered that password, too.
fn access(context: &Context, session: &Session, reference: &Reference) -> Result<Access, Failure> {
    let host = &reference.host;
    let own = ecr::provider_of(session, host);
    let is_own = own.is_some();
    let stands_in = context.common.registry.as_ref().is_some_and(|named| named.host == *host);
    let of_stand_in = || ecr::provider_of_loopback(session, host).filter(|_| stands_in);
    let provider = own.or_else(|| ecr::provider(host, context)).or_else(of_stand_in);
    let mut access = image::access(reference, &context.environment, provider)?;
    if is_own {
        access.credentials.given = None;
    }
    Ok(access)
}

/// Runs what blocks on a thread of its own.
async fn in_background<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, RegistryError> + Send + 'static,
) -> Result<T, RegistryError> {
    tokio::task::spawn_blocking(work).await.expect("a registry's client does not panic")
}

/// What a registry says. The place's own repository is its stack's to make: one made by hand would not be the stack's.
fn failed(error: &RegistryError, name: &str, own: &str) -> Failure {
    let failure = image::registry_failed(error, Exit::Failed);
    match error {
        RegistryError::RepositoryMissing { registry, repository }
            if repository == name && format!("{registry}/{repository}") == own =>
        {
            failure.hint("gimmetime down, then gimmetime up")
        }
        _ => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_places_own_repository_is_for_its_stack_to_make_and_another_for_its_owner() {
        let missing = |registry: &str, repository: &str| {
            let error =
                RegistryError::RepositoryMissing { registry: registry.to_owned(), repository: repository.to_owned() };
            failed(&error, "web", "127.0.0.1:4566/web").hint.unwrap_or_default()
        };
        assert_eq!(missing("127.0.0.1:4566", "web"), "gimmetime down, then gimmetime up");
        assert_eq!(missing("127.0.0.1:4566", "web-2"), "make it first, or check its name");
        assert_eq!(missing("registry.example.com", "web"), "make it first, or check its name");
    }

    #[test]
    fn a_tag_tells_the_version_and_the_image_apart() {
        let packed =
            Packed { digest: format!("sha256:{}", "9c1f".repeat(16)), version: "0.1.0+x".to_owned(), git: None };
        assert_eq!(tag(&packed), "0.1.0_x-9c1f9c1f9c1f");
        assert_eq!((architecture("amd64").as_str(), architecture("arm64").as_str()), ("X86_64", "ARM64"));
    }
}

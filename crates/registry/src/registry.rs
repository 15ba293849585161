//! One repository of a registry, and what can be done with it.

use gimmetime_image::{Digest, Image, Reference};

use crate::access::Access;
use crate::attach::{Artifact, Attached};
use crate::endpoint::Endpoint;
use crate::error::RegistryError;
use crate::event::Events;
use crate::manifest::{self, Lookup};
use crate::push;
use crate::receipt::{Receipt, Stage};
use crate::resolve::{self, Resolved};
use crate::run::Run;
use crate::session::Session;
use crate::verify::{self, Verification};

/// What a push may need.
const PUSH: &[&str] = &["pull", "push"];

/// One repository, with the connections and tokens that it took so far. Usable from several threads.
pub struct Registry {
    session: Session,
    reference: Reference,
}

impl Registry {
    /// The repository of `reference`. Sends nothing yet.
    ///
    /// # Errors
    /// The host is none, the certificates or the proxy cannot be used.
    pub fn open(reference: &Reference, access: Access) -> Result<Self, RegistryError> {
        let endpoint = Endpoint::of(reference, &access)?;
        Ok(Self { session: Session::new(endpoint, access)?, reference: reference.clone() })
    }

    /// Asks for the right to push from the first request on: a token for looking alone would be changed for another later.
    #[must_use]
    pub fn to_push(self) -> Self {
        self.session.want(PUSH);
        self
    }

    /// Stores `image` under its digest and `tags`, with `attached` beside it. What is there is not sent again, and a tag that
    /// names the image already is as good as pushed, even if it is immutable.
    ///
    /// # Errors
    /// [`RegistryError::TagImmutable`] if a tag names another image and stays so, and all that can go wrong on the way.
    pub fn push(
        &self,
        image: &Image,
        tags: &[String],
        attached: Option<&Attached>,
        events: Events<'_>,
    ) -> Result<Receipt, RegistryError> {
        for tag in tags {
            format!("{}/{}:{tag}", self.reference.host, self.reference.repository).parse::<Reference>()?;
        }
        self.session.want(PUSH);
        let artifact = attached.map(|attached| Artifact::new(attached, image.digest(), image.manifest().bytes.len()));
        push::push(Run::new(&self.session, events), image, tags, artifact.as_ref())
    }

    /// The digest that the reference's digest or tag has in the registry; `None` if it is not there.
    pub fn head(&self, events: Events<'_>) -> Result<Option<Digest>, RegistryError> {
        match manifest::head(&Run::new(&self.session, events), resolve::target(&self.reference)?)? {
            Lookup::Found(digest) => Ok(Some(digest)),
            Lookup::Absent => Ok(None),
            Lookup::Unknown => Err(RegistryError::Denied {
                registry: self.reference.host.clone(),
                repository: self.reference.repository.clone(),
                stage: Stage::HeadManifest,
                action: Stage::HeadManifest.right(&self.reference.host).to_owned(),
                message: String::new(),
            }),
        }
    }

    /// The image that the reference means: its digest and what its config says.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`]; [`RegistryError::OtherPlatform`] if it is an index without an image for linux/amd64.
    pub fn resolve(&self, events: Events<'_>) -> Result<Resolved, RegistryError> {
        resolve::resolve(&Run::new(&self.session, events), &self.reference)
    }

    /// Whether the reference means exactly `image`, and if not, the first thing in which they differ.
    pub fn verify(&self, image: &Image, events: Events<'_>) -> Result<Verification, RegistryError> {
        verify::verify(&Run::new(&self.session, events), image, &self.reference)
    }
}

//! An image, access without long waits, and a push that keeps what it is told.

use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex};
use std::time::Duration;

use gimmetime_image::{Image, Reference, Spec, pack};
use gimmetime_registry::{Access, Attached, Credential, Credentials, Event, Policy, Receipt, Registry, RegistryError};

use crate::fault::FaultRegistry;

/// Bytes of the executable, of which no compressor makes less.
const SIZE: usize = 300_000;

/// An image that is large enough to be cut in the middle.
pub(crate) fn image() -> Image {
    // Packed once: unoptimised, it takes longer than a push.
    static IMAGE: LazyLock<Image> = LazyLock::new(|| image_with("1.0.0", 1));
    IMAGE.clone()
}

/// An image whose version and executable are told.
pub(crate) fn image_with(version: &str, seed: u64) -> Image {
    let mut state = seed;
    let mut noise = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    pack(&Spec {
        executable: (0..SIZE).map(|_| noise()).collect::<Vec<u8>>().into(),
        command: Vec::new(),
        env: BTreeMap::new(),
        port: 8080,
        title: "time".to_owned(),
        version: version.to_owned(),
        labels: BTreeMap::new(),
    })
}

pub(crate) fn bill() -> Attached {
    Attached {
        media_type: "application/vnd.cyclonedx+json".to_owned(),
        bytes: br#"{"bomFormat":"CycloneDX","specVersion":"1.5"}"#.to_vec(),
        annotations: BTreeMap::new(),
    }
}

/// Access whose seconds are milliseconds.
pub(crate) fn access() -> Access {
    let retry = Policy { second: Duration::from_millis(1), ..Policy::default() };
    Access { retry, ..Access::default() }
}

pub(crate) fn access_as(username: &str, password: &str) -> Access {
    let credentials = Credentials { given: Some(Credential::basic(username, password)), ..Credentials::default() };
    Access { credentials, ..access() }
}

pub(crate) fn reference(registry: &FaultRegistry, rest: &str) -> Reference {
    format!("{}/{}{rest}", registry.address, registry.store.repository).parse().unwrap()
}

/// A push of [`image`] as `v1`, and all that was told meanwhile.
pub(crate) struct Pushed {
    pub(crate) result: Result<Receipt, RegistryError>,
    pub(crate) events: Vec<Event>,
}

impl Pushed {
    #[track_caller]
    pub(crate) fn receipt(&self) -> &Receipt {
        self.result.as_ref().unwrap_or_else(|error| panic!("the push failed: {error}"))
    }

    #[track_caller]
    pub(crate) fn error(&self) -> &RegistryError {
        self.result.as_ref().expect_err("the push should have failed")
    }

    /// How often something was tried again.
    pub(crate) fn waits(&self) -> usize {
        self.events.iter().filter(|event| matches!(event, Event::Waiting { .. })).count()
    }
}

pub(crate) fn push(registry: &FaultRegistry) -> Pushed {
    push_with(registry, access())
}

pub(crate) fn push_with(registry: &FaultRegistry, access: Access) -> Pushed {
    push_all(registry, access, &image(), &["v1"], None)
}

pub(crate) fn push_all(
    registry: &FaultRegistry,
    access: Access,
    image: &Image,
    tags: &[&str],
    attached: Option<&Attached>,
) -> Pushed {
    let events = Mutex::new(Vec::new());
    let tags: Vec<String> = tags.iter().map(|&tag| tag.to_owned()).collect();
    let client = Registry::open(&reference(registry, ""), access).unwrap();
    let result = client.push(image, &tags, attached, &|event| events.lock().unwrap().push(event));
    Pushed { result, events: events.into_inner().unwrap() }
}

/// Says nothing to anybody.
pub(crate) fn quiet(_: Event) {}

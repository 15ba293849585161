//! From what the settings name to an image in the engine's store, by digest.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use gimmetime_image::{Image, Layout, LayoutError, Program, Spec, annotation};

use crate::embedded;
use crate::exit::Failure;
use crate::settings::{ImageSource, Settings};

/// What executables that are packed here run on, in ECS's words.
pub(crate) const ARCHITECTURE: &str = "X86_64";
/// What names an image.
const IMAGES: &str = "an image is `builtin`, a path to a static executable, or a digest from `gimmetime image ls`; \
                      on AWS also HOST/REPOSITORY:TAG";

/// An image that the engine's store has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Packed {
    /// `sha256:…` of its manifest.
    pub(crate) digest: String,
    /// What it calls itself: `0.1.0`.
    pub(crate) version: String,
    /// The git commit it was built from, if its folder tells.
    pub(crate) git: Option<String>,
}

/// What the settings' image is without looking into a registry: its digest, and what it runs on.
///
/// # Errors
/// For an image that is named by a tag: only its registry knows which it is.
pub(crate) fn named_by_settings(settings: &Settings) -> Result<(Packed, &'static str), Failure> {
    let digest = match &settings.service.image {
        ImageSource::Digest(digest) => digest.clone(),
        ImageSource::Reference(reference) => {
            let unknown = || {
                let words = format!("{reference} is named by a tag: only its registry knows which image that is");
                Failure::unsure(words).hint("name it by its digest: HOST/REPOSITORY@sha256:…")
            };
            reference.digest.as_ref().ok_or_else(unknown)?.to_string()
        }
        source => return Ok((build(settings, source)?.1, ARCHITECTURE)),
    };
    Ok((Packed { digest, version: "unknown".to_owned(), git: None }, ARCHITECTURE))
}

/// An image in memory, of `builtin` or a path, and its program.
pub(crate) fn build(settings: &Settings, source: &ImageSource) -> Result<(Image, Packed, Program), Failure> {
    let (spec, git) = spec(source, settings.service.port)?;
    let image = gimmetime_image::build(&spec).map_err(|why| Failure::unsure(format!("{source}: {why}")))?;
    let packed = Packed { digest: image.digest().to_string(), version: spec.version.clone(), git };
    Ok((image, packed, Program::of(spec)))
}

/// Makes sure that the store has the image, and says which it is. An image that is there is not packed again.
pub(crate) fn pack(settings: &Settings, source: &ImageSource, layout: &Layout) -> Result<Packed, Failure> {
    if let ImageSource::Digest(digest) = source {
        return find(digest, layout);
    }
    let (spec, git) = spec(source, settings.service.port)?;
    let entry = layout.add_or_find(&spec).map_err(|error| not_packed(source, &error))?;
    Ok(Packed { digest: entry.digest.to_string(), version: spec.version, git })
}

/// Why an image was not made: a file that cannot run is refused as wrong usage, by its name.
pub(crate) fn not_packed(source: &ImageSource, error: &LayoutError) -> Failure {
    match (source, error) {
        (ImageSource::Path(path), LayoutError::Build(why)) => Failure::unsure(format!("{}: {why}", path.display())),
        _ => store_failed(error),
    }
}

/// What an image is built from.
pub(crate) fn spec(source: &ImageSource, port: u16) -> Result<(Spec, Option<String>), Failure> {
    let (executable, title, version, git) = match source {
        ImageSource::Builtin if embedded::SERVER.is_empty() => {
            let words = "this build of gimmetime carries no time service: it was not built on x86-64 Linux";
            return Err(Failure::unsure(words).hint("pass a path to a static executable"));
        }
        ImageSource::Builtin => {
            (embedded::SERVER.into(), "gimmetime".to_owned(), env!("CARGO_PKG_VERSION").to_owned(), None)
        }
        ImageSource::Path(path) => (read(path)?.into(), "service".to_owned(), "local".to_owned(), commit(path)),
        ImageSource::Digest(digest) => {
            return Err(Failure::unsure(format!("{digest} is built already")).hint("pass `builtin` or a path"));
        }
        ImageSource::Reference(reference) => {
            let words = format!("could not read {reference}: an image in a registry runs on AWS only");
            return Err(Failure::unsure(words).hint(IMAGES));
        }
    };
    let labels = match (source, &git) {
        (ImageSource::Builtin, _) => own_labels(),
        (_, Some(commit)) => BTreeMap::from([(annotation::REVISION.to_owned(), commit.clone())]),
        (_, None) => BTreeMap::new(),
    };
    let (command, env) = (Vec::new(), BTreeMap::new());
    Ok((Spec { executable, command, env, port, title, version, labels }, git))
}

/// What the built-in service says about itself, as its manifest of cargo has it.
fn own_labels() -> BTreeMap<String, String> {
    let known = [
        (annotation::DESCRIPTION, env!("CARGO_PKG_DESCRIPTION")),
        (annotation::LICENSES, env!("CARGO_PKG_LICENSE")),
        (annotation::SOURCE, env!("CARGO_PKG_REPOSITORY")),
        (annotation::URL, env!("CARGO_PKG_HOMEPAGE")),
        (annotation::VENDOR, env!("CARGO_PKG_AUTHORS")),
    ];
    let known = known.into_iter().filter(|(_, value)| !value.is_empty());
    known.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// A failure of the image store, as a failure of the command: what runs is not touched by it.
pub(crate) fn store_failed(error: &LayoutError) -> Failure {
    let cause = std::error::Error::source(error).map_or_else(String::new, |cause| format!(": {cause}"));
    Failure::failed(format!("{error}{cause}"))
}

fn find(digest: &str, layout: &Layout) -> Result<Packed, Failure> {
    let entry = layout.find(digest).map_err(|error| store_failed(&error).hint("gimmetime image ls"))?;
    let version = entry.annotations.get(annotation::VERSION).cloned().unwrap_or_else(|| "unknown".to_owned());
    Ok(Packed { digest: entry.digest.to_string(), version, git: None })
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|error| {
        Failure::unsure(format!("could not read the executable {}: {error}", path.display())).hint(IMAGES)
    })
}

/// The commit that is checked out where the executable lies, with `-dirty` when files differ from it.
fn commit(path: &Path) -> Option<String> {
    let folder =
        path.parent().filter(|folder| !folder.as_os_str().is_empty()).map_or(PathBuf::from("."), PathBuf::from);
    let describe = ["describe", "--always", "--dirty", "--abbrev=7", "--exclude=*"];
    let output = Command::new("git").arg("-C").arg(folder).args(describe).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && !text.trim().is_empty()).then(|| text.trim().to_owned())
}

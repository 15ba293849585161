//! `image`: what the engine runs, as OCI images named by digest, and their way to a registry or a file.

pub(crate) mod args;

mod build;
pub(crate) mod ecr;
mod list;
mod push;
mod reach;
mod save;
mod verify;

use std::path::Path;

use gimmetime_clock::iso;
use gimmetime_image::{Digest, Entry, Layout, Program, Reference, annotation, sbom};
use gimmetime_registry::{Access, Provider, RegistryError};
use serde_json::{Value, json};

use crate::embedded;
use crate::exit::{Exit, Failure};
use crate::follow::unless_interrupted;
use crate::release::{not_packed, spec, store_failed};
use crate::render::Printer;
use crate::settings::{Environment, ImageSource, Settings};
use crate::smoke::{Passed, smoke};
use crate::target::home;
use crate::verbs::Context;
use args::Image;

/// One of the verbs below `image`.
pub(crate) async fn run(context: &Context, image: &Image, printer: &mut Printer) -> Result<Exit, Failure> {
    match image {
        Image::Build(args) => build::run(args, &context.settings, printer),
        Image::Ls => list::run(context, printer).await,
        Image::Push(args) => push::run(args, context, printer).await,
        Image::Verify(args) => verify::run(args, context, printer).await,
        Image::Save(args) => save::run(args, &context.settings, printer),
    }
}

/// How the registry of `reference` is reached where no flag says; `provider` knows that registry, if anybody does.
pub(crate) fn access(
    reference: &Reference,
    environment: &Environment,
    provider: Option<Provider>,
) -> Result<Access, Failure> {
    reach::access(&args::Reach::default(), reference, environment, provider)
}

/// An image that a store has.
struct Chosen {
    layout: Layout,
    entry: Entry,
}

/// The engine's store.
fn store(settings: &Settings) -> Result<Layout, Failure> {
    home(settings).layout().map_err(|error| Failure::failed(error.to_string()))
}

/// An image as the store has it, but with its moment in the form that all of them have.
fn entry_json(entry: &Entry) -> Value {
    let mut value = serde_json::to_value(entry).expect("an entry is strings and numbers");
    if let Some(created) = value["created"].as_str().and_then(iso::parse) {
        value["created"] = json!(iso::format(created));
    }
    value
}

/// The image that was named, else that of the settings; packed into the engine's store if it is not there.
fn choose(named: Option<&str>, settings: &Settings) -> Result<Chosen, Failure> {
    choose_in(store(settings)?, named, settings)
}

fn choose_in(layout: Layout, named: Option<&str>, settings: &Settings) -> Result<Chosen, Failure> {
    let source = named.map_or_else(|| settings.service.image.clone(), ImageSource::parse);
    let entry = match &source {
        ImageSource::Digest(digest) => {
            layout.find(digest).map_err(|error| Failure::unsure(error.to_string()).hint("gimmetime image ls"))?
        }
        source => {
            let (spec, _) = spec(source, settings.service.port)?;
            layout.add_or_find(&spec).map_err(|error| not_packed(source, &error))?
        }
    };
    Ok(Chosen { layout, entry })
}

impl Chosen {
    /// What is in it, as CycloneDX, and the digest of that.
    fn sbom(&self) -> Result<(Digest, Vec<u8>), Failure> {
        let program = self.layout.executable(&self.entry.digest).map_err(|error| store_failed(&error))?;
        let crates = if program.bytes == embedded::SERVER {
            embedded::crates()
        } else {
            sbom::audited(&program.bytes).map_err(|error| Failure::unsure(error.to_string()))?
        };
        let text = |key, default| self.entry.annotations.get(key).map_or(default, String::as_str);
        let subject = sbom::Subject {
            digest: &self.entry.digest,
            title: text(annotation::TITLE, "image"),
            version: text(annotation::VERSION, "unknown"),
            executable: &program.bytes,
        };
        let document = sbom::document(&subject, &crates);
        Ok((gimmetime_image::sha256(&document), document))
    }
}

/// Starts a program once, before it is pushed.
pub(crate) async fn try_first(program: &Program, settings: &Settings) -> Result<Passed, Failure> {
    let home = home(settings);
    let trial = smoke(program, &settings.service, home.folder());
    let tried = unless_interrupted(trial, "interrupted before anything was pushed").await?;
    tried.map_err(|failure| failure.hint("--no-smoke pushes it all the same"))
}

/// Why a file could not be written.
fn not_written(file: &Path, error: &std::io::Error) -> Failure {
    Failure::failed(format!("could not write {}: {error}", file.display()))
}

/// A failure of a registry, as a failure of the command, which ends with `exit` unless the usage was wrong. The last line
/// of such an error may be a hint.
pub(crate) fn registry_failed(error: &RegistryError, exit: Exit) -> Failure {
    let is_usage = matches!(
        error,
        RegistryError::Address { .. }
            | RegistryError::Certificates { .. }
            | RegistryError::Proxy { .. }
            | RegistryError::Interrupted { .. }
    );
    let failure = Failure::told(if is_usage { Exit::Unsure } else { exit }, &error.to_string());
    match error {
        RegistryError::NoCredentials { registry, .. } if failure.hint.is_none() => failure.hint(ecr::hint(registry)),
        RegistryError::Realm(_) if failure.hint.is_none() => {
            failure.hint("image push and image verify take --token-host HOST, if that host may have it")
        }
        _ => failure,
    }
}

//! What may be typed after `image`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use gimmetime_image::Reference;

/// `image`
#[derive(Debug, Subcommand)]
pub(crate) enum Image {
    /// Pack a static executable as a reproducible OCI image, and print its digest
    Build(Build),
    /// List the images in the engine's store, or in the repository of the place on AWS
    Ls,
    /// Try an image and push it to a registry, without Docker
    Push(Push),
    /// Build an image again and compare it with the one in a registry: 0 same, 1 different, 2 could not tell
    Verify(Verify),
    /// Write an image as a tar that `docker load`, podman and skopeo read
    #[command(long_about = "Write an image as a tar that `docker load`, `podman load` and skopeo (oci-archive:) read")]
    Save(Save),
}

/// `image build`
#[derive(Debug, Args)]
pub(crate) struct Build {
    /// A path to a static executable [default: builtin]
    #[arg(value_name = "PATH")]
    pub(crate) path: Option<String>,
    /// Write a new OCI layout here instead of into the engine's store
    #[arg(long, value_name = "DIR")]
    pub(crate) to: Option<PathBuf>,
    /// Write what is in the image here, as CycloneDX 1.5
    #[arg(long, value_name = "FILE")]
    pub(crate) sbom: Option<PathBuf>,
}

/// `image push`
#[derive(Debug, Args)]
pub(crate) struct Push {
    /// Where to, as HOST/REPOSITORY:TAG; without a tag it is found by its digest alone
    #[arg(value_name = "REF", value_parser = parse_reference)]
    pub(crate) reference: Reference,
    /// builtin, a path to a static executable, or a digest from `image ls` [default: the settings' image]
    #[arg(value_name = "PATH")]
    pub(crate) path: Option<String>,
    /// One more tag; may be given several times
    #[arg(long = "tag", value_name = "TAG")]
    pub(crate) tags: Vec<String>,
    /// Attach what is in the image, as CycloneDX 1.5
    #[arg(long)]
    pub(crate) sbom: bool,
    /// Do not start it first to see that it listens, is healthy and leaves
    #[arg(long)]
    pub(crate) no_smoke: bool,
    /// How to reach the registry
    #[command(flatten)]
    pub(crate) reach: Reach,
}

/// `image verify`
#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// The image in the registry, as HOST/REPOSITORY:TAG or HOST/REPOSITORY@sha256:…
    #[arg(value_name = "REF", value_parser = parse_reference)]
    pub(crate) reference: Reference,
    /// builtin, a path to a static executable, or a digest from `image ls` [default: the settings' image]
    #[arg(value_name = "PATH")]
    pub(crate) path: Option<String>,
    /// How to reach the registry
    #[command(flatten)]
    pub(crate) reach: Reach,
}

/// `image save`
#[derive(Debug, Args)]
pub(crate) struct Save {
    /// Where to; `-` is standard output
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// builtin, a path to a static executable, or a digest from `image ls` [default: the settings' image]
    #[arg(value_name = "PATH")]
    pub(crate) path: Option<String>,
}

/// How to reach a registry.
#[derive(Debug, Default, Args)]
pub(crate) struct Reach {
    /// Trust the certificates in this PEM file too
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// Speak plain http, beyond loopback too
    #[arg(long, conflicts_with = "ca")]
    pub(crate) insecure: bool,
    /// Let the registry send the password to a token server on this host too; may be given several times
    #[arg(long = "token-host", value_name = "HOST")]
    pub(crate) token_hosts: Vec<String>,
    /// The user at the registry
    #[arg(
        long,
        value_name = "NAME",
        requires = "password_stdin",
        help = "The user at the registry [default: $GIMMETIME_REGISTRY_USER with $GIMMETIME_REGISTRY_PASSWORD, else what AWS \
                gives for its own registries, else what docker or podman have stored]"
    )]
    pub(crate) username: Option<String>,
    /// Read the password from standard input
    #[arg(long, requires = "username")]
    pub(crate) password_stdin: bool,
}

fn parse_reference(text: &str) -> Result<Reference, String> {
    text.parse().map_err(|error: gimmetime_image::ReferenceError| error.to_string())
}

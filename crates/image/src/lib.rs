//! Packs a static executable as a reproducible OCI image, and keeps images in an OCI layout on disk.
//!
//! Owns the bytes of an image (layer, config, manifest), its digest, the layout and what is read back out of it.
//! One [`Spec`] gives one digest, on every machine and in every folder: nothing here reads a clock, the environment
//! or a file's mode. Refuses what could not run: anything but a static Linux executable for x86-64.
#![forbid(unsafe_code)]

pub mod contents;
mod digest;
pub mod elf;
pub mod reference;

mod archive;
mod config;
mod image;
mod layer;
mod layout;
mod manifest;
mod program;
pub mod sbom;
mod spec;
mod tar;
mod ustar;

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod tests;

pub use digest::{Digest, DigestError, sha256};
pub use image::{Blob, Image, build, pack};
pub use layout::{Entry, Layout, LayoutError};
pub use manifest::annotation;
pub use program::{Program, Unrunnable, User};
pub use reference::{Reference, ReferenceError};
pub use spec::{BuildError, MAX_EXECUTABLE, Spec};

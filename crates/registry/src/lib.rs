//! Speaks to OCI registries (distribution-spec 1.1): push, look up, verify. Small, strict, without a runtime.
//!
//! Owns the requests, who they may carry credentials to, and when they are tried again. A push is whole-blob: one POST and
//! one PUT each, in parallel; the manifest by digest; tags last, so that a tag never names what is not there. Refuses to read
//! the environment, to print, and to decide by a registry's words.
#![forbid(unsafe_code)]

mod access;
mod registry;

mod attach;
mod push;
mod resolve;
mod upload;
mod verify;

mod blob;
mod manifest;
mod retry;
mod run;
mod session;
mod transport;

mod auth;
mod challenge;
mod credentials;
mod realm;
mod secret;
mod token;

mod endpoint;
mod location;
mod url;

mod error;
mod event;
mod receipt;

pub use access::{Access, Interrupt, Plain};
pub use attach::Attached;
pub use credentials::{Credential, Credentials, Places, Provider, Source, Tried};
pub use error::RegistryError;
pub use event::{Event, Events};
pub use location::LocationError;
pub use realm::RealmError;
pub use receipt::{AttachedReceipt, Listed, Outcome, Receipt, Request, Stage, Tag, TagState};
pub use registry::Registry;
pub use resolve::Resolved;
pub use retry::{LONGEST_RETRY_AFTER, Policy};
pub use secret::Secret;
pub use transport::Fault;
pub use verify::{Difference, Verification};

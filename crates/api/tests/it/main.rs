//! The API from outside: answers over a model that moves, the wire by hand, and clients nobody here wrote.
#![expect(clippy::unwrap_used, reason = "all of this crate is tests; the lint spares only the functions marked so")]

mod answers;
mod conformance;
mod logs;
mod wire;
mod world;

//! The time service that this program carries (see build.rs).

/// The static executable `gimmetime-server`; empty where none could be built.
pub(crate) const SERVER: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/gimmetime-server"));

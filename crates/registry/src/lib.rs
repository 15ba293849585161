//! Speaks to OCI registries.
#![forbid(unsafe_code)]

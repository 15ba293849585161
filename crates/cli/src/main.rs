//! gimmetime: the time, highly available.
#![forbid(unsafe_code)]

mod args;
mod embedded;
mod exit;
mod settings;

fn main() {}

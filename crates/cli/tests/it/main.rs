//! The whole program, driven as its users drive it: the real binary, real processes, real clients.
#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod aws;
mod bad_input;
mod bad_moments;
mod cloud;
mod env;
mod failing_releases;
mod foreign;
mod http;
mod image;
mod image_push;
mod life;
mod prompts;

mod clients;
mod held;
mod place;
mod program;
mod readme;
mod registry;
mod terminal;

//! Real engines, planes and tasks: what is promised of them, tried.

#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "what tests share fails and speaks as tests do")]

mod bad_moments;
mod place;
mod ways_of_life;

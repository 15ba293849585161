//! Doubts the time: asks over HTTP, bounds each answer, combines what it learned, and gives a verdict that is never wrong.
//!
//! [`check`] is one examination, [`start_probe`] the watch over a rollout, [`http`] the client below both. What decides
//! ([`bound`], [`estimate`], [`judge`]) is pure; what acts is small. Refuses to guess: an offset is an interval or it is
//! nothing, and what is not proved is undecided. Prints nothing.
#![forbid(unsafe_code)]

mod url;

pub mod http;

mod aim;
mod estimate;
mod sample;
mod verdict;

mod check;
mod compat;
mod probe;

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod testing;

pub use check::{CheckError, InstanceReport, Options, Report, check};
pub use compat::{Compat, compat};
pub use estimate::{DRIFT_PPM, Estimate, estimate};
pub use probe::{ProbeHandle, ProbePlan, Tally, start_probe};
pub use sample::{Instance, Resolution, Sample, SampleError, bound, readings};
pub use url::{ConnectTo, ConnectToError, ResolveError, Url, UrlError};
pub use verdict::{LIMIT, Verdict, judge};

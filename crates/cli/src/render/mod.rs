//! What people see. Numbers are real, the answer comes first, colour only repeats what a sign says.

mod fit;
pub(crate) mod money;
pub(crate) mod place;
mod printer;
pub(crate) mod progress;
pub(crate) mod rollout;
pub(crate) mod units;
pub(crate) mod words;

pub(crate) use printer::{Printer, Tone};

//! What a time is, and how sure we are.
//!
//! Owns the types every other room measures with, the only module that reads a clock ([`source`]), and the `/now` reply as it
//! is written and read ([`reply`]). Refuses everything else: no sockets, no zones, no leap seconds, no rounding that hides an
//! error. Instants and durations saturate at the ends of their range (years 1677 to 2262) instead of wrapping.

mod civil;
mod interval;
pub mod iso;
mod kernel;
mod mono;
pub mod reply;
pub mod source;
mod timestamp;

pub use interval::{Interval, ReversedInterval};
pub use mono::{Mono, Now};
pub use source::{KernelClock, Synchronization};
pub use timestamp::{Offset, Timestamp};

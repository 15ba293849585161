//! The data plane between real clients and real targets, over real sockets.

mod basics;
mod direction;
mod faults;
mod programs;
mod refusals;
mod rig;

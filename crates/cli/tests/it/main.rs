//! The whole program, driven as its users drive it: the real binary, real processes, real clients.
#![forbid(unsafe_code)]

mod life;
mod place;

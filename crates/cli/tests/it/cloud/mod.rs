//! The verbs on AWS, against an emulator that runs real containers behind a real balancer and pulls from a real registry.

mod bad_days;
mod changes;
mod denied;
mod life;
pub(crate) mod place;
mod traffic;

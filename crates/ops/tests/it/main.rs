//! The verbs against ECS's real semantics: real containers behind a real balancer, on an emulator of AWS.

mod life;
mod place;

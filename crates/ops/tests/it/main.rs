//! The verbs against ECS's real semantics: real containers behind a real balancer, on an emulator of AWS.

#![expect(clippy::unwrap_used, reason = "what tests share fails as tests do")]

mod bad_days;
mod life;
mod place;

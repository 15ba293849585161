//! Decides what runs: pure ECS service and ALB target semantics.

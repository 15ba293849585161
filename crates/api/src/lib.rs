//! Speaks the ECS, ELBv2, CloudWatch Logs and STS wire protocols over a model.

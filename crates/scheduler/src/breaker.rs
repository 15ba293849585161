//! The circuit breaker: how many failures end a deployment.

use crate::model::{BreakerThreshold, BreakerType, Service};

/// Bounds of ECS's default threshold.
const BOUNDS: (u32, u32) = (3, 200);
/// ECS's default: half the desired count, bounded.
const DEFAULT: BreakerThreshold = BreakerThreshold { kind: BreakerType::BoundedPercent, value: 50 };

/// How many failed tasks end a deployment of this service; at least 1.
pub(crate) fn threshold(service: &Service) -> u32 {
    let BreakerThreshold { kind, value } = service.rollout.breaker.threshold.unwrap_or(DEFAULT);
    let share = (u64::from(service.desired_count) * u64::from(value)).div_ceil(100);
    let share = u32::try_from(share).unwrap_or(u32::MAX);
    match kind {
        BreakerType::BoundedPercent => share.clamp(BOUNDS.0, BOUNDS.1),
        BreakerType::UnboundedPercent => share.max(1),
        BreakerType::Count => value.max(1),
    }
}

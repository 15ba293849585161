//! Moments, as each protocol writes them.

use gimmetime_clock::{Timestamp, iso};
use serde_json::Value;

/// Seconds since the epoch with milliseconds behind the point: ECS.
pub(crate) fn seconds(moment: Timestamp) -> Value {
    Value::from(millis(moment) as f64 / 1000.0)
}

/// Milliseconds since the epoch: Logs.
pub(crate) fn millis(moment: Timestamp) -> i64 {
    moment.as_nanos().div_euclid(1_000_000)
}

/// RFC 3339: Query and task metadata.
pub(crate) fn text(moment: Timestamp) -> Value {
    Value::from(iso::format(moment))
}

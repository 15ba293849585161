//! One task's way from asked for to stopped.

use gimmetime_clock::Now;

use crate::model::{Model, StopCode, TaskId};

/// Sends a task on its way to `STOPPED`.
pub(crate) fn begin_stop(_model: &mut Model, _id: &TaskId, _code: StopCode, _reason: &str, _now: Now) {}

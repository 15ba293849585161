//! Single tasks.

use gimmetime_clock::Now;

use super::Refusal;
use crate::lifecycle;
use crate::model::{Model, StopCode, Task, TaskId, TaskStatus};

/// ECS's `stoppedReason` when `StopTask` gives none.
const NO_REASON: &str = "Task stopped by user";

impl Model {
    /// The task, on its way to `STOPPED`: drained first, then signalled. One that stops already is returned as it is.
    ///
    /// Its service replaces it at once.
    pub fn stop_task(&mut self, id: &TaskId, reason: Option<&str>, now: Now) -> Result<&Task, Refusal> {
        let task = self.tasks.get(id).ok_or(Refusal::TaskNotFound)?;
        if task.desired_status != TaskStatus::Stopped {
            let stops = [(id.clone(), reason.unwrap_or(NO_REASON).to_owned())];
            lifecycle::begin_stops(self, &stops, StopCode::UserInitiated, now);
        }
        Ok(&self.tasks[id])
    }
}

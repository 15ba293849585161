//! Where an earlier supervisor left off: tasks are taken over, lost ones noted, half-started ones found or started again.

use std::collections::BTreeMap;

use gimmetime_clock::source;
use gimmetime_scheduler::Input;
use gimmetime_scheduler::model::{Exit, TaskId, TaskStatus};

use super::actor::Actor;
use super::strays::Stray;
use crate::marker::{self, Marked};

impl Actor {
    /// Brings the model and what lives together; returns what was found amiss, in sentences.
    pub(super) fn resume(&mut self, known: bool, resume_count: Option<u32>) -> Vec<String> {
        let mut marked: BTreeMap<TaskId, Marked> = BTreeMap::new();
        for found in marker::marked(self.core.home.folder()) {
            marked.insert(found.task.clone(), found);
        }
        let mut findings = Vec::new();
        let live: Vec<TaskId> = self.core.model.live_tasks().map(|task| task.id.clone()).collect();
        for id in live {
            let found = marked.remove(&id);
            findings.extend(self.resume_task(&id, found));
        }
        findings.extend(self.adopt_strays(marked.into_values().collect()));
        if let (Some(count), Some(service)) = (resume_count, &mut self.core.model.service) {
            service.desired_count = count;
        }
        if known {
            self.step(Input::Resumed);
        }
        self.step(Input::PlaneReset);
        findings
    }

    fn resume_task(&mut self, id: &TaskId, found: Option<Marked>) -> Option<String> {
        let task = self.core.model.tasks.get_mut(id)?;
        let place = task.process.clone().zip(task.address);
        let (status, asked) = (task.last_status, place.is_none());
        let place = place.or_else(|| found.map(|found| (found.process, found.address)));
        let Some((process, address)) = place else {
            // It was asked for, and never started or ended at once: start it as if for the first time.
            if status == TaskStatus::Pending {
                task.last_status = TaskStatus::Provisioning;
                task.since = source::mono();
            }
            return None;
        };
        match self.core.adopt(id, &process, address) {
            Ok(true) => {
                self.watch(id);
                if asked {
                    self.step(Input::Spawned { task: id.clone(), process, address });
                }
                None
            }
            Ok(false) => {
                self.step(Input::Exited { task: id.clone(), exit: Exit::Unknown });
                Some(format!("task {id} (pid {}) ended while no supervisor lived", process.pid))
            }
            Err(error) => {
                self.step(Input::Exited { task: id.clone(), exit: Exit::Unknown });
                Some(format!("task {id} (pid {}) cannot be taken over: {error}", process.pid))
            }
        }
    }

    fn adopt_strays(&mut self, marked: Vec<Marked>) -> Vec<String> {
        self.strays = marked.into_iter().filter_map(Stray::of).collect();
        let sentences = self.strays.iter().map(|stray| {
            let Marked { task, process, address } = &stray.marked;
            format!(
                "task {task} (pid {}, {address}) lives but is not in the state: it serves until the service is healthy, then stops",
                process.pid
            )
        });
        sentences.collect()
    }
}

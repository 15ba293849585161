//! A rollout that lasts for as long as a test wants.

use std::collections::BTreeSet;

use rustix::process::Signal;

use crate::place::{Place, eventually, kill, runs, signal};
use crate::program::{service, task_settings};

/// A rollout that goes on until the test lets it end: the old tasks ignore SIGTERM.
pub(crate) struct Held {
    pub(crate) place: Place,
    pub(crate) old: BTreeSet<u32>,
}

impl Held {
    /// Two old tasks serve, and the settings want a second release.
    pub(crate) fn ready() -> Self {
        let place = Place::new();
        place.file("task", service());
        place.settings(&task_settings("env = { MODE = \"stubborn\" }\nrollout = { stop_timeout = \"120s\" }"));
        place.must(&["up"]);
        let old = place.task_pids();
        place.settings(&task_settings("env = { GREETING = \"new\" }"));
        Self { place, old }
    }

    /// Returns once only the old tasks keep a deployment from its end.
    #[track_caller]
    pub(crate) fn hold(&self) {
        eventually("the new release serves everyone", || {
            let is_new = |pid: &u32| !self.old.contains(pid);
            let running = self.place.task_pids();
            (running.len() == 2 && running.iter().all(is_new)).then_some(())
        });
    }

    /// Lets it end.
    pub(crate) fn let_go(&self) {
        for pid in &self.old {
            kill(*pid);
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // A test that failed midway need not wait for the stop timeout.
        for pid in self.old.iter().filter(|pid| runs(**pid)) {
            signal(*pid, Signal::KILL);
        }
    }
}

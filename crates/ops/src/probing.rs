//! The probe of one change: started once, at the latest when the end is judged.

use std::time::Duration;

use gimmetime_check::{ProbeHandle, ProbePlan, Tally, start_probe};

use crate::place::Place;

/// A probe that is to be started, or was.
pub(crate) struct Probing {
    plan: Option<ProbePlan>,
    handle: Option<ProbeHandle>,
}

impl Probing {
    /// A probe of so many tasks. Of none no answer is expected.
    pub(crate) fn new(place: &Place, count: u32) -> Self {
        let plan = ProbePlan {
            url: place.url.clone(),
            connect_to: place.connect_to.clone(),
            rate: place.probe.rate,
            timeout: place.probe.timeout,
            judge_clock: place.probe.judge_clock,
        };
        let wanted = 0.0 < plan.rate && 0 < count;
        Self { plan: wanted.then_some(plan), handle: None }
    }

    /// Starts it unless it was started.
    pub(crate) fn start(&mut self) {
        if let Some(plan) = self.plan.take() {
            self.handle = Some(start_probe(plan));
        }
    }

    /// Waits for its first answer, if it was started: what is asked for before that may be over before the probe looks.
    pub(crate) async fn begun(&mut self) {
        if let Some(handle) = &mut self.handle {
            handle.begun().await;
        }
    }

    /// What it saw, `tail` from now.
    pub(crate) async fn finish(self, tail: Duration) -> Option<Tally> {
        let handle = self.handle?;
        tokio::time::sleep(tail).await;
        Some(handle.finish().await)
    }
}

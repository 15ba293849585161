//! Tasks of this place that its state does not know.

use std::time::Duration;

use gimmetime_balancer::control::TableTarget;
use gimmetime_scheduler::model::Exit;
use rustix::process::Signal;
use tokio::time::timeout;

use crate::marker::Marked;
use crate::process::Handle;

/// How long a stray may take to end after SIGTERM: as long as ECS gives a task.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);

/// A stray that is served by until the service has a healthy task again, and stopped then.
#[derive(Debug)]
pub(crate) struct Stray {
    pub(super) marked: Marked,
    handle: Handle,
}

impl Stray {
    /// None if it ended meanwhile.
    pub(crate) fn of(marked: Marked) -> Option<Self> {
        let handle = Handle::adopt(&marked.process).ok()??;
        Some(Self { marked, handle })
    }

    /// As a line of the routing table.
    pub(super) fn target(&self) -> TableTarget {
        TableTarget { id: self.marked.task.0.clone(), address: self.marked.address, draining: false }
    }

    /// SIGTERM, then SIGKILL.
    pub(crate) async fn stop(self) {
        self.handle.signal(Signal::TERM);
        let ended: Result<std::io::Result<Exit>, _> = timeout(STOP_TIMEOUT, self.handle.clone().ended()).await;
        if ended.is_err() {
            self.handle.signal(Signal::KILL);
            let _ = self.handle.ended().await;
        }
    }
}

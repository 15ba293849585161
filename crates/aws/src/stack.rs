//! The stack: what its state asks for, what would change, changing it, removing it.
//!
//! Everything is resumed from CloudFormation itself: nothing about a stack is kept on this machine. Waiting is ours, so that
//! it can be interrupted, outlives a cut network, and keeps what failed before a rollback removes it.

mod state;
mod view;

mod failure;

mod change_set;
mod drift;
mod plan;
mod resources;

mod apply;
mod destroy;
mod obstacle;
mod protection;
mod sweep;
mod watch;

use std::collections::BTreeMap;
use std::time::Duration;

use gimmetime_ops::Cancel;
use tokio::sync::mpsc::UnboundedSender;

pub use apply::{Applied, Change, apply};
pub use destroy::{Destroyed, destroy};
pub use drift::{Drift, Drifted};
pub use failure::{FailedResource, Failure, Stuck, StuckResource};
pub use plan::{Plan, PlannedAction, PlannedChange, Replacement, plan};
pub use protection::kept;
pub use resources::{StackResource, list as resources};
pub use state::{Action, Goal, StackState, decide};
pub use view::{StackView, find};

use crate::event::PlaceEvent;
use crate::session::Identity;
use crate::spec::PlaceSpec;
use crate::tags;
use crate::template::Template;

/// The stack as it shall be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Its name.
    pub name: String,
    /// The template's text, within [`crate::template::SIZE_LIMIT`].
    pub template: String,
    /// Who is asking; written down as the owner when the stack is made, and never changed afterwards.
    pub owner: String,
    /// All its tags but the owner.
    pub tags: BTreeMap<String, String>,
    /// Whether deletion and replacements are refused.
    pub protect: bool,
}

impl Wanted {
    /// The stack of a place, as this caller wants it.
    pub fn new(spec: &PlaceSpec, template: &Template, identity: &Identity) -> Self {
        Self {
            name: spec.name.clone(),
            template: template.text.clone(),
            owner: identity.owner.clone(),
            tags: spec.tags(),
            protect: spec.protect,
        }
    }

    /// All tags of the stack; an owner that is there already stays.
    fn all_tags(&self, current: Option<&StackView>) -> BTreeMap<String, String> {
        let owner = current.and_then(StackView::owner).unwrap_or(&self.owner);
        let mut all = self.tags.clone();
        all.insert(tags::OWNER.to_owned(), owner.to_owned());
        all
    }
}

/// How often CloudFormation is asked, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Pause between two looks.
    pub poll: Duration,
    /// Pause before something is tried once more: roles and network interfaces need a while.
    pub settle: Duration,
    /// How long one operation is watched before it is left to itself.
    pub patience: Duration,
}

impl Pace {
    /// For AWS: a look every 2 s, 10 s before a second try, an hour for one operation.
    pub const AWS: Self =
        Self { poll: Duration::from_secs(2), settle: Duration::from_secs(10), patience: Duration::from_hours(1) };
}

/// One run of a verb: where its events go, how it is interrupted, how fast it looks.
#[derive(Debug, Clone)]
pub struct PlaceRun {
    /// Where events go. A receiver that is gone is no error: nobody looks.
    pub events: UnboundedSender<PlaceEvent>,
    /// Interrupts waiting; what was begun goes on.
    pub cancel: Cancel,
    /// How fast it looks.
    pub pace: Pace,
}

impl PlaceRun {
    /// Waits, unless somebody interrupts.
    pub(crate) async fn pause(&self, pause: Duration) {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = self.cancel.cancelled() => {}
        }
    }

    pub(crate) fn emit(&self, event: PlaceEvent) {
        // Nobody looking is no reason to stop.
        let _ = self.events.send(event);
    }
}

/// How waiting for something ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended<T> {
    /// It is done.
    Done(T),
    /// Nobody waited for the end; it goes on. The same call again attaches.
    Detached {
        /// The state the stack was in.
        state: StackState,
    },
}

#[cfg(test)]
mod tests;

//! Who is there, and who should come and go: the arithmetic of a rolling service, without side effects.
//!
//! New before old: a healthy task is only stopped when what is left still meets the minimum, and, wherever the maximum gives
//! room, when another one already stands in for it.

use std::time::Duration;

use gimmetime_clock::{Mono, Now};

use crate::failure;
use crate::model::{Model, RolloutState, Service, TargetState, Task, TaskId, TaskStatus};

/// How long a new task must have been healthy before an old one is stopped for it. A release that answers its first check
/// and then dies must not find the old tasks gone. ECS asks for one check only.
pub(crate) const PROVED_AFTER: Duration = Duration::from_millis(500);

/// How a task fares. In the order in which tasks are given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fare {
    /// An unhealthy target, its service's grace period over.
    Bad,
    /// Starting, or not yet judged.
    Young,
    /// A healthy target.
    Healthy,
}

/// A task that is to go on.
#[derive(Debug, Clone)]
struct Seat {
    id: TaskId,
    /// It belongs to the primary deployment.
    new: bool,
    fare: Fare,
    was_healthy: bool,
    /// It has been healthy for [`PROVED_AFTER`].
    proved: bool,
    created: Mono,
}

/// Why a task is to be stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// It failed its health checks.
    Unhealthy,
    /// There is one too many, or a newer deployment takes its place.
    Surplus,
}

/// What to do next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Move {
    /// Stop these.
    Stop(Vec<(TaskId, Cause)>),
    /// Start so many.
    Start(u32),
    /// Nothing may be stopped or started, and never will: the percentages leave no room.
    Stuck,
    /// Wait: for time, or for something to happen.
    Wait,
}

/// The service's tasks that are to go on, and the limits it keeps.
#[derive(Debug)]
pub(crate) struct Census {
    seats: Vec<Seat>,
    desired: usize,
    /// `maximumPercent` of the desired count, rounded down; not below the desired count.
    upper: usize,
    /// `minimumHealthyPercent` of the desired count, rounded up.
    lower: usize,
    /// The primary deployment failed, and nothing replaces it.
    given_up: bool,
    throttled: bool,
}

impl Census {
    /// Counts; None without a deployment.
    pub(crate) fn of(model: &Model, service: &Service, now: Now) -> Option<Self> {
        let primary = service.deployments.first()?;
        let goes_on = model.tasks.values().filter(|task| task.desired_status == TaskStatus::Running);
        let grace = Duration::from_secs(service.grace_seconds.into());
        let seats = goes_on.map(|task| Seat {
            id: task.id.clone(),
            new: task.deployment_id == primary.id,
            fare: fare(model, task, grace, now),
            was_healthy: task.was_healthy,
            proved: is_proved(model, task, now),
            created: task.created,
        });
        let desired = service.desired_count as usize;
        let rollout = &service.rollout;
        Some(Self {
            seats: seats.collect(),
            desired,
            upper: (desired * rollout.maximum_percent as usize / 100).max(desired),
            lower: (desired * rollout.minimum_healthy_percent as usize).div_ceil(100),
            given_up: primary.rollout_state == RolloutState::Failed && primary.rollback_of.is_none(),
            throttled: failure::is_throttled(service, now),
        })
    }

    /// What to do next. Done over and over it comes to [`Move::Wait`].
    pub(crate) fn next(&self) -> Move {
        let mut stops: Vec<(TaskId, Cause)> = Vec::new();
        stops.extend(self.failed_new().into_iter().map(|seat| (seat.id.clone(), Cause::Unhealthy)));
        if stops.is_empty() {
            let surplus = if self.given_up { self.surplus_of_all() } else { self.surplus_of_new() };
            stops.extend(surplus.into_iter().map(|seat| (seat.id.clone(), Cause::Surplus)));
        }
        if stops.is_empty() && !self.given_up {
            stops.extend(self.replaced_old().into_iter().map(|seat| (seat.id.clone(), Cause::Surplus)));
        }
        if !stops.is_empty() {
            return Move::Stop(stops);
        }
        let room = self.upper.saturating_sub(self.seats.len());
        let starts = self.missing().min(room);
        match starts {
            _ if self.given_up || self.missing() == 0 => Move::Wait,
            0 if self.is_stuck() => Move::Stuck,
            0 => Move::Wait,
            _ if self.throttled => Move::Wait,
            starts => Move::Start(starts as u32),
        }
    }

    /// New tasks that failed their checks. One that never was healthy goes at once; one that was goes when others stand in
    /// for it, when there are more of its kind than should run at all, or, one by one, when the maximum leaves no room.
    fn failed_new(&self) -> Vec<&Seat> {
        let bad = || self.seats.iter().filter(|seat| seat.new && seat.fare == Fare::Bad);
        let never: Vec<&Seat> = bad().filter(|seat| !seat.was_healthy).collect();
        if !never.is_empty() {
            return never;
        }
        let mut fallen: Vec<&Seat> = bad().collect();
        fallen.sort_by_key(|seat| (seat.created, &seat.id));
        let enough = if self.is_rolling() { self.lower.max(1) } else { self.desired };
        if enough <= self.healthy() {
            return fallen;
        }
        if self.desired < fallen.len() {
            return fallen.split_off(self.desired);
        }
        let one_by_one = self.no_room() && !self.throttled && self.count(|seat| seat.fare == Fare::Young) == 0;
        fallen.truncate(usize::from(one_by_one));
        fallen
    }

    /// New tasks beyond the desired count: those not yet healthy first, then the newest.
    fn surplus_of_new(&self) -> Vec<&Seat> {
        let good = |seat: &Seat| seat.new && seat.fare != Fare::Bad;
        let surplus = self.count(good).saturating_sub(self.desired);
        self.scale_in_order(good).into_iter().take(surplus).collect()
    }

    /// When nothing rolls any more: tasks beyond the desired count, those of the failed deployment first.
    fn surplus_of_all(&self) -> Vec<&Seat> {
        let counted = |seat: &Seat| !seat.new || seat.fare != Fare::Bad; // bad new ones are failed_new's
        let surplus = self.count(counted).saturating_sub(self.desired);
        let mut order = self.scale_in_order(counted);
        order.sort_by_key(|seat| (seat.fare, !seat.new)); // stable: the newest first among equals
        order.into_iter().take(surplus).collect()
    }

    /// Old tasks that nobody needs: those that never served; those for which healthy new ones stand in; and, when the
    /// maximum leaves no room for new ones, as many as the minimum can spare.
    fn replaced_old(&self) -> Vec<&Seat> {
        let idle = |seat: &Seat| !seat.new && !seat.was_healthy && seat.fare != Fare::Healthy;
        let idle: Vec<&Seat> = self.seats.iter().filter(|seat| idle(seat)).collect();
        if !idle.is_empty() {
            return idle;
        }
        let old = self.count(|seat| !seat.new);
        let stand_ins = self.count(|seat| seat.new && seat.proved);
        let replaced = old.saturating_sub(self.desired.saturating_sub(stand_ins));
        let room_for = if self.no_room() && !self.throttled { self.missing() } else { 0 };
        let dependable = self.count(|seat| seat.proved || !seat.new && seat.fare == Fare::Healthy);
        let mut spare = dependable.saturating_sub(self.lower);
        let mut order: Vec<&Seat> = self.seats.iter().filter(|seat| !seat.new).collect();
        order.sort_by_key(|seat| (seat.fare, seat.created, &seat.id));
        let mut affordable = |seat: &&Seat| {
            if seat.fare != Fare::Healthy {
                return true;
            }
            let can = 0 < spare;
            spare = spare.saturating_sub(1);
            can
        };
        order.into_iter().take(replaced.max(room_for)).take_while(|seat| affordable(seat)).collect()
    }

    /// How many new tasks are still to be started.
    fn missing(&self) -> usize {
        self.desired.saturating_sub(self.count(|seat| seat.new && seat.fare != Fare::Bad))
    }

    /// The percentages round to the desired count both ways, and all old tasks are healthy: nothing can ever move.
    fn is_stuck(&self) -> bool {
        self.is_rolling()
            && self.upper <= self.desired
            && self.desired <= self.lower
            && self.seats.iter().all(|seat| seat.fare == Fare::Healthy)
    }

    fn is_rolling(&self) -> bool {
        self.seats.iter().any(|seat| !seat.new)
    }

    fn no_room(&self) -> bool {
        self.upper <= self.seats.len() && 0 < self.missing()
    }

    fn healthy(&self) -> usize {
        self.count(|seat| seat.fare == Fare::Healthy)
    }

    fn count(&self, counts: impl Fn(&Seat) -> bool) -> usize {
        self.seats.iter().filter(|seat| counts(seat)).count()
    }

    /// In the order in which scale-in takes them: by fare, then the newest first.
    fn scale_in_order(&self, candidate: impl Fn(&Seat) -> bool) -> Vec<&Seat> {
        let mut seats: Vec<&Seat> = self.seats.iter().filter(|seat| candidate(seat)).collect();
        seats.sort_by(|a, b| a.fare.cmp(&b.fare).then_with(|| (b.created, &b.id).cmp(&(a.created, &a.id))));
        seats
    }
}

fn fare(model: &Model, task: &Task, grace: Duration, now: Now) -> Fare {
    let Some(target) = model.targets.get(&task.id) else { return Fare::Young };
    match target.state {
        TargetState::Healthy => Fare::Healthy,
        TargetState::Unhealthy if target.registered.plus(grace) <= now.mono => Fare::Bad,
        _ => Fare::Young,
    }
}

fn is_proved(model: &Model, task: &Task, now: Now) -> bool {
    let since = model.targets.get(&task.id).and_then(|target| target.healthy_since);
    since.is_some_and(|since| since.plus(PROVED_AFTER) <= now.mono)
}

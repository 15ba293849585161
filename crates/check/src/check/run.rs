//! What an examination has learned so far, and what it asks next. Pure: fed with replies, told the time.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use gimmetime_clock::{KernelClock, Mono, Now};

use super::{CheckError, InstanceReport, Options, Report};
use crate::aim;
use crate::estimate::{Estimate, absorb};
use crate::http::{Fault, Reply};
use crate::sample::{Anchor, Instance, Resolution, Sample, SampleError, Steadiness, readings};
use crate::verdict::{Verdict, judge, worst};

/// Samples of one undecided clock before it stays undecided: the first, and as many aimed ones; each takes up to a second.
const MAX_AIMED: u64 = 9;
/// The same for a clock that gives stamps: more of them only help if a round trip happens to be shorter.
const MAX_FINE: u64 = 16;
/// Chance of missing an instance that answers like the others.
const MISS: f64 = 0.001;
/// Words of failures that are kept.
const MAX_FAILURES: usize = 10;

/// The next requests: one to each of these addresses, not before that moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Round {
    pub(super) addresses: Vec<SocketAddr>,
    pub(super) not_before: Option<Mono>,
}

/// What was learned so far; decides what to ask next. Pure.
pub(super) struct Run {
    options: Options,
    addresses: Vec<SocketAddr>,
    /// Those that answered, whatever; the next to be asked in front.
    reached: VecDeque<SocketAddr>,
    started: Now,
    anchor: Anchor,
    estimates: Vec<Estimate>,
    requests: u32,
    /// Replies since the last new instance.
    draws: u32,
    discarded: u32,
    own_step: bool,
    failed: u32,
    failures: Vec<String>,
    unreached: Vec<(SocketAddr, Fault)>,
    problem: Option<CheckError>,
}

impl Run {
    pub(super) fn new(
        options: Options,
        addresses: Vec<SocketAddr>,
        started: Now,
        readings: impl Iterator<Item = Now>,
    ) -> Self {
        Self {
            options,
            addresses,
            reached: VecDeque::new(),
            started,
            anchor: Anchor::new(readings),
            estimates: Vec::new(),
            requests: 0,
            draws: 0,
            discarded: 0,
            own_step: false,
            failed: 0,
            failures: Vec::new(),
            unreached: Vec::new(),
            problem: None,
        }
    }

    /// What to ask next; `None` when all is known that can be within the budget.
    pub(super) fn next(&mut self, now: Now) -> Option<Round> {
        let end = self.started.mono.plus(self.options.budget);
        if self.requests == 0 {
            let wait = aim::first_wait(now.wall);
            return Some(Round { addresses: self.addresses.clone(), not_before: Some(now.mono.plus(wait)) });
        }
        if self.reached.is_empty() || end <= now.mono || self.options.max_requests <= self.requests {
            return None;
        }
        if let Some(round) = self.narrow(now) {
            return round.not_before.is_none_or(|moment| moment <= end).then_some(round);
        }
        let missing = self.still_to_draw().min(self.options.max_requests - self.requests) as usize;
        let at_once = missing.min(self.options.connections.max(1) * self.reached.len());
        let addresses: Vec<_> = (0..at_once).map(|_| self.rotate()).collect();
        (!addresses.is_empty()).then_some(Round { addresses, not_before: None })
    }

    /// A request that may decide about an undecided clock.
    fn narrow(&mut self, now: Now) -> Option<Round> {
        let limit = self.options.limit;
        let undecided = self.estimates.iter().find(|estimate| {
            let worth = if estimate.resolution == Resolution::Fine { MAX_FINE } else { MAX_AIMED };
            estimate.samples < worth && estimate.contradictions == 0 && judge(estimate, limit) == Verdict::Undecided
        })?;
        let not_before = (undecided.resolution == Resolution::Second).then(|| {
            let (shortest, longest) = (undecided.round_trip, undecided.longest_round_trip);
            let margin = aim::margin(shortest, longest, undecided.samples as u32 - 1);
            let aimed = aim::target(undecided.current(), limit, margin).unwrap_or_default();
            let moment = aim::send_at(now.wall, aimed, shortest);
            now.mono.plus(moment.since(now.wall).magnitude())
        });
        let address = match undecided.instance {
            Instance::Unnamed(address) => address,
            Instance::Named(_) => self.rotate(),
        };
        Some(Round { addresses: vec![address], not_before })
    }

    /// How many more replies it takes to have seen every instance, as far as that can be known.
    fn still_to_draw(&self) -> u32 {
        let named = self.estimates.iter().filter(|estimate| matches!(estimate.instance, Instance::Named(_))).count();
        let (instances, enough) = match self.options.expected_instances {
            Some(expected) => (expected, expected <= self.estimates.len()),
            None => (named, named == 0 && !self.estimates.is_empty()),
        };
        if enough { 0 } else { draws_to_see_all(instances.max(1)).saturating_sub(self.draws) }
    }

    fn rotate(&mut self) -> SocketAddr {
        let address = self.reached[0];
        self.reached.rotate_left(1);
        address
    }

    pub(super) fn learn(&mut self, address: SocketAddr, result: Result<Reply, Fault>) {
        self.requests += 1;
        let reply = match result {
            Ok(reply) => reply,
            Err(fault) if fault.before_connect() => {
                let known = self.unreached.iter().any(|(unreached, _)| *unreached == address);
                self.problem.get_or_insert_with(|| CheckError::Unreachable { address, fault: fault.clone() });
                if !known {
                    self.unreached.push((address, fault));
                }
                self.reached.retain(|reached| *reached != address);
                return;
            }
            Err(fault) => return self.fail(CheckError::Unreachable { address, fault }),
        };
        if !self.reached.contains(&address) {
            self.reached.push_back(address);
        }
        self.draws += 1;
        match self.sample(address, &reply) {
            Ok(Some(sample)) => {
                if absorb(&mut self.estimates, &sample) {
                    self.draws = if self.options.expected_instances.is_some() { self.draws } else { 0 };
                }
            }
            Ok(None) => self.discarded += 1,
            Err(problem) => self.fail(problem),
        }
    }

    /// What the reply proves; `None` if our own clock spoilt it.
    fn sample(&mut self, address: SocketAddr, reply: &Reply) -> Result<Option<Sample>, CheckError> {
        if !(200..300).contains(&reply.status) {
            return Err(CheckError::Status { address, status: reply.status, body: reply.text() });
        }
        let readings = readings(reply);
        if readings.body.is_none() {
            return Err(CheckError::NotNumber { address, body: reply.text() });
        }
        let moved = match self.anchor.observe(reply.sent, reply.done) {
            Steadiness::Steady(moved) => moved,
            Steadiness::Disturbed => return Ok(None),
            Steadiness::Stepped => {
                self.own_step = true;
                self.estimates.clear();
                Duration::ZERO
            }
        };
        match Sample::of(reply, &readings, address) {
            Ok(sample) => Ok(Some(Sample { interval: sample.interval.widen(moved), ..sample })),
            Err(SampleError::Backwards) => Ok(None),
            Err(reason) => Err(CheckError::Unusable { address, reason }),
        }
    }

    fn fail(&mut self, problem: CheckError) {
        self.failed += 1;
        if self.failures.len() < MAX_FAILURES {
            self.failures.push(problem.to_string());
        }
        // What a reply says tells more than that another address gave none.
        if matches!(self.problem, None | Some(CheckError::Unreachable { .. })) {
            self.problem = Some(problem);
        }
    }

    pub(super) fn report(self, now: Now, own: KernelClock) -> Result<Report, CheckError> {
        let limit = self.options.limit;
        let Some(worst) = worst(&self.estimates, limit) else {
            return Err(self.problem.unwrap_or(CheckError::OwnClock));
        };
        let complete =
            self.failed == 0 && self.options.expected_instances.is_none_or(|expected| expected <= self.estimates.len());
        let instances = self.estimates.iter().map(|estimate| InstanceReport {
            instance: estimate.instance.clone(),
            interval: estimate.interval(),
            verdict: judge(estimate, limit),
            samples: estimate.samples,
            round_trip: estimate.round_trip,
            contradictions: estimate.contradictions,
        });
        Ok(Report {
            verdict: if complete { worst } else { worst.max(Verdict::Undecided) },
            limit,
            instances: instances.collect(),
            expected_instances: self.options.expected_instances,
            requests: self.requests,
            failed: self.failed,
            failures: self.failures,
            unreached: self.unreached,
            elapsed: now.mono.since(self.started.mono),
            own_step: self.own_step,
            own,
        })
    }
}

/// Replies without a new instance after which, with `instances` seen, another one would have shown itself with 99.9 %: the
/// balancer may choose at random, and (1 − 1/N)^m < 0.001 / N must hold for it.
pub(super) fn draws_to_see_all(instances: usize) -> u32 {
    let count = instances as f64;
    (count * (count / MISS).ln()).ceil() as u32
}

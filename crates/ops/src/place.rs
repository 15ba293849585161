//! Where it runs and what runs there: resolved values, nothing optional that a default could have filled.

use std::collections::BTreeMap;
use std::time::Duration;

use gimmetime_check::{ConnectTo, Url};
use tokio::sync::mpsc::UnboundedSender;

use crate::cancel::Cancel;
use crate::connection::Connection;
use crate::event::Event;

/// Name of the one container of every task.
pub const CONTAINER: &str = "app";

/// How many tasks a new service has unless it was said: one more than can be lost.
pub const FIRST_COUNT: u32 = 2;

/// Where a service runs. The place itself (balancer, target group, log group) was made by somebody else.
#[derive(Debug, Clone)]
pub struct Place {
    /// Name of the ECS cluster.
    pub cluster: String,
    /// Name of the ECS service, of the family of its task definitions, and the prefix of its log streams.
    pub service: String,
    /// The target group that its tasks are registered with.
    pub target_group_arn: String,
    /// Where its output goes: `/gimmetime/NAME`.
    pub log_group: String,
    /// The log group that remembers state changes of tasks and deployments, if the place has one.
    pub event_log_group: Option<String>,
    /// What the probe asks, through the balancer.
    pub url: Url,
    /// Where the probe connects instead of the URL's own host and port.
    pub connect_to: Option<ConnectTo>,
    /// The APIs.
    pub endpoint: Connection,
    /// Pause between two looks at a rollout: 50–100 ms locally, 2 s on AWS.
    pub poll: Duration,
    /// How long a rollout is watched before it is left to itself.
    pub patience: Duration,
    /// The probe that runs during every change.
    pub probe: Probe,
    /// What tasks are launched on.
    pub launch: Launch,
    /// Labels of the place, put on everything that is made in it.
    pub tags: BTreeMap<String, String>,
}

/// The open-loop probe of a rollout.
#[derive(Debug, Clone)]
pub struct Probe {
    /// Requests a second; 0 switches it off.
    pub rate: f64,
    /// How long one answer may take.
    pub timeout: Duration,
    /// Whether the replies bear a clock to be judged.
    pub judge_clock: bool,
    /// How long it goes on after the change is done: a death in the last second is seen too. 1 s on AWS; 200 ms
    /// locally, where a dead connection shows in microseconds.
    pub tail: Duration,
}

/// What tasks are launched on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Launch {
    /// Processes on this machine: no launch type, no network of their own.
    Local,
    /// Fargate.
    Fargate(Fargate),
}

/// What Fargate must be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fargate {
    /// The region: where its output and its secrets are.
    pub region: String,
    /// The account, twelve digits: whose secrets.
    pub account: String,
    /// Subnets of the tasks.
    pub subnets: Vec<String>,
    /// Security groups of the tasks.
    pub security_groups: Vec<String>,
    /// Whether tasks get public addresses.
    pub public_ip: bool,
    /// The role that pulls the image and writes the logs.
    pub execution_role_arn: String,
    /// The role of the program itself.
    pub task_role_arn: Option<String>,
    /// `X86_64` or `ARM64`, read from the image.
    pub architecture: String,
}

/// What runs: one stateless HTTP service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceSpec {
    /// The image by digest: `localhost/NAME@sha256:…`.
    pub image: String,
    /// The image as the settings name it (`builtin`, `./server`, …), even when another one is deployed by hand.
    /// `up` brings an image only when this changed, so that it never undoes a deploy.
    pub declared_image: String,
    /// What the image calls itself.
    pub version: String,
    /// The port it listens on, given as `$PORT`.
    pub port: u16,
    /// The path the balancer asks for health.
    pub health: String,
    /// Replaces the image's arguments when not empty.
    pub command: Vec<String>,
    /// Plain environment variables.
    pub env: BTreeMap<String, String>,
    /// Variables by reference: name to `file:…`, or an ARN.
    pub secrets: BTreeMap<String, String>,
    /// What a task may use.
    pub size: Size,
    /// How it rolls.
    pub rollout: Rollout,
    /// How many tasks, if it was said. A new service has [`FIRST_COUNT`] otherwise; later `scale` owns the number.
    pub count: Option<u32>,
    /// The git commit it was built from.
    pub git: Option<String>,
}

/// ECS's units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// CPU units: 1024 are one vCPU.
    pub cpu: u32,
    /// Memory in MiB.
    pub memory: u32,
}

/// How a service goes from one release to the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rollout {
    /// Lower limit of healthy tasks, percent of the count.
    pub min_healthy_percent: u32,
    /// Upper limit of tasks, percent of the count.
    pub max_percent: u32,
    /// Failed tasks of the new release that end the rollout; None is ECS's own rule (half of the count, at least 3).
    pub failures: Option<u32>,
    /// How long SIGTERM may take. Whole seconds.
    pub stop_timeout: Duration,
}

/// One run of a verb: who, where its events go, and how it is interrupted.
#[derive(Debug, Clone)]
pub struct Run {
    /// Who asks, as it is written into the ledger.
    pub who: String,
    /// How long the image took on its way to where tasks pull it from; None if it was not pushed for this change.
    pub pushed: Option<Duration>,
    /// Where events go. A receiver that is gone is no error: nobody looks.
    pub events: UnboundedSender<Event>,
    /// Interrupts waiting; what was changed goes on.
    pub cancel: Cancel,
}

impl Run {
    pub(crate) fn emit(&self, event: Event) {
        // Nobody looking is no reason to stop.
        let _ = self.events.send(event);
    }
}

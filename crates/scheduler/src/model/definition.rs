//! Task definitions: what a task runs. One container, a static executable behind one port.

use std::collections::BTreeMap;

use gimmetime_clock::Timestamp;
use serde::{Deserialize, Serialize};

use super::Tags;

/// One revision of a family. Immutable but for its status and tags.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TaskDefinition {
    /// The family it belongs to.
    pub family: String,
    /// 1, 2, 3 … within the family.
    pub revision: u32,
    /// `ACTIVE` or `INACTIVE`.
    pub status: RevisionStatus,
    /// The container's name; ours is `app`.
    pub container: String,
    /// The image, by digest: `localhost/NAME@sha256:…`.
    pub image: String,
    /// Replaces the image's entrypoint when given.
    pub entry_point: Option<Vec<String>>,
    /// Replaces the image's arguments when given.
    pub command: Option<Vec<String>>,
    /// The port the container says it listens on. The engine hands out one of its own as `$PORT`.
    pub container_port: Option<u16>,
    /// Plain environment variables.
    pub environment: BTreeMap<String, String>,
    /// Environment variables whose values are fetched when the task starts.
    pub secrets: Vec<Secret>,
    /// Labels; `gimmetime.health` is the path the balancer asks for this revision's health.
    pub docker_labels: BTreeMap<String, String>,
    /// Task-level CPU units (1024 = one vCPU), reported, not enforced here.
    pub cpu: Option<String>,
    /// Task-level memory in MiB, reported, not enforced here.
    pub memory: Option<String>,
    /// How long SIGTERM may take before SIGKILL, in seconds (ECS default 30).
    pub stop_timeout: Option<u32>,
    /// Where the output goes.
    pub log: Option<LogConfiguration>,
    /// The container definition exactly as registered, so that nothing given is lost when described.
    pub as_registered: serde_json::Value,
    /// Labels on the revision: the release ledger.
    pub tags: Tags,
    /// When it was registered.
    pub registered_at: Timestamp,
    /// When it was deregistered.
    pub deregistered_at: Option<Timestamp>,
}

/// A revision's status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RevisionStatus {
    /// A service may be updated to it.
    #[serde(rename = "ACTIVE")]
    Active,
    /// Deregistered: running tasks go on, a service cannot be updated to it.
    #[serde(rename = "INACTIVE")]
    Inactive,
}

/// A variable whose value stays outside: only the reference is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secret {
    /// Name of the environment variable.
    pub name: String,
    /// `file:/path` here.
    pub value_from: String,
}

/// The `awslogs` options that name a stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogConfiguration {
    /// `awslogs-group`
    pub group: String,
    /// `awslogs-stream-prefix`
    pub stream_prefix: String,
}

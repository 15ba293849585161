//! Task definitions: registered once, never changed, at most deregistered.

use std::collections::BTreeMap;

use gimmetime_clock::Now;

use super::{Refusal, check_name};
use crate::model::{LogConfiguration, Model, RevisionStatus, Secret, Tags, TaskDefinition};

/// What `RegisterTaskDefinition` brings; the rest of a [`TaskDefinition`] is ours to say.
#[derive(Debug, Clone, Default)]
pub struct NewTaskDefinition {
    /// The family it becomes the next revision of.
    pub family: String,
    /// The container's name.
    pub container: String,
    /// The image, by digest.
    pub image: String,
    /// Replaces the image's entrypoint when given.
    pub entry_point: Option<Vec<String>>,
    /// Replaces the image's arguments when given.
    pub command: Option<Vec<String>>,
    /// The port the container says it listens on.
    pub container_port: Option<u16>,
    /// Plain environment variables.
    pub environment: BTreeMap<String, String>,
    /// Environment variables whose values are fetched when the task starts.
    pub secrets: Vec<Secret>,
    /// Labels; `gimmetime.health` is the path of its health checks.
    pub docker_labels: BTreeMap<String, String>,
    /// CPU units.
    pub cpu: Option<String>,
    /// Memory in MiB.
    pub memory: Option<String>,
    /// How long SIGTERM may take, in seconds.
    pub stop_timeout: Option<u32>,
    /// Where the output goes.
    pub log: Option<LogConfiguration>,
    /// The container definition exactly as given.
    pub as_registered: serde_json::Value,
    /// Labels on the revision.
    pub tags: Tags,
}

impl Model {
    /// The new revision of its family: 1, or the last one's number and one.
    pub fn register_task_definition(&mut self, new: NewTaskDefinition, now: Now) -> Result<&TaskDefinition, Refusal> {
        check_name("family", &new.family)?;
        if new.image.is_empty() {
            return Err(Refusal::ClientException("Container.image should not be null or empty.".to_owned()));
        }
        let revisions = self.families.entry(new.family.clone()).or_default();
        let index = revisions.len();
        revisions.push(TaskDefinition {
            family: new.family,
            revision: index as u32 + 1,
            status: RevisionStatus::Active,
            container: new.container,
            image: new.image,
            entry_point: new.entry_point,
            command: new.command,
            container_port: new.container_port,
            environment: new.environment,
            secrets: new.secrets,
            docker_labels: new.docker_labels,
            cpu: new.cpu,
            memory: new.memory,
            stop_timeout: new.stop_timeout,
            log: new.log,
            as_registered: new.as_registered,
            tags: new.tags,
            registered_at: now.wall,
            deregistered_at: None,
        });
        Ok(&revisions[index])
    }

    /// The revision, `INACTIVE` from now on: what runs of it runs on, but no service can be updated to it.
    pub fn deregister_task_definition(
        &mut self,
        family: &str,
        revision: u32,
        now: Now,
    ) -> Result<&TaskDefinition, Refusal> {
        let index = revision.checked_sub(1).ok_or(Refusal::TaskDefinitionNotFound)? as usize;
        let definition = self
            .families
            .get_mut(family)
            .and_then(|revisions| revisions.get_mut(index))
            .ok_or(Refusal::TaskDefinitionNotFound)?;
        definition.status = RevisionStatus::Inactive;
        definition.deregistered_at.get_or_insert(now.wall);
        Ok(definition)
    }

    /// An active revision; what a service may be created with or updated to.
    pub(super) fn usable_definition(&self, family: &str, revision: u32) -> Result<&TaskDefinition, Refusal> {
        let definition = self.task_definition(family, revision).ok_or(Refusal::TaskDefinitionNotFound)?;
        match definition.status {
            RevisionStatus::Active => Ok(definition),
            RevisionStatus::Inactive => Err(Refusal::TaskDefinitionInactive),
        }
    }
}

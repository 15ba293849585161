//! Labels on resources, found by their ARN.

use super::Refusal;
use crate::model::{Arns, Model, Tags, TaskId};

/// How many tags a resource may have, as ECS has it.
pub const MAX_TAGS: usize = 50;

impl Model {
    /// The labels on a cluster, service, task, task definition or service deployment.
    pub fn tags_of(&self, arn: &str) -> Result<&Tags, Refusal> {
        let found = match self.resource(arn)? {
            Resource::Cluster(name) => &self.clusters[&name].tags,
            Resource::Service => &self.service.as_ref().ok_or(Refusal::ServiceNotFound)?.tags,
            Resource::Task(id) => &self.tasks[&id].tags,
            Resource::Definition(family, index) => &self.families[&family][index].tags,
            Resource::Deployment(index) => &self.service.as_ref().ok_or(Refusal::ServiceNotFound)?.history[index].tags,
        };
        Ok(found)
    }

    /// All labels of the resource after `tags` were added or replaced.
    pub fn tag_resource(&mut self, arn: &str, tags: Tags) -> Result<&Tags, Refusal> {
        let resource = self.resource(arn)?;
        let labels = self.labels_of(&resource)?;
        let added = tags.keys().filter(|key| !labels.contains_key(*key)).count();
        if MAX_TAGS < labels.len() + added {
            return Err(Refusal::InvalidParameter(format!(
                "The maximum number of tags that can be applied to a resource is {MAX_TAGS}."
            )));
        }
        labels.extend(tags);
        Ok(labels)
    }

    /// All labels of the resource after those of these keys were removed.
    pub fn untag_resource(&mut self, arn: &str, keys: &[String]) -> Result<&Tags, Refusal> {
        let resource = self.resource(arn)?;
        let labels = self.labels_of(&resource)?;
        labels.retain(|key, _| !keys.contains(key));
        Ok(labels)
    }

    fn labels_of(&mut self, resource: &Resource) -> Result<&mut Tags, Refusal> {
        const FOUND: &str = "resource() has just found it";
        let found = match resource {
            Resource::Cluster(name) => &mut self.clusters.get_mut(name).expect(FOUND).tags,
            Resource::Service => &mut self.service.as_mut().ok_or(Refusal::ServiceNotFound)?.tags,
            Resource::Task(id) => &mut self.tasks.get_mut(id).expect(FOUND).tags,
            Resource::Definition(family, index) => &mut self.families.get_mut(family).expect(FOUND)[*index].tags,
            Resource::Deployment(index) => {
                &mut self.service.as_mut().ok_or(Refusal::ServiceNotFound)?.history[*index].tags
            }
        };
        Ok(found)
    }

    /// Which resource an ARN names.
    fn resource(&self, arn: &str) -> Result<Resource, Refusal> {
        let arns = self.arns();
        let missing = || Refusal::InvalidParameter(format!("The specified resource `{arn}` was not found."));
        let last = arn.rsplit('/').next().unwrap_or_default();
        if self.clusters.contains_key(last) && arn == arns.cluster(last) {
            return Ok(Resource::Cluster(last.to_owned()));
        }
        if let Some(found) = self.definition_named(arn, last, arns) {
            return Ok(found);
        }
        let task = TaskId(last.to_owned());
        if self.tasks.get(&task).is_some_and(|task| arn == arns.task(&task.cluster, last)) {
            return Ok(Resource::Task(task));
        }
        let service = self.service.as_ref().ok_or_else(missing)?;
        if arn == arns.service(&service.cluster, &service.name) {
            return Ok(Resource::Service);
        }
        let named = |id: &str| arn == arns.service_deployment(&service.cluster, &service.name, id);
        service.history.iter().position(|entry| named(&entry.id)).map(Resource::Deployment).ok_or_else(missing)
    }

    fn definition_named(&self, arn: &str, last: &str, arns: Arns<'_>) -> Option<Resource> {
        let (family, revision) = last.split_once(':')?;
        let revision = revision.parse().ok()?;
        self.task_definition(family, revision)?;
        (arn == arns.task_definition(family, revision))
            .then(|| Resource::Definition(family.to_owned(), revision as usize - 1))
    }
}

/// A resource that is there.
enum Resource {
    Cluster(String),
    Service,
    Task(TaskId),
    /// Family, and the revision's index.
    Definition(String, usize),
    /// The index in the service's history.
    Deployment(usize),
}

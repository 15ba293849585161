use gimmetime_clock::{Mono, Now, Timestamp};

use super::{MAX_TAGS, Refusal, ServiceChange};
use crate::model::{Model, RevisionStatus, RolloutConfiguration, ServiceDeploymentStatus, ServiceStatus, Tags, TaskId};
use crate::tests::releases::{NAME, new_definition, new_service};
use crate::tests::world::World;
use crate::{Input, NewService};

const NOW: Now = Now { wall: Timestamp::from_secs(1_800_000_000), mono: Mono::from_nanos(9_000_000_000_000) };

/// A model with a cluster and two revisions.
fn prepared() -> Model {
    let mut model = World::new().model;
    model.register_task_definition(new_definition(), NOW).unwrap();
    model.register_task_definition(new_definition(), NOW).unwrap();
    model
}

fn served() -> Model {
    let mut model = prepared();
    model.create_service(new_service(2, 1), NOW).unwrap();
    model
}

fn tags(pairs: &[(&str, &str)]) -> Tags {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn creating_a_cluster_twice_leaves_the_first() {
    let mut model = prepared();
    model.create_cluster("other", tags(&[("a", "1")]), NOW).unwrap();
    let again = model.create_cluster("other", tags(&[("a", "2")]), NOW).unwrap();
    assert_eq!(again.tags, tags(&[("a", "1")]));
    let refused = model.create_cluster("no spaces", Tags::new(), NOW).unwrap_err();
    assert_eq!(refused.code(), "InvalidParameterException");
}

#[test]
fn revisions_count_up_and_never_change_their_number() {
    let mut model = prepared();
    assert_eq!(model.register_task_definition(new_definition(), NOW).unwrap().revision, 3);
    model.deregister_task_definition(NAME, 3, NOW).unwrap();
    assert_eq!(model.register_task_definition(new_definition(), NOW).unwrap().revision, 4);
    assert_eq!(model.task_definition(NAME, 3).unwrap().status, RevisionStatus::Inactive);
    assert_eq!(model.deregister_task_definition(NAME, 9, NOW).unwrap_err(), Refusal::TaskDefinitionNotFound);
    assert_eq!(model.deregister_task_definition(NAME, 0, NOW).unwrap_err(), Refusal::TaskDefinitionNotFound);
}

#[track_caller]
fn check_create(change: impl Fn(&mut NewService), refusal: &Refusal) {
    let mut model = prepared();
    model.deregister_task_definition(NAME, 2, NOW).unwrap();
    let mut new = new_service(1, 1);
    change(&mut new);
    assert_eq!(&model.create_service(new, NOW).unwrap_err(), refusal);
    assert!(model.service.is_none());
}

#[test]
fn a_service_that_cannot_be_is_refused_in_ecs_words() {
    check_create(|new| "nowhere".clone_into(&mut new.cluster), &Refusal::ClusterNotFound);
    check_create(|new| new.revision = 7, &Refusal::TaskDefinitionNotFound);
    check_create(|new| new.revision = 2, &Refusal::TaskDefinitionInactive);
    let message = "Both maximumPercent and minimumHealthyPercent cannot be 100 as this will block deployments.";
    let blocked = |new: &mut NewService| new.rollout.maximum_percent = 100;
    check_create(blocked, &Refusal::InvalidParameter(message.to_owned()));
    assert_eq!(Refusal::TaskDefinitionInactive.to_string(), "TaskDefinition is inactive");
    assert_eq!(Refusal::TaskDefinitionInactive.code(), "ClientException");
    assert_eq!(Refusal::ServiceDraining.to_string(), "Unable to Start a service that is still Draining.");
}

#[test]
fn one_service_an_engine_until_it_is_deleted() {
    let mut model = served();
    let second = NewService { name: "second".to_owned(), ..new_service(1, 1) };
    let refused = model.create_service(second, NOW).unwrap_err();
    assert_eq!(refused, Refusal::SecondService(NAME.to_owned()));
    let message = "Creation of service was not idempotent.".to_owned();
    assert_eq!(model.create_service(new_service(2, 1), NOW).unwrap_err(), Refusal::InvalidParameter(message));
    model.delete_service(NAME, NAME, true, NOW).unwrap();
    assert_eq!(model.create_service(new_service(2, 1), NOW).unwrap_err(), Refusal::ServiceDraining);
    crate::step(&mut model, Input::Tick, NOW);
    assert_eq!(model.service.as_ref().unwrap().status, ServiceStatus::Inactive);
    assert_eq!(model.create_service(new_service(2, 1), NOW).unwrap().status, ServiceStatus::Active);
}

#[test]
fn an_update_changes_everything_or_nothing() {
    let mut model = served();
    let before = serde_json::to_string(&model).unwrap();
    let change = ServiceChange {
        desired_count: Some(7),
        task_definition: Some((NAME.to_owned(), 99)),
        ..ServiceChange::default()
    };
    assert_eq!(model.update_service(NAME, NAME, change, NOW).unwrap_err(), Refusal::TaskDefinitionNotFound);
    let rollout = RolloutConfiguration { minimum_healthy_percent: 101, ..RolloutConfiguration::default() };
    let change = ServiceChange { desired_count: Some(7), rollout: Some(rollout), ..ServiceChange::default() };
    assert_eq!(model.update_service(NAME, NAME, change, NOW).unwrap_err().code(), "InvalidParameterException");
    let missing = model.update_service(NAME, "other", ServiceChange::default(), NOW).unwrap_err();
    assert_eq!(missing, Refusal::ServiceNotFound);
    let missing = model.update_service("other", NAME, ServiceChange::default(), NOW).unwrap_err();
    assert_eq!(missing, Refusal::ClusterNotFound);
    assert_eq!(serde_json::to_string(&model).unwrap(), before);
}

#[test]
fn an_update_to_an_inactive_revision_is_refused_but_what_runs_of_it_may_be_scaled() {
    let mut model = served();
    model.deregister_task_definition(NAME, 1, NOW).unwrap();
    model.deregister_task_definition(NAME, 2, NOW).unwrap();
    let change = ServiceChange { task_definition: Some((NAME.to_owned(), 2)), ..ServiceChange::default() };
    assert_eq!(model.update_service(NAME, NAME, change, NOW).unwrap_err(), Refusal::TaskDefinitionInactive);
    let change = ServiceChange { desired_count: Some(3), ..ServiceChange::default() };
    assert_eq!(model.update_service(NAME, NAME, change, NOW).unwrap().desired_count, 3);
}

#[test]
fn an_update_answers_with_its_deployment_in_front() {
    let mut model = served();
    let change = ServiceChange { task_definition: Some((NAME.to_owned(), 2)), ..ServiceChange::default() };
    let service = model.update_service(NAME, NAME, change, NOW).unwrap();
    assert_eq!((service.revision, service.deployments[0].revision, service.deployments.len()), (2, 2, 2));
    let id = &service.deployments[0].id;
    assert_eq!(service.deployments[0].rollout_reason, format!("ECS deployment {id} in progress."));
    assert_eq!(&service.history[0].deployment_id, id);
    assert_eq!(service.history[0].status, ServiceDeploymentStatus::Pending);
}

#[test]
fn a_service_scaled_above_nothing_is_deleted_only_by_force() {
    let mut model = served();
    let refused = model.delete_service(NAME, NAME, false, NOW).unwrap_err();
    assert_eq!(refused.to_string(), "The service cannot be stopped while it is scaled above 0.");
    model.delete_service(NAME, NAME, true, NOW).unwrap();
    let again = model.delete_service(NAME, NAME, true, NOW).unwrap_err();
    assert_eq!(again, Refusal::ServiceNotActive);
    let change = ServiceChange { desired_count: Some(1), ..ServiceChange::default() };
    assert_eq!(model.update_service(NAME, NAME, change, NOW).unwrap_err(), Refusal::ServiceNotActive);
}

#[test]
fn a_task_that_is_not_there_cannot_be_stopped() {
    let refused = served().stop_task(&TaskId("00".to_owned()), None, NOW).unwrap_err();
    assert_eq!(refused.to_string(), "The referenced task was not found.");
    assert_eq!(refused.code(), "InvalidParameterException");
}

#[test]
fn a_task_is_stopped_once_and_by_default_by_its_user() {
    let mut world = World::steady(1);
    let task = world.some_healthy();
    let now = world.now;
    let stopped = world.model.stop_task(&task, None, now).unwrap();
    assert_eq!(stopped.stopped_reason.as_deref(), Some("Task stopped by user"));
    let again = world.model.stop_task(&task, Some("again"), now).unwrap();
    assert_eq!(again.stopped_reason.as_deref(), Some("Task stopped by user"));
}

#[test]
fn every_kind_of_resource_bears_tags() {
    let mut model = World::steady(1).model;
    let service = model.service.as_ref().unwrap();
    let arns = model.arns();
    let resources = [
        arns.cluster(NAME),
        arns.service(NAME, NAME),
        arns.task_definition(NAME, 1),
        arns.task(NAME, &model.tasks.keys().next().unwrap().0),
        arns.service_deployment(NAME, NAME, &service.history[0].id),
    ];
    for arn in resources {
        assert!(model.tags_of(&arn).unwrap().is_empty(), "{arn}");
        model.tag_resource(&arn, tags(&[("a", "1"), ("b", "2")])).unwrap();
        model.tag_resource(&arn, tags(&[("b", "3")])).unwrap();
        model.untag_resource(&arn, &["a".to_owned(), "never".to_owned()]).unwrap();
        assert_eq!(model.tags_of(&arn).unwrap(), &tags(&[("b", "3")]), "{arn}");
    }
}

#[test]
fn tags_of_what_is_not_there_are_refused_and_so_are_too_many() {
    let mut model = prepared();
    for arn in ["", "gimmetime", "arn:aws:ecs:local:000000000000:cluster/none", &model.arns().task_definition(NAME, 9)]
    {
        assert_eq!(model.tags_of(arn).unwrap_err().code(), "InvalidParameterException", "{arn}");
    }
    let arn = model.arns().cluster(NAME);
    let many: Tags = (0..MAX_TAGS).map(|n| (n.to_string(), String::new())).collect();
    model.tag_resource(&arn, many.clone()).unwrap();
    model.tag_resource(&arn, many).unwrap();
    assert!(model.tag_resource(&arn, tags(&[("more", "")])).is_err());
    assert_eq!(model.tags_of(&arn).unwrap().len(), MAX_TAGS);
}

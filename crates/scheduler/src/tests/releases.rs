//! What is deployed in rehearsals: releases, good and bad, and the service that runs them.

use std::time::Duration;

use gimmetime_clock::Offset;
use serde_json::Value;

use crate::model::{Breaker, Exit, RolloutConfiguration, Tags};
use crate::{NewService, NewTaskDefinition};

pub(crate) const NAME: &str = "gimmetime";

/// How the processes of one revision behave.
#[derive(Debug, Clone)]
pub(crate) struct Behaviour {
    pub(super) spawns: bool,
    /// How long after the start it opens its port; None: never.
    pub(super) listens_after: Option<Duration>,
    /// What its health path answers; None: nothing, ever.
    pub(super) status: Option<u16>,
    pub(super) exits_after: Option<(Duration, Exit)>,
    pub(super) ignores_term: bool,
    pub(super) clock: Offset,
}

pub(super) fn good() -> Behaviour {
    Behaviour {
        spawns: true,
        listens_after: Some(Duration::from_millis(20)),
        status: Some(200),
        exits_after: None,
        ignores_term: false,
        clock: Offset::ZERO,
    }
}

pub(super) fn rollout() -> RolloutConfiguration {
    let breaker = Breaker { enable: true, rollback: true, threshold: None, reset_on_healthy_task: None };
    RolloutConfiguration { minimum_healthy_percent: 100, maximum_percent: 200, breaker }
}

pub(crate) fn new_definition() -> NewTaskDefinition {
    NewTaskDefinition {
        family: NAME.to_owned(),
        container: "app".to_owned(),
        image: "localhost/gimmetime@sha256:00".to_owned(),
        container_port: Some(8080),
        stop_timeout: Some(5),
        ..NewTaskDefinition::default()
    }
}

pub(crate) fn new_service(desired_count: u32, revision: u32) -> NewService {
    NewService {
        name: NAME.to_owned(),
        cluster: NAME.to_owned(),
        family: NAME.to_owned(),
        revision,
        desired_count,
        rollout: rollout(),
        grace_seconds: 0,
        load_balancers: Value::Null,
        as_given: Value::Null,
        created_by: "arn:aws:iam::000000000000:user/root".to_owned(),
        tags: Tags::new(),
    }
}

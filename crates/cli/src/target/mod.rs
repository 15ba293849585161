//! Where it runs, reached: the engine on this machine, or a place on AWS. Both are a place for `ops`.

mod aws;
mod health;
mod local;
mod publish;

use std::time::Duration;

use gimmetime_ops::{Place, Probe, Rollout, ServiceSpec, Size};

use crate::args::Common;
use crate::exit::Failure;
use crate::release::Packed;
use crate::render::Printer;
use crate::settings::{self, ImageSource, Settings};

pub(crate) use aws::{
    Cloud, change_word, heading, must_be_ours, open, outputs, outputs_by_name, read, region, repository_name,
    repository_of, repository_uri, session_spec, spec as aws_spec, template_failed, wanted,
};
pub(crate) use health::{path_in_the_way, path_not_brought};
pub(crate) use local::{
    DEFAULT_LISTEN, Local, binary, engine_failed, home, place, place_spec, repository, take_over, tell_findings, url_of,
};
pub(crate) use publish::{Prepared, Published};

/// How long a change is waited for unless `--timeout` says.
const PATIENCE: Duration = Duration::from_mins(10);
/// How long one answer to the probe may take.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// A place that was reached.
#[derive(Debug)]
pub(crate) enum Reached {
    /// The engine on this machine.
    Local(Box<Local>),
    /// A stack on AWS.
    Aws(Box<Cloud>),
}

impl Reached {
    /// What `ops` needs of it.
    pub(crate) fn place(&self) -> &Place {
        match self {
            Self::Local(local) => &local.place,
            Self::Aws(cloud) => &cloud.place,
        }
    }
}

/// The place that the settings name.
pub(crate) async fn reach(settings: &Settings, common: &Common, printer: &mut Printer) -> Result<Reached, Failure> {
    match &settings.place {
        settings::Place::Local { .. } => {
            local::connect(settings, common, printer).await.map(Box::new).map(Reached::Local)
        }
        settings::Place::Aws(place) => {
            aws::connect(settings, place, common, printer).await.map(Box::new).map(Reached::Aws)
        }
    }
}

/// The probe of every change, which goes on for `tail` after it.
fn probe(settings: &Settings, tail: Duration) -> Probe {
    Probe { rate: settings.service.rollout.probe_rate, timeout: PROBE_TIMEOUT, judge_clock: true, tail }
}

/// What runs, of an image in a repository: `localhost/NAME` here, the place's own on AWS.
pub(crate) fn service_spec(settings: &Settings, source: &ImageSource, repository: &str, packed: Packed) -> ServiceSpec {
    let service = &settings.service;
    let rollout = &service.rollout;
    let Packed { digest, version, git } = packed;
    ServiceSpec {
        image: format!("{repository}@{digest}"),
        declared_image: source.to_string(),
        version,
        port: service.port,
        health: service.health.clone(),
        command: service.command.clone().unwrap_or_default(),
        env: service.env.clone(),
        secrets: service.secrets.clone(),
        size: Size { cpu: service.cpu, memory: service.memory },
        rollout: Rollout {
            min_healthy_percent: rollout.min_healthy_percent,
            max_percent: rollout.max_percent,
            failures: Some(rollout.failures),
            stop_timeout: rollout.stop_timeout,
        },
        count: settings.count,
        git,
    }
}

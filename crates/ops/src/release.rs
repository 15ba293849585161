//! Releases: ECS's task definitions, labelled. Release N is revision N of the family that bears the service's name.

use std::collections::BTreeMap;

use aws_sdk_ecs::error::BuildError;
use aws_sdk_ecs::types::{
    Compatibility, ContainerDefinition, CpuArchitecture, KernelCapabilities, KeyValuePair, LinuxParameters,
    LogConfiguration, LogDriver, NetworkMode, OsFamily, PortMapping, RuntimePlatform, Secret, Tag,
};
use gimmetime_clock::{Timestamp, iso, source};
use serde::Serialize;
use tokio::task::JoinSet;

use crate::cause::Cause;
use crate::definition::{Definition, HEALTH_LABEL};
use crate::error::{OpsError, refused};
use crate::event::{Event, Ledger, Outcome};
use crate::fargate::DROPPED_CAPABILITIES;
use crate::lock;
use crate::observe;
use crate::patience::until_accepted;
use crate::place::{CONTAINER, Place, Run, ServiceSpec};
use crate::snapshot::{AttemptView, RolloutState, ServiceView, revision_of};
use crate::tags;
use crate::took;

/// How many releases are looked at, newest first: an older one is asked for by number.
const RELEASES: usize = 50;

/// One release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Release {
    /// Its number.
    pub number: u32,
    /// The digest of its image.
    pub digest: Option<String>,
    /// What it calls itself.
    pub version: Option<String>,
    /// Its git commit.
    pub git: Option<String>,
    /// Who registered it.
    pub who: Option<String>,
    /// When it was registered.
    #[serde(serialize_with = "iso::serialize_known")]
    pub at: Option<Timestamp>,
    /// How its last rollout ended; of one that serves whole, that it succeeded, whatever became of bringing it once more.
    pub outcome: ReleaseOutcome,
    /// Why it failed, if that was found out.
    pub cause: Option<String>,
    /// Whether it is what the service runs, or is being changed to.
    pub serving: bool,
}

/// How a release's last rollout ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ReleaseOutcome {
    /// It served.
    Succeeded,
    /// It failed, and the one before it served again.
    RolledBack,
    /// It failed.
    Failed,
    /// It was overtaken by another before its end.
    Stopped,
    /// It is being rolled out.
    InProgress,
    /// Not known: it was never rolled out, or nobody watched and the ledger forgot.
    Unknown,
}

/// What was just registered.
#[derive(Debug, Clone)]
pub(crate) struct Registered {
    pub(crate) arn: String,
    pub(crate) release: u32,
    /// The port it listens on.
    pub(crate) port: Option<u16>,
}

/// The releases, newest first, at most fifty.
pub async fn releases(place: &Place) -> Result<Vec<Release>, OpsError> {
    let service = observe::find_service(place).await?.as_ref().map(ServiceView::from);
    let serving = service.as_ref().and_then(|service| revision_of(&service.task_definition));
    let whole = match &service {
        Some(service) if serves_whole(place, service).await? => serving,
        _ => None,
    };
    let arns = observe::revisions(place, RELEASES).await?;
    let mut attempts = if serving.is_some() { observe::attempts(place).await? } else { Vec::new() };
    observe::resolve_revisions(place, &mut attempts).await?;

    let mut reads = JoinSet::new();
    for arn in arns {
        let place = place.clone();
        reads.spawn(async move { observe::task_definition(&place, &arn).await });
    }
    let mut releases = Vec::new();
    for read in reads.join_all().await {
        let (definition, labels) = read?;
        let number = definition.revision().try_into().unwrap_or(0);
        let digest = Definition::read(&definition).digest().map(str::to_owned);
        let told = release(number, digest, &labels, &attempts, serving);
        // That it serves tells more than the ledger: nobody may have watched it to its end, or bringing it once more failed.
        let serves = whole == Some(number);
        releases.push(if serves { Release { outcome: ReleaseOutcome::Succeeded, cause: None, ..told } } else { told });
    }
    releases.sort_by_key(|release| std::cmp::Reverse(release.number));
    Ok(releases)
}

/// Whether the release last asked for is all that is wanted: nothing is in progress or was given up, and all are healthy.
async fn serves_whole(place: &Place, service: &ServiceView) -> Result<bool, OpsError> {
    let gave_up = service.primary().is_none_or(|primary| primary.state == RolloutState::Failed);
    if gave_up || service.desired == 0 || lock::of_service(place, service).await?.is_some() {
        return Ok(false);
    }
    Ok(service.desired <= observe::healthy(place).await?)
}

/// One release from its labels and the ledger: pure.
fn release(
    number: u32,
    digest: Option<String>,
    labels: &BTreeMap<String, String>,
    attempts: &[AttemptView],
    serving: Option<u32>,
) -> Release {
    let label = |key: &str| labels.get(key).filter(|value| !value.is_empty()).cloned();
    let attempt = attempts.iter().find(|attempt| attempt.revision == Some(number));
    let recorded = label(tags::OUTCOME).map(|word| ReleaseOutcome::from_word(&word));
    let outcome = attempt.map(|attempt| ReleaseOutcome::from_status(&attempt.status)).or(recorded);
    // What served after all has no cause of a failure any more.
    let failed = matches!(outcome, Some(ReleaseOutcome::RolledBack | ReleaseOutcome::Failed));
    let cause = label(tags::CAUSE).filter(|_| failed).and_then(|value| tags::decode(&value).remove("cause"));
    Release {
        number,
        digest: digest.or_else(|| label(tags::DIGEST)),
        version: label(tags::VERSION),
        git: label(tags::GIT),
        who: label(tags::WHO),
        at: label(tags::AT).and_then(|at| iso::parse(&at)),
        outcome: outcome.unwrap_or(ReleaseOutcome::Unknown),
        cause: cause.and_then(|code| Cause::from_code(&code)).map(|cause| cause.to_string()),
        serving: serving == Some(number),
    }
}

impl ReleaseOutcome {
    fn from_status(status: &str) -> Self {
        match status {
            "SUCCESSFUL" => Self::Succeeded,
            "ROLLBACK_REQUESTED" | "ROLLBACK_IN_PROGRESS" | "ROLLBACK_SUCCESSFUL" => Self::RolledBack,
            "ROLLBACK_FAILED" => Self::Failed,
            "STOPPED" | "STOP_REQUESTED" => Self::Stopped,
            "PENDING" | "IN_PROGRESS" => Self::InProgress,
            _ => Self::Unknown,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::RolledBack => "rolled-back",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
            Self::InProgress => "in-progress",
            Self::Unknown => "unknown",
        }
    }

    fn from_word(word: &str) -> Self {
        let all = [Self::Succeeded, Self::RolledBack, Self::Failed, Self::Stopped, Self::InProgress];
        all.into_iter().find(|outcome| outcome.word() == word).unwrap_or(Self::Unknown)
    }

    /// What is written down of a rollout's end; None when the end was not seen.
    pub(crate) fn of_rollout(outcome: Outcome) -> Option<Self> {
        match outcome {
            Outcome::Done => Some(Self::Succeeded),
            Outcome::RolledBack => Some(Self::RolledBack),
            Outcome::FailedAndOldServes | Outcome::FailedNotServing => Some(Self::Failed),
            Outcome::Superseded => Some(Self::Stopped),
            Outcome::Detached => None,
        }
    }
}

/// Writes a new release into the ledger.
pub(crate) async fn register(
    place: &Place,
    spec: &ServiceSpec,
    definition: &Definition,
    run: &Run,
) -> Result<Registered, OpsError> {
    const DOING: &str = "register the task definition";
    let unbuildable = |_: BuildError| OpsError::Incomplete { doing: DOING, missing: "a name" };
    let digest = definition.digest().unwrap_or(&definition.image).to_owned();
    let mut call = place.endpoint.ecs.register_task_definition().family(&place.service);
    call = call.container_definitions(container(definition).map_err(unbuildable)?);
    call = call.set_cpu(definition.cpu.clone()).set_memory(definition.memory.clone());
    if let Some(fargate) = &definition.fargate {
        let platform = RuntimePlatform::builder()
            .cpu_architecture(CpuArchitecture::from(fargate.architecture.as_str()))
            .operating_system_family(OsFamily::Linux)
            .build();
        call = call
            .requires_compatibilities(Compatibility::Fargate)
            .network_mode(NetworkMode::Awsvpc)
            .execution_role_arn(&fargate.execution_role)
            .set_task_role_arn(fargate.task_role.clone())
            .runtime_platform(platform);
    }
    let at = iso::format(source::wall());
    let labels = [
        (tags::VERSION, spec.version.as_str()),
        (tags::DIGEST, &digest),
        (tags::GIT, spec.git.as_deref().unwrap_or_default()),
        (tags::WHO, &run.who),
        (tags::AT, &at),
    ];
    for (key, value) in &place.tags {
        call = call.tags(tag(key, value));
    }
    for (key, value) in labels.into_iter().filter(|(_, value)| !value.is_empty()) {
        call = call.tags(tag(key, value));
    }
    let ask = async || {
        let reply = Box::pin(call.clone().send()).await;
        reply.map_err(|error| refused(DOING, place.endpoint.endpoint(), error))
    };
    let reply = until_accepted(place, run, ask).await?;
    let registered = reply.task_definition().and_then(|definition| definition.task_definition_arn());
    let arn = registered.ok_or(OpsError::Incomplete { doing: DOING, missing: "taskDefinitionArn" })?.to_owned();
    let release = revision_of(&arn).ok_or(OpsError::Incomplete { doing: DOING, missing: "a revision in the ARN" })?;
    run.emit(Event::Registered {
        release,
        digest,
        version: spec.version.clone(),
        git: spec.git.clone(),
        who: run.who.clone(),
    });
    Ok(Registered { arn, release, port: definition.port })
}

fn container(definition: &Definition) -> Result<ContainerDefinition, BuildError> {
    let mut log = LogConfiguration::builder().log_driver(LogDriver::Awslogs);
    for (key, value) in &definition.log {
        log = log.options(key, value);
    }
    let mut app = ContainerDefinition::builder()
        .name(CONTAINER)
        .image(&definition.image)
        .essential(true)
        .set_user(definition.user.clone())
        .readonly_root_filesystem(definition.read_only)
        .set_stop_timeout(definition.stop_timeout.and_then(|seconds| seconds.try_into().ok()))
        .log_configuration(log.build()?);
    if !definition.command.is_empty() {
        app = app.set_command(Some(definition.command.clone()));
    }
    if let Some(port) = definition.port {
        app = app.port_mappings(PortMapping::builder().container_port(i32::from(port)).build());
    }
    if let Some(health) = &definition.health {
        app = app.docker_labels(HEALTH_LABEL, health);
    }
    if definition.fargate.is_some() {
        let dropped = KernelCapabilities::builder().drop(DROPPED_CAPABILITIES).build();
        app = app.linux_parameters(LinuxParameters::builder().capabilities(dropped).build());
    }
    for (name, value) in &definition.environment {
        app = app.environment(KeyValuePair::builder().name(name).value(value).build());
    }
    for (name, value_from) in &definition.secrets {
        app = app.secrets(Secret::builder().name(name).value_from(value_from).build()?);
    }
    Ok(app.build())
}

/// A label whose value the API accepts.
pub(crate) fn tag(key: &str, value: &str) -> Tag {
    Tag::builder().key(key).value(tags::legal(value)).build()
}

/// What is written down of a rollout's end.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) outcome: ReleaseOutcome,
    /// Why it failed, as a label has it.
    pub(crate) cause: Option<String>,
    /// How long it took; kept of those that succeeded only.
    pub(crate) took: Option<Ledger>,
}

/// Writes down how a release's rollout ended, why, and how long it took.
pub(crate) async fn record(place: &Place, arn: &str, record: Record) -> Result<(), OpsError> {
    let Record { outcome, cause, took } = record;
    let mut call = place.endpoint.ecs.tag_resource().resource_arn(arn);
    // An earlier cause is overwritten when the release succeeds after all.
    call = call.tags(tag(tags::OUTCOME, outcome.word())).tags(tag(tags::CAUSE, &cause.unwrap_or_default()));
    if let Some(took) = took.filter(|_| outcome == ReleaseOutcome::Succeeded) {
        call = call.tags(tag(tags::TOOK, &took::encode(&took)));
    }
    let reply = call.send().await;
    reply.map(drop).map_err(|error| refused("label the release", place.endpoint.endpoint(), error))
}

/// How long the last successful rollout of a release took, if that was written down and can be read.
pub(crate) async fn took(place: &Place, arn: Option<&str>) -> Option<Ledger> {
    let (_, labels) = observe::task_definition(place, arn?).await.ok()?;
    labels.get(tags::TOOK).and_then(|value| took::decode(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(revision: u32, status: &str) -> AttemptView {
        AttemptView { revision: Some(revision), status: status.to_owned(), ..AttemptView::default() }
    }

    #[test]
    fn the_ledger_is_believed_before_the_label() {
        let labels = BTreeMap::from([(tags::OUTCOME.to_owned(), "succeeded".to_owned())]);
        let attempts = [attempt(3, "ROLLBACK_SUCCESSFUL"), attempt(3, "SUCCESSFUL")];
        assert_eq!(release(3, None, &labels, &attempts, None).outcome, ReleaseOutcome::RolledBack);
        assert_eq!(release(3, None, &labels, &[], None).outcome, ReleaseOutcome::Succeeded);
    }

    #[test]
    fn a_release_tells_who_when_and_why_it_failed() {
        let labels = [
            (tags::WHO, "alice"),
            (tags::AT, "2026-11-22T10:07:00.000Z"),
            (tags::OUTCOME, "rolled-back"),
            (tags::CAUSE, "cause=answers:500 because=x"),
        ];
        let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        let release = release(2, None, &labels, &[], Some(2));
        assert_eq!(release.who.as_deref(), Some("alice"));
        assert_eq!(release.at.map(Timestamp::unix_seconds), Some(1_795_342_020));
        assert_eq!(release.cause.as_deref(), Some("the process answers 500 on its health path"));
        assert_eq!(release.outcome, ReleaseOutcome::RolledBack);
        assert!(release.serving);
    }

    #[test]
    fn a_release_that_served_after_all_bears_no_cause() {
        let labels = BTreeMap::from([(tags::CAUSE.to_owned(), "cause=hangs because=x".to_owned())]);
        let cause = |status: &str| release(3, None, &labels, &[attempt(3, status)], None).cause;
        assert_eq!(cause("SUCCESSFUL"), None);
        assert!(cause("ROLLBACK_SUCCESSFUL").is_some());
    }
}

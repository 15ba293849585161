//! A target on AWS: the way there, its stack, and the stack's outputs as a place for `ops`.

use std::collections::BTreeMap;
use std::time::Duration;

use gimmetime_aws::cost::price;
use gimmetime_aws::stack::{Change, StackView, Wanted, find};
use gimmetime_aws::template::{Template, TemplateError, template};
use gimmetime_aws::{AwsError, Identity, LAYOUT, Outputs, PlaceSpec, Session, SessionSpec, Size, registry_host};
use gimmetime_ops::{FIRST_COUNT, Fargate, Launch, Place};

use super::probe;
use crate::args::Common;
use crate::exit::{Exit, Failure};
use crate::release::ARCHITECTURE;
use crate::render::Printer;
use crate::render::money;
use crate::settings::{AwsPlace, Settings};

/// Pause between two looks at a rollout: ECS moves in seconds, and counts calls.
const POLL: Duration = Duration::from_secs(2);
/// How long the probe goes on after a change: a connection's death takes a while to be seen from afar.
const PROBE_TAIL: Duration = Duration::from_secs(1);
/// How long a change is waited for unless `--timeout` says: a task that never gets healthy takes many minutes to fail.
const PATIENCE: Duration = Duration::from_mins(30);

/// A place on AWS that was reached.
#[derive(Debug)]
pub(crate) struct Cloud {
    pub(crate) session: Session,
    pub(crate) outputs: Outputs,
    pub(crate) place: Place,
    spec: PlaceSpec,
}

impl Cloud {
    /// A stack's outputs as a place for `ops`.
    pub(crate) fn new(
        settings: &Settings,
        common: &Common,
        session: Session,
        spec: PlaceSpec,
        outputs: Outputs,
    ) -> Result<Self, Failure> {
        let url = format!("http://{}{}", outputs.balancer_dns, settings.service.probe);
        let place = Place {
            cluster: outputs.cluster.clone(),
            service: settings.name.clone(),
            target_group_arn: outputs.target_group_arn.clone(),
            log_group: outputs.log_group.clone(),
            event_log_group: outputs.event_log_group.clone(),
            url: url.parse().map_err(|error| Failure::unsure(format!("{error}")))?,
            connect_to: common.connect_to.clone(),
            endpoint: session.ops_connection(),
            poll: POLL,
            patience: common.timeout.unwrap_or(PATIENCE),
            probe: probe(settings, PROBE_TAIL),
            tags: spec.tags(),
            launch: Launch::Fargate(Fargate {
                region: session.region().to_owned(),
                account: session.account().to_owned(),
                subnets: outputs.subnets.clone(),
                security_groups: outputs.security_groups.clone(),
                public_ip: outputs.public_ip,
                execution_role_arn: outputs.execution_role_arn.clone(),
                task_role_arn: outputs.task_role_arn.clone(),
                architecture: ARCHITECTURE.to_owned(),
            }),
        };
        Ok(Self { session, outputs, place, spec })
    }

    /// Tasks of this architecture from now on, as the image has it.
    pub(crate) fn launch_on(&mut self, architecture: &str) {
        if let Launch::Fargate(fargate) = &mut self.place.launch {
            architecture.clone_into(&mut fargate.architecture);
        }
    }

    /// The region.
    pub(crate) fn region(&self) -> &str {
        self.session.region()
    }

    /// What the place costs an hour with that many tasks, in US dollars; list prices, without traffic.
    pub(crate) fn dollars_per_hour(&self, count: u32) -> f64 {
        price(&PlaceSpec { count, ..self.spec.clone() }).hourly()
    }

    /// `$0.07/h`
    pub(crate) fn hourly(&self, count: u32) -> String {
        money::hourly(self.dollars_per_hour(count))
    }
}

/// The way to AWS, proved; its first line is who asks, and where.
pub(crate) async fn open(settings: &Settings, place: &AwsPlace, printer: &mut Printer) -> Result<Session, Failure> {
    let session = Session::open(&session_spec(place)).await?;
    printer.heading(&heading(&settings.target, session.identity()));
    Ok(session)
}

/// What the settings say about the way to AWS.
pub(crate) fn session_spec(place: &AwsPlace) -> SessionSpec {
    SessionSpec { region: place.region.clone(), profile: place.profile.clone(), account: place.account.clone() }
}

/// `production · 1234-5678-9012 (acme-prod) · eu-west-1 · as alice, SSO, 7 h left`
pub(crate) fn heading(target: &str, identity: &Identity) -> String {
    let profile = identity.profile.as_ref().map_or_else(String::new, |profile| format!(" ({profile})"));
    let sso = if identity.is_sso { ", SSO" } else { "" };
    format!(
        "{target} · {}{profile} · {} · as {}{sso}{}",
        money::account(&identity.account),
        identity.region,
        identity.who,
        money::left(identity.expires)
    )
}

/// The place of the settings' name, which must be there.
pub(super) async fn connect(
    settings: &Settings,
    place: &AwsPlace,
    common: &Common,
    printer: &mut Printer,
) -> Result<Cloud, Failure> {
    let session = open(settings, place, printer).await?;
    let Some(stack) = find(&session, &settings.name).await? else {
        let words = format!("`{}` is not up: no such stack in {}", settings.name, session.region());
        return Err(Failure::unsure(words).hint("gimmetime up"));
    };
    let outputs = read(&stack)?;
    let spec = spec(settings, place, session.region());
    Cloud::new(settings, common, session, spec, outputs)
}

/// Refuses a stack that is not ours, and one that is newer than we are.
pub(crate) fn must_be_ours(stack: &StackView) -> Result<(), Failure> {
    let name = &stack.name;
    if !stack.is_ours() {
        let words = format!("the stack `{name}` was not made by gimmetime: it bears no tag `gimmetime:name`");
        return Err(Failure::unsure(words).hint("choose another name in gimmetime.toml, or pass --name"));
    }
    if let Some(theirs) = stack.place().filter(|theirs| LAYOUT < *theirs) {
        let words = format!("`{name}` was made by a newer gimmetime (place {theirs}, this one knows {LAYOUT})");
        return Err(Failure::unsure(words).hint("update gimmetime"));
    }
    Ok(())
}

/// What a stack tells, if it is one that this program can use.
pub(crate) fn read(stack: &StackView) -> Result<Outputs, Failure> {
    must_be_ours(stack)?;
    let StackView { name, state, .. } = stack;
    Outputs::read(&stack.outputs).map_err(|missing| {
        let words = format!("the place `{name}` is not whole: its stack is {state}, without the output {missing}");
        Failure::unsure(words).hint("gimmetime up goes on with it; gimmetime down removes it")
    })
}

/// What the place shall be.
pub(crate) fn spec(settings: &Settings, place: &AwsPlace, region: &str) -> PlaceSpec {
    PlaceSpec {
        name: settings.name.clone(),
        region: region.to_owned(),
        network: place.network.clone(),
        access: place.access.clone(),
        roles: place.roles.clone(),
        logs: place.logs.clone(),
        protect: place.protect,
        tags: place.tags.clone(),
        health: settings.service.health.clone(),
        size: Size { cpu: settings.service.cpu, memory: settings.service.memory },
        count: settings.count.unwrap_or(FIRST_COUNT),
        secrets: settings.service.secrets.values().cloned().collect(),
    }
}

/// The stack as it shall be, and its template.
pub(crate) fn wanted(session: &Session, spec: &PlaceSpec) -> Result<(Template, Wanted), Failure> {
    let template = template(spec).map_err(|error| template_failed(&error))?;
    let wanted = Wanted {
        name: spec.name.clone(),
        template: template.text.clone(),
        owner: session.identity().owner.clone(),
        tags: spec.tags(),
        protect: spec.protect,
    };
    Ok((template, wanted))
}

/// What a stack that was just made tells.
pub(crate) fn outputs(name: &str, outputs: &BTreeMap<String, String>) -> Result<Outputs, Failure> {
    Outputs::read(outputs).map_err(|missing| {
        Failure::failed(format!("the stack of `{name}` lacks the output {missing}, though it was made"))
            .hint("gimmetime plan")
    })
}

/// What is known of a place whose stack tells nothing: enough to delete its service.
pub(crate) fn outputs_by_name(settings: &Settings) -> Outputs {
    let name = &settings.name;
    Outputs {
        balancer_dns: "unknown.invalid".to_owned(),
        balancer_arn: String::new(),
        target_group_arn: String::new(),
        cluster: name.clone(),
        log_group: format!("/gimmetime/{name}"),
        event_log_group: None,
        repository_uri: String::new(),
        subnets: Vec::new(),
        security_groups: Vec::new(),
        public_ip: false,
        execution_role_arn: String::new(),
        task_role_arn: None,
    }
}

/// Where images are taken from: where the command says, else the place's own repository.
pub(crate) fn repository_of(common: &Common, outputs: &Outputs) -> String {
    common.registry.as_ref().map_or_else(|| outputs.repository_uri.clone(), ToString::to_string)
}

/// What was done to a stack, as JSON has it.
pub(crate) fn change_word(change: Change) -> &'static str {
    match change {
        Change::Created => "created",
        Change::Updated => "updated",
        Change::Unchanged => "unchanged",
    }
}

/// The region, where nobody is asked.
pub(crate) fn region(place: &AwsPlace) -> Result<&str, Failure> {
    let none =
        || Failure::unsure("no region is known without asking AWS").hint("pass --region REGION, or set `aws.region`");
    place.region.as_deref().ok_or_else(none)
}

/// The repository that the place has or will have, without a tag.
pub(crate) fn repository_uri(settings: &Settings, place: &AwsPlace, region: &str) -> String {
    let account = place.account.as_deref().unwrap_or("123456789012");
    format!("{}/{}", registry_host(account, region), repository_name(settings))
}

/// A repository's name has no capital letters.
pub(crate) fn repository_name(settings: &Settings) -> String {
    settings.name.to_lowercase()
}

/// A template that cannot be, as a failure of the command: nothing was touched.
pub(crate) fn template_failed(error: &TemplateError) -> Failure {
    Failure::told(Exit::Unsure, &error.to_string())
}

impl From<AwsError> for Failure {
    fn from(error: AwsError) -> Self {
        use gimmetime_aws::StackError;
        let exit = match &error {
            AwsError::Stack(StackError::Failed(_) | StackError::Stuck(_))
            | AwsError::Denied(_)
            | AwsError::Refused { .. }
            | AwsError::Incomplete { .. } => Exit::Failed,
            // Nothing was changed, or it goes on.
            _ => Exit::Unsure,
        };
        Self::told(exit, &error.to_string())
    }
}

//! `plan`: what `up` would change on AWS, and what the place costs. Changes nothing.

use std::pin::pin;

use gimmetime_aws::cost::{Price, price};
use gimmetime_aws::preflight::{Finding, Preflight, Severity, preflight};
use gimmetime_aws::stack::{self, Pace, PlaceRun, StackView, Wanted};
use gimmetime_aws::template::Template;
use gimmetime_aws::{AwsError, FirstPlan, Forecast, Outputs, PlaceSpec, Session, first_plan, forecast};
use gimmetime_ops::three_way::Change;
use gimmetime_ops::{cancellation, plan_service};
use serde_json::{Value, json};
use tokio::sync::mpsc::unbounded_channel;

use crate::args::Plan;
use crate::exit::{Exit, Failure};
use crate::follow::{Told, unless_interrupted};
use crate::render::{Printer, place as render};
use crate::settings::{AwsPlace, Settings};
use crate::target::{self, Cloud, Prepared};
use crate::verbs::{Context, said};

/// How it stands when somebody interrupts a look.
const INTERRUPTED: &str = "interrupted; nothing was changed";

/// Plans, and ends with 0; with `--exit-code` 1 if anything is out of sync; 2 if `up` would be refused.
pub(crate) async fn run(context: &Context, args: &Plan, printer: &mut Printer) -> Result<Exit, Failure> {
    let settings = &context.settings;
    let place = context.on_aws("plan")?;
    let outlook = match Session::open(&target::session_spec(place)).await {
        Ok(session) => {
            printer.heading(&target::heading(&settings.target, session.identity()));
            Box::pin(Outlook::look(context, settings, place, &session, printer)).await?
        }
        // What the first `up` would make can be said without asking anybody.
        Err(error @ AwsError::NoCredentials { .. }) => {
            let region = target::region(place).map_err(|_| Failure::from(error))?;
            let words = "no AWS credentials: this is what the first `up` would make, whatever is there already";
            printer.heading(&format!("{} · {region} · {words}", settings.target));
            Outlook::blind(&target::aws_spec(settings, place, region))?
        }
        Err(error) => return Err(error.into()),
    };
    said(printer.json(&outlook.as_json()))?;
    for line in outlook.lines(printer.data_columns(), printer) {
        said(printer.text(line))?;
    }
    Ok(outlook.exit(args))
}

/// What `up` would meet and do.
pub(super) struct Outlook {
    /// What stands in the way; None where nobody was asked.
    pub(super) preflight: Option<Preflight>,
    kind: Kind,
}

enum Kind {
    /// Something of that name is there, and it is not to be touched.
    Refused,
    /// Nothing is there.
    First(Box<FirstPlan>),
    /// A place that may have to change.
    Later { plan: Box<stack::Plan>, service: Vec<Change>, price: Price },
}

impl Outlook {
    /// From the template alone.
    fn blind(spec: &PlaceSpec) -> Result<Self, Failure> {
        let plan = first_plan(spec).map_err(|error| target::template_failed(&error))?;
        Ok(Self { preflight: None, kind: Kind::First(Box::new(plan)) })
    }

    /// From what is there.
    async fn look(
        context: &Context,
        settings: &Settings,
        place: &AwsPlace,
        session: &Session,
        printer: &mut Printer,
    ) -> Result<Self, Failure> {
        let spec = target::aws_spec(settings, place, session.region());
        let (template, wanted) = target::wanted(session, &spec)?;
        let prepared = Prepared::of(settings, &settings.service.image)?;
        let aim = Aim { spec, template, wanted, prepared };
        Box::pin(Self::of(context, settings, session, &aim, printer)).await
    }

    /// What would be done to reach an aim.
    pub(super) async fn of(
        context: &Context,
        settings: &Settings,
        session: &Session,
        aim: &Aim,
        printer: &mut Printer,
    ) -> Result<Self, Failure> {
        printer.progress("looking at what is there", "looking at what is there");
        let mut preflight = unless_interrupted(Box::pin(preflight(session, &aim.spec)), INTERRUPTED).await??;
        if preflight.stack.as_ref().is_some_and(|stack| !stack.is_ours()) {
            return Ok(Self { preflight: Some(preflight), kind: Kind::Refused });
        }
        if let Some(cloud) = aim.cloud(context, settings, session, preflight.stack.as_ref())? {
            preflight.findings.extend(target::path_in_the_way(&cloud, &aim.spec.health).await?);
            preflight.findings.sort();
        }
        if preflight.stack.as_ref().is_none_or(|stack| !stack.state.is_whole()) {
            let plan = first_plan(&aim.spec).map_err(|error| target::template_failed(&error))?;
            return Ok(Self { preflight: Some(preflight), kind: Kind::First(Box::new(plan)) });
        }
        let plan = Box::pin(planned(context, session, &aim.wanted)).await?;
        preflight.findings.extend(kept(&plan, &aim.wanted));
        preflight.findings.sort();
        let service = Box::pin(Self::of_service(context, settings, session, aim, &plan));
        let service = unless_interrupted(service, INTERRUPTED).await??;
        Ok(Self {
            preflight: Some(preflight),
            kind: Kind::Later { plan: Box::new(plan), service, price: price(&aim.spec) },
        })
    }

    /// What would change in what runs.
    async fn of_service(
        context: &Context,
        settings: &Settings,
        session: &Session,
        aim: &Aim,
        plan: &stack::Plan,
    ) -> Result<Vec<Change>, Failure> {
        let cloud = aim.cloud(context, settings, session, plan.stack.as_ref())?;
        let Some(cloud) = cloud else { return Ok(Vec::new()) };
        let repository = target::repository_of(&context.common, &cloud.outputs);
        let located = aim.prepared.locate(context, session, &repository).await?;
        let spec = target::service_spec(settings, &settings.service.image, &located.repository, located.packed.clone());
        // What the place becomes has its tasks elsewhere perhaps: that is a rollout.
        let in_place = async |outputs: Outputs| {
            let mut cloud = Cloud::new(settings, &context.common, session.clone(), aim.spec.clone(), outputs)?;
            cloud.launch_on(&located.architecture);
            Ok::<_, Failure>(Box::pin(plan_service(&cloud.place, &spec)).await?)
        };
        let Forecast { certain, possible } = forecast(session, &aim.spec, plan, &cloud.outputs).await?;
        let is_certain = certain == possible;
        let Some(mut changes) = in_place(certain).await? else {
            let words = format!("made, with {} tasks", aim.spec.count);
            return Ok(vec![Change { setting: "service".to_owned(), words }]);
        };
        if !is_certain {
            let possible = in_place(possible).await?.unwrap_or_default();
            changes.extend(perhaps(&changes, possible));
        }
        Ok(changes)
    }

    /// Whether nothing would change.
    pub(super) fn is_empty(&self) -> bool {
        match &self.kind {
            Kind::Refused | Kind::First(_) => false,
            Kind::Later { plan, service, .. } => plan.changes.is_empty() && service.is_empty(),
        }
    }

    /// Whether AWS has what the settings say: nothing would change, and nothing was changed behind CloudFormation's back.
    fn is_in_sync(&self) -> bool {
        let Kind::Later { plan, .. } = &self.kind else { return false };
        self.is_empty() && plan.drift.as_ref().is_none_or(|drift| drift.drifted.is_empty())
    }

    /// Whether `up` would refuse to begin, whatever the user insists on.
    fn is_refused(&self) -> bool {
        self.preflight.as_ref().is_some_and(|preflight| preflight.in_the_way(true).next().is_some())
    }

    /// How `plan` ends.
    fn exit(&self, args: &Plan) -> Exit {
        match () {
            () if self.is_refused() => Exit::Unsure,
            () if args.exit_code && !self.is_in_sync() => Exit::Failed,
            () => Exit::Done,
        }
    }

    /// For people, in lines of so many characters.
    pub(super) fn lines(&self, columns: Option<usize>, printer: &Printer) -> Vec<String> {
        let mut lines = match &self.kind {
            Kind::Refused => Vec::new(),
            Kind::First(plan) => render::first(plan, self.preflight.as_ref(), columns, printer),
            Kind::Later { plan, service, price } => render::changes(plan, service, price, columns, printer),
        };
        // What could not be told stands in the way of nothing, where nothing is to be done.
        if !self.is_empty() || self.is_refused() {
            lines.extend(self.preflight.iter().flat_map(|preflight| render::findings(preflight, columns, printer)));
        }
        lines
    }

    /// For programs.
    fn as_json(&self) -> Value {
        let mut value = match &self.kind {
            Kind::Refused => json!({ "exists": true, "refused": true }),
            Kind::First(plan) => render::first_json(plan),
            Kind::Later { plan, service, price } => render::changes_json(plan, service, price),
        };
        value["findings"] = json!(self.preflight.as_ref().map(render::findings_json));
        value
    }
}

/// What is only possible, in words that say so, where the same setting does not change for certain.
fn perhaps(certain: &[Change], possible: Vec<Change>) -> Vec<Change> {
    let mut only_possible = possible;
    only_possible.retain(|change| certain.iter().all(|known| known.setting != change.setting));
    for change in &mut only_possible {
        change.words.insert_str(0, "perhaps ");
    }
    only_possible
}

/// What protection keeps `up` from, told before anybody is asked.
fn kept(plan: &stack::Plan, wanted: &Wanted) -> Option<Finding> {
    let kept = stack::kept(plan.stack.as_ref()?, wanted, &plan.changes)?.to_string();
    let (words, hint) = kept.split_once("\nhint: ").unwrap_or((&kept, ""));
    Some(Finding { severity: Severity::Refusal, words: words.to_owned(), hint: Some(hint.to_owned()) })
}

/// What would change in the stack. Whoever interrupts it waits until nothing of the plan is left on AWS.
async fn planned(context: &Context, session: &Session, wanted: &Wanted) -> Result<stack::Plan, Failure> {
    let (canceller, cancel) = cancellation();
    let pace = Pace { patience: context.common.timeout.unwrap_or(Pace::AWS.patience), ..Pace::AWS };
    // What happens meanwhile is worth no line.
    let run = PlaceRun { events: unbounded_channel().0, cancel, pace };
    let mut told = Told::listen()?;
    let mut planning = pin!(stack::plan(session, wanted, &run));
    tokio::select! {
        plan = &mut planning => Ok(plan?),
        () = told.comes() => {
            canceller.cancel();
            drop(planning.await);
            Err(Failure::unsure(INTERRUPTED))
        }
    }
}

/// Where `up` is going.
pub(super) struct Aim {
    pub(super) spec: PlaceSpec,
    pub(super) template: Template,
    pub(super) wanted: Wanted,
    pub(super) prepared: Prepared,
}

impl Aim {
    /// The place as it is, which may have a service; None for one without its outputs, which has none that could be told of.
    fn cloud(
        &self,
        context: &Context,
        settings: &Settings,
        session: &Session,
        stack: Option<&StackView>,
    ) -> Result<Option<Cloud>, Failure> {
        let Some(Ok(outputs)) = stack.map(target::read) else { return Ok(None) };
        Cloud::new(settings, &context.common, session.clone(), self.spec.clone(), outputs).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use gimmetime_aws::stack::{Action, Drift, Drifted};

    use super::*;

    fn later(drift: Option<Drift>, severity: Severity) -> Outlook {
        let finding = Finding { severity, words: "the role does not exist".to_owned(), hint: None };
        let plan = stack::Plan { stack: None, action: Action::Update, changes: Vec::new(), drift };
        let price = Price { items: Vec::new(), priced_as: "eu-west-1" };
        Outlook {
            preflight: Some(Preflight { findings: vec![finding], stack: None, action: Action::Update }),
            kind: Kind::Later { plan: Box::new(plan), service: Vec::new(), price },
        }
    }

    #[test]
    fn what_drifted_is_out_of_sync_though_nothing_would_change() {
        let drifted = Drifted {
            logical_id: "TaskLogs".to_owned(),
            kind: "AWS::Logs::LogGroup".to_owned(),
            physical_id: None,
            is_gone: true,
            differences: Vec::new(),
        };
        let outlook = later(Some(Drift { drifted: vec![drifted], ..Drift::default() }), Severity::Warning);
        assert_eq!(outlook.ends(), [Exit::Done, Exit::Failed]);
        assert!(outlook.is_empty());
        for drift in [None, Some(Drift::default())] {
            assert_eq!(later(drift, Severity::Warning).ends(), [Exit::Done, Exit::Done]);
        }
    }

    #[test]
    fn what_up_would_refuse_ends_unsure_and_is_shown_whatever_is_asked_for() {
        let outlook = later(None, Severity::Refusal);
        assert_eq!(outlook.ends(), [Exit::Unsure, Exit::Unsure]);
        let printer = Printer::new(&crate::args::Common::default(), true, true);
        assert!(outlook.lines(None, &printer).iter().any(|line| line.contains("the role does not exist")));
    }

    impl Outlook {
        /// Without and with `--exit-code`.
        fn ends(&self) -> [Exit; 2] {
            [false, true].map(|exit_code| self.exit(&Plan { exit_code }))
        }
    }
}

//! What a place will tell those who run something in it, once a planned change is made: so that they can be told before.

use crate::error::AwsError;
use crate::outputs::Outputs;
use crate::session::Session;
use crate::spec::{Network, PlaceSpec};
use crate::stack::{self, Plan, PlannedAction, PlannedChange, Replacement, StackResource};
use crate::template::{ROLES, task_network};

/// The outputs as they will be. What is not made yet has a name of its own, which is no id of anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forecast {
    /// If nothing is replaced of which CloudFormation decides on the way.
    pub certain: Outputs,
    /// If all of that is replaced.
    pub possible: Outputs,
}

/// What the outputs of a stack, which are `now`, become by a plan for it. Changes nothing.
///
/// # Errors
/// The stack's resources cannot be listed.
pub async fn forecast(session: &Session, spec: &PlaceSpec, plan: &Plan, now: &Outputs) -> Result<Forecast, AwsError> {
    let there = match &plan.stack {
        Some(stack) if !plan.changes.is_empty() => stack::resources(session, &stack.id).await?,
        _ => Vec::new(),
    };
    let if_replaced = |replaced: &[Replacement]| foretell(spec, &plan.changes, &there, now, replaced);
    Ok(Forecast {
        certain: if_replaced(&[Replacement::Yes]),
        possible: if_replaced(&[Replacement::Yes, Replacement::Maybe]),
    })
}

/// The outputs, where what has one of the replacements `replaced` is another one afterwards: pure.
fn foretell(
    spec: &PlaceSpec,
    changes: &[PlannedChange],
    there: &[StackResource],
    now: &Outputs,
    replaced: &[Replacement],
) -> Outputs {
    let is_new = |id: &str| {
        let of_it = changes.iter().find(|change| change.logical_id == id);
        of_it.is_some_and(|change| change.action == PlannedAction::Add || replaced.contains(&change.replacement))
    };
    let new = |what: &str| format!("{what} (new)");
    let kept = |id: &str, current: &str| if is_new(id) { new(current) } else { current.to_owned() };
    let known = |id: &str| there.iter().find(|it| it.logical_id == id && it.is_there())?.physical_id.clone();
    let (made, public_ip) = task_network(spec);
    let subnets = match &spec.network {
        Network::Yours { task_subnets, .. } => task_subnets.clone(),
        Network::Made { .. } if changes.is_empty() => now.subnets.clone(),
        Network::Made { .. } => {
            made.iter().map(|id| known(id).filter(|_| !is_new(id)).unwrap_or_else(|| new(id))).collect()
        }
    };
    let [execution, task] = ROLES;
    let execution_role_arn = match &spec.roles.execution {
        Some(yours) => yours.clone(),
        None => kept(execution, &now.execution_role_arn),
    };
    let task_role_arn = match &spec.roles.task {
        Some(yours) => yours.clone(),
        None => kept(task, now.task_role_arn.as_deref().unwrap_or_default()),
    };
    Outputs {
        target_group_arn: kept("TargetGroup", &now.target_group_arn),
        subnets,
        security_groups: now.security_groups.iter().map(|group| kept("TaskSecurityGroup", group)).collect(),
        public_ip,
        execution_role_arn,
        task_role_arn: Some(task_role_arn),
        ..now.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{default_place, made, yours};
    use crate::spec::{Made, Roles};
    use crate::testing::Aws;
    use crate::testing::cloud::stack;

    fn now() -> Outputs {
        let text = |text: &str| text.to_owned();
        Outputs {
            balancer_dns: text("web.elb.amazonaws.com"),
            balancer_arn: text("arn:balancer"),
            target_group_arn: text("arn:target-group"),
            cluster: text("web"),
            log_group: text("/gimmetime/web"),
            event_log_group: None,
            repository_uri: text("web"),
            subnets: vec![text("subnet-a"), text("subnet-b")],
            security_groups: vec![text("sg-1")],
            public_ip: true,
            execution_role_arn: text("arn:role/execution"),
            task_role_arn: Some(text("arn:role/task")),
        }
    }

    fn there() -> Vec<StackResource> {
        let subnet = |zone: &str| StackResource {
            logical_id: format!("PublicSubnet{zone}"),
            kind: "AWS::EC2::Subnet".to_owned(),
            physical_id: Some(format!("subnet-{}", zone.to_lowercase())),
            status: "CREATE_COMPLETE".to_owned(),
            reason: None,
        };
        vec![subnet("A"), subnet("B")]
    }

    fn change(action: PlannedAction, id: &str, replacement: Replacement) -> PlannedChange {
        let (logical_id, kind) = (id.to_owned(), String::new());
        PlannedChange { action, logical_id, kind, physical_id: None, replacement, properties: Vec::new() }
    }

    fn added(id: &str) -> PlannedChange {
        change(PlannedAction::Add, id, Replacement::No)
    }

    fn of(spec: &PlaceSpec, changes: &[PlannedChange], replaced: &[Replacement]) -> Outputs {
        foretell(spec, changes, &there(), &now(), replaced)
    }

    #[test]
    fn nothing_planned_is_nothing_new() {
        assert_eq!(of(&default_place(), &[], &[Replacement::Yes, Replacement::Maybe]), now());
    }

    #[test]
    fn what_stays_keeps_its_id_and_what_is_made_has_none_yet() {
        let three = PlaceSpec { network: made(Made::Public, 3), ..default_place() };
        let outputs = of(&three, &[added("PublicSubnetC")], &[Replacement::Yes]);
        assert_eq!(outputs.subnets, ["subnet-a", "subnet-b", "PublicSubnetC (new)"]);
        assert_eq!(Outputs { subnets: now().subnets, ..outputs }, now());

        let private = PlaceSpec { network: made(Made::Endpoints, 2), ..default_place() };
        let changes = [added("PrivateSubnetA"), added("PrivateSubnetB")];
        let outputs = of(&private, &changes, &[Replacement::Yes]);
        assert_eq!(outputs.subnets, ["PrivateSubnetA (new)", "PrivateSubnetB (new)"]);
        assert!(!outputs.public_ip);

        let changes = ["PrivateSubnetA", "PrivateSubnetB", "Vpc"];
        let changes = changes.map(|id| change(PlannedAction::Remove, id, Replacement::No));
        assert_eq!(of(&default_place(), &changes, &[Replacement::Yes]), now(), "back where the balancer is");
    }

    #[test]
    fn what_may_be_replaced_is_another_one_only_where_that_is_assumed() {
        let may = |id| change(PlannedAction::Modify, id, Replacement::Maybe);
        let changes = [may("PublicSubnetA"), may("TaskSecurityGroup"), may("TargetGroup")];
        assert_eq!(of(&default_place(), &changes, &[Replacement::Yes]), now());
        let possible = of(&default_place(), &changes, &[Replacement::Yes, Replacement::Maybe]);
        assert_eq!(possible.subnets, ["PublicSubnetA (new)", "subnet-b"]);
        assert_eq!(possible.security_groups, ["sg-1 (new)"]);
        assert_eq!(possible.target_group_arn, "arn:target-group (new)");
        let sure = [change(PlannedAction::Modify, "TaskSecurityGroup", Replacement::Yes)];
        assert_eq!(of(&default_place(), &sure, &[Replacement::Yes]).security_groups, ["sg-1 (new)"]);
    }

    #[test]
    fn what_is_yours_is_known_beforehand() {
        let roles = Roles {
            execution: Some("arn:role/mine".to_owned()),
            task: Some("arn:role/own".to_owned()),
            ..Roles::default()
        };
        let spec = PlaceSpec { network: yours(false), roles, ..default_place() };
        let outputs = of(&spec, &[], &[Replacement::Yes]);
        assert_eq!((outputs.execution_role_arn.as_str(), outputs.public_ip), ("arn:role/mine", false));
        assert_eq!(outputs.task_role_arn.as_deref(), Some("arn:role/own"));
        assert!(outputs.subnets.iter().all(|id| id.starts_with("subnet-3") || id.starts_with("subnet-4")));
        // And the way back: one that is made again.
        let outputs = of(&default_place(), &[added("ExecutionRole")], &[Replacement::Yes]);
        assert_eq!(outputs.execution_role_arn, "arn:role/execution (new)");
        assert_eq!(outputs.task_role_arn, now().task_role_arn);
    }

    #[tokio::test]
    async fn the_ids_of_what_stays_are_asked_of_the_stack_when_something_changes() {
        let member = "<member><LogicalResourceId>PublicSubnetA</LogicalResourceId><PhysicalResourceId>subnet-a\
            </PhysicalResourceId><ResourceType>AWS::EC2::Subnet</ResourceType><ResourceStatus>CREATE_COMPLETE\
            </ResourceStatus></member>";
        let mut cloud = stack("UPDATE_COMPLETE");
        cloud.resources = member.to_owned();
        let session = Aws::start(cloud.serve(|_| None)).await.session().await;
        let found = stack::find(&session, "web").await.unwrap();
        let plan = |changes: &[PlannedChange]| Plan {
            stack: found.clone(),
            action: stack::Action::Update,
            changes: changes.to_vec(),
            drift: None,
        };
        let told = forecast(&session, &default_place(), &plan(&[added("PublicSubnetB")]), &now()).await.unwrap();
        assert_eq!(told.certain.subnets, ["subnet-a", "PublicSubnetB (new)"]);
        assert_eq!(told.certain, told.possible);
        let told = forecast(&session, &default_place(), &plan(&[]), &now()).await.unwrap();
        assert_eq!(told.certain, now());
    }
}

//! Protection against removal: of the stack as a whole, and of its balancer.

use crate::error::{AwsError, StackError, refused};
use crate::query::Service;
use crate::session::Session;
use crate::stack::view::is_absence;
use crate::stack::{PlannedChange, Replacement, StackView, Wanted, resources};

/// The attribute of a balancer that keeps it from being deleted.
const BALANCER: &str = "deletion_protection.enabled";

/// Why a change of a protected stack is not made; None if it replaces nothing, not even perhaps, or protection is given up in
/// the same change: pure. What CloudFormation decides on the way cannot be stopped on the way.
pub fn kept(stack: &StackView, wanted: &Wanted, changes: &[PlannedChange]) -> Option<StackError> {
    let named = |replacement| {
        let of_it = changes.iter().filter(|change| change.replacement == replacement);
        of_it.map(|change| format!("{} ({})", change.logical_id, change.kind)).collect::<Vec<_>>().join(", ")
    };
    let (certain, possible) = (named(Replacement::Yes), named(Replacement::Maybe));
    let what = match (certain.as_str(), possible.as_str()) {
        _ if !(stack.is_protected && wanted.protect) => return None,
        ("", "") => return None,
        (certain, "") => format!("this would REPLACE {certain}"),
        ("", possible) => format!("this may REPLACE {possible}: only possible, AWS decides on the way"),
        (certain, possible) => {
            format!("this would REPLACE {certain}, and may replace {possible}, of which AWS decides on the way")
        }
    };
    Some(StackError::Kept { name: stack.name.clone(), what })
}

/// Refuses a stack that is protected, as a whole or in its balancer: half of it would be gone before that shows.
pub(super) async fn refuse(session: &Session, stack: &StackView) -> Result<(), AwsError> {
    let protected = |what: &str| StackError::Protected { name: stack.name.clone(), what: what.to_owned() };
    if stack.is_protected {
        return Err(protected("termination protection is on").into());
    }
    for balancer in balancers(session, stack).await? {
        // Not to be told is no reason to stop: the removal will say.
        if is_on(session, &balancer).await.unwrap_or_default() {
            return Err(protected("deletion protection of the balancer is on").into());
        }
    }
    Ok(())
}

/// Lifts all protection of what a first try left that failed: it would keep CloudFormation from cleaning up.
pub(super) async fn lift(session: &Session, stack: &StackView) -> Result<(), AwsError> {
    set(session, stack, false).await?;
    for balancer in balancers(session, stack).await? {
        if !is_on(session, &balancer).await? {
            continue;
        }
        let parameters = [
            ("LoadBalancerArn", balancer.as_str()),
            ("Attributes.member.1.Key", BALANCER),
            ("Attributes.member.1.Value", "false"),
        ];
        let (doing, action) = ("lift the balancer's protection", "ModifyLoadBalancerAttributes");
        session.query().form(doing, Service::Balancing, action, &parameters).await?;
    }
    Ok(())
}

/// Sets the stack's termination protection, where it is another one.
pub(super) async fn set(session: &Session, stack: &StackView, wanted: bool) -> Result<(), AwsError> {
    if stack.is_protected == wanted {
        return Ok(());
    }
    let call = session.cloudformation().update_termination_protection().stack_name(&stack.id);
    let reply = call.enable_termination_protection(wanted).send().await;
    reply.map_err(|error| refused("change the stack's protection", session.endpoint(), error))?;
    Ok(())
}

async fn balancers(session: &Session, stack: &StackView) -> Result<Vec<String>, AwsError> {
    let all = match resources::list(session, &stack.id).await {
        // A stack that only waits for a review has none to list.
        Err(error) if is_absence(&error) => Vec::new(),
        all => all?,
    };
    let balancers =
        all.into_iter().filter(|it| it.kind == "AWS::ElasticLoadBalancingV2::LoadBalancer" && it.is_there());
    Ok(balancers.filter_map(|balancer| balancer.physical_id).collect())
}

/// Whether a balancer is protected; one that was deleted by hand is not.
async fn is_on(session: &Session, balancer: &str) -> Result<bool, AwsError> {
    let (doing, action) = ("look at the balancer's protection", "DescribeLoadBalancerAttributes");
    let reply = session.query().form(doing, Service::Balancing, action, &[("LoadBalancerArn", balancer)]).await;
    let reply = match reply {
        Err(error) if error.has_code("LoadBalancerNotFound") => return Ok(false),
        reply => reply?,
    };
    let mut attributes = reply.list("Attributes").iter();
    Ok(attributes.any(|it| it.text("Key") == Some(BALANCER) && it.text("Value") == Some("true")))
}

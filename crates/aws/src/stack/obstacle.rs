//! What keeps a stack from going: told from CloudFormation's reason, emptied where that is ours to do, named where not.

use crate::error::{AwsError, refused};
use crate::event::PlaceEvent;
use crate::query::{Element, Service};
use crate::session::Session;
use crate::stack::{FailedResource, PlaceRun, StuckResource};

/// Images that ECR deletes in one call.
const IMAGES_AT_ONCE: i32 = 100;
/// Pages that are emptied at most in one go: of 100 images or tasks, of 10 services.
const MAX_ROUNDS: usize = 1000;

/// What keeps a resource from going.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Obstacle {
    /// A repository with images in it.
    Images,
    /// A cluster in which something runs.
    Tasks,
    /// Network interfaces, which belong to somebody.
    Interfaces,
    /// It is protected against deletion.
    Protection,
    /// Somebody attached something to it, or uses it elsewhere.
    UsedElsewhere,
    /// The caller may not.
    Denied,
    /// Something else; a while later it may be gone.
    Unknown,
}

/// Tells what keeps a resource from going: pure.
pub(super) fn obstacle(failed: &FailedResource) -> Obstacle {
    let reason = failed.reason.as_str();
    let says = |words: &[&str]| words.iter().any(|word| reason.contains(word));
    match failed.kind.as_str() {
        _ if crate::Denied::is_told_by(reason) => Obstacle::Denied,
        _ if says(&["deletion protection", "Deletion protection", "DeletionProtection"]) => Obstacle::Protection,
        "AWS::ECR::Repository" if says(&["still contains images", "RepositoryNotEmpty", "not empty"]) => {
            Obstacle::Images
        }
        "AWS::ECS::Cluster" if says(&["ClusterContains", "cluster cannot be deleted", "active"]) => Obstacle::Tasks,
        "AWS::EC2::Subnet"
        | "AWS::EC2::SecurityGroup"
        | "AWS::EC2::VPC"
        | "AWS::EC2::VPCGatewayAttachment"
        | "AWS::EC2::InternetGateway" => Obstacle::Interfaces,
        _ if says(&["DeleteConflict", "must detach", "in use", "is currently used", "ResourceInUse"]) => {
            Obstacle::UsedElsewhere
        }
        _ => Obstacle::Unknown,
    }
}

/// What came of looking at an obstacle.
pub(super) struct Looked {
    /// Whether another try has a chance.
    pub(super) is_worth_a_try: bool,
    /// What is told if it stays.
    pub(super) stuck: StuckResource,
    /// How many images were removed.
    pub(super) images: usize,
}

/// Empties what is ours to empty, and names what holds the rest.
pub(super) async fn look(session: &Session, run: &PlaceRun, failed: &FailedResource) -> Result<Looked, AwsError> {
    let id = failed.physical_id.as_deref().unwrap_or_default();
    let told = |hint: &str, held_by: Vec<String>, is_worth_a_try: bool| Looked {
        is_worth_a_try,
        stuck: StuckResource { failed: failed.clone(), held_by, hint: hint.to_owned() },
        images: 0,
    };
    Ok(match obstacle(failed) {
        Obstacle::Images => {
            let images = empty_repository(session, id).await?;
            run.emit(PlaceEvent::Emptied { what: format!("repository {id}"), n: images });
            Looked { images, ..told("somebody pushes images into it right now", Vec::new(), true) }
        }
        Obstacle::Tasks => {
            let n = empty_cluster(session, id).await?;
            run.emit(PlaceEvent::Emptied { what: format!("cluster {id}"), n });
            told("somebody starts tasks in it right now", Vec::new(), true)
        }
        Obstacle::Interfaces => {
            let holders = holders(session, &failed.kind, id).await?;
            for holder in &holders {
                run.emit(PlaceEvent::Held { what: format!("{id}: {}", holder.words) });
            }
            let stays = holders.iter().any(|holder| !holder.goes_by_itself);
            let hint = holders.iter().find_map(|holder| holder.hint.clone());
            let hint = hint.unwrap_or_else(|| "remove what is in it by hand".to_owned());
            told(&hint, holders.into_iter().map(|holder| holder.words).collect(), !stays)
        }
        Obstacle::Protection => told("turn its deletion protection off", Vec::new(), false),
        Obstacle::UsedElsewhere => told("take it out of use by hand", Vec::new(), false),
        Obstacle::Denied => {
            let statement = crate::Denied::read("remove it", &failed.reason).statement().unwrap_or_default();
            told(&format!("add this statement to your policy: {statement}"), Vec::new(), false)
        }
        Obstacle::Unknown => told("aws cloudformation describe-stack-events tells more", Vec::new(), true),
    })
}

/// How many images were deleted.
pub(super) async fn empty_repository(session: &Session, repository: &str) -> Result<usize, AwsError> {
    const DOING: &str = "empty the repository";
    let mut n = 0;
    for _ in 0..MAX_ROUNDS {
        let call = session.ecr().list_images().repository_name(repository).max_results(IMAGES_AT_ONCE);
        let reply = match call.send().await.map_err(|error| refused(DOING, session.endpoint(), error)) {
            Err(error) if error.has_code("RepositoryNotFoundException") => return Ok(n),
            reply => reply?,
        };
        // By digest: an image goes with all its tags.
        let mut digests: Vec<String> =
            reply.image_ids().iter().filter_map(|id| id.image_digest()).map(str::to_owned).collect();
        digests.sort();
        digests.dedup();
        if digests.is_empty() {
            break;
        }
        let ids =
            digests.iter().map(|digest| aws_sdk_ecr::types::ImageIdentifier::builder().image_digest(digest).build());
        let call = session.ecr().batch_delete_image().repository_name(repository).set_image_ids(Some(ids.collect()));
        let reply = call.send().await.map_err(|error| refused(DOING, session.endpoint(), error))?;
        let deleted = reply.image_ids().len();
        n += deleted.min(digests.len());
        if deleted == 0 {
            break;
        }
    }
    Ok(n)
}

/// How many services and tasks were asked to stop: what was started by hand in our cluster, and what a removal left.
pub(super) async fn empty_cluster(session: &Session, cluster: &str) -> Result<usize, AwsError> {
    let ecs = session.ecs();
    let mut n = 0;
    for service in services(session, cluster).await? {
        let reply = ecs.delete_service().cluster(cluster).service(service).force(true).send().await;
        reply.map_err(|error| refused(EMPTYING, session.endpoint(), error))?;
        n += 1;
    }
    for task in tasks(session, cluster).await? {
        let reply = ecs.stop_task().cluster(cluster).task(task).reason("gimmetime down").send().await;
        reply.map_err(|error| refused(EMPTYING, session.endpoint(), error))?;
        n += 1;
    }
    Ok(n)
}

/// What completes "cannot …" while a cluster is emptied.
const EMPTYING: &str = "empty the cluster";

async fn services(session: &Session, cluster: &str) -> Result<Vec<String>, AwsError> {
    let (mut all, mut token) = (Vec::new(), None);
    for _ in 0..MAX_ROUNDS {
        let reply = session.ecs().list_services().cluster(cluster).set_next_token(token).send().await;
        let reply = reply.map_err(|error| refused(EMPTYING, session.endpoint(), error))?;
        all.extend(reply.service_arns.unwrap_or_default());
        token = reply.next_token;
        if token.is_none() {
            break;
        }
    }
    Ok(all)
}

async fn tasks(session: &Session, cluster: &str) -> Result<Vec<String>, AwsError> {
    let (mut all, mut token) = (Vec::new(), None);
    for _ in 0..MAX_ROUNDS {
        let reply = session.ecs().list_tasks().cluster(cluster).set_next_token(token).send().await;
        let reply = reply.map_err(|error| refused(EMPTYING, session.endpoint(), error))?;
        all.extend(reply.task_arns.unwrap_or_default());
        token = reply.next_token;
        if token.is_none() {
            break;
        }
    }
    Ok(all)
}

/// What holds a part of the network.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Holder {
    words: String,
    goes_by_itself: bool,
    hint: Option<String>,
}

async fn holders(session: &Session, kind: &str, id: &str) -> Result<Vec<Holder>, AwsError> {
    // An attachment's id is no VPC's: `igw-…|vpc-…`.
    let id = id.rsplit('|').next().unwrap_or(id);
    let filter = match kind {
        "AWS::EC2::Subnet" => "subnet-id",
        "AWS::EC2::SecurityGroup" => "group-id",
        _ => "vpc-id",
    };
    // Looked at here too: a command that removes somebody else's interface must not be told.
    let is_in = |one: &&Element| match kind {
        "AWS::EC2::Subnet" => one.text("subnetId") == Some(id),
        "AWS::EC2::SecurityGroup" => one.list("groupSet").iter().any(|group| group.text("groupId") == Some(id)),
        _ => one.text("vpcId") == Some(id),
    };
    let parameters = [("Filter.1.Name", filter), ("Filter.1.Value.1", id)];
    let doing = "look at network interfaces";
    let reply = session.query().form(doing, Service::Ec2, "DescribeNetworkInterfaces", &parameters).await?;
    let interfaces: Vec<Holder> = reply.list("networkInterfaceSet").iter().filter(is_in).map(holder).collect();
    if interfaces.is_empty() && kind == "AWS::EC2::VPC" { strangers(session, id).await } else { Ok(interfaces) }
}

/// What is in a VPC although the stack removed all that it had made there: a group of `GuardDuty`, what somebody added, what an
/// earlier change left behind.
async fn strangers(session: &Session, vpc: &str) -> Result<Vec<Holder>, AwsError> {
    const KINDS: [[&str; 5]; 2] = [
        ["DescribeSubnets", "subnetSet", "subnetId", "subnet", "delete-subnet --subnet-id"],
        [
            "DescribeSecurityGroups",
            "securityGroupInfo",
            "groupId",
            "security group",
            "delete-security-group --group-id",
        ],
    ];
    let mut found = Vec::new();
    for [action, list, id, what, command] in KINDS {
        let parameters = [("Filter.1.Name", "vpc-id"), ("Filter.1.Value.1", vpc)];
        let reply = session.query().form("look into the VPC", Service::Ec2, action, &parameters).await?;
        // Each VPC has a group of that name, which goes with it.
        let is_strange = |one: &&Element| one.text("vpcId") == Some(vpc) && one.text("groupName") != Some("default");
        found.extend(reply.list(list).iter().filter(is_strange).filter_map(|one| one.text(id)).map(|id| Holder {
            words: format!("{what} {id}, which is not the stack's"),
            goes_by_itself: false,
            hint: Some(format!("aws ec2 {command} {id}")),
        }));
    }
    Ok(found)
}

/// Whose an interface is: pure. AWS writes it into the description.
fn holder(interface: &Element) -> Holder {
    let id = interface.text("networkInterfaceId").unwrap_or("an interface");
    let description = interface.text("description").unwrap_or_default();
    let kind = interface.text("interfaceType").unwrap_or("interface");
    let requester = interface.text("requesterId").unwrap_or_default();
    if let Some(endpoint) = description.strip_prefix("VPC Endpoint Interface ") {
        return Holder {
            words: format!("{id} of VPC endpoint {endpoint}, which this stack did not make (GuardDuty makes such)"),
            goes_by_itself: false,
            hint: Some(format!("aws ec2 delete-vpc-endpoints --vpc-endpoint-ids {endpoint}")),
        };
    }
    let passing = [("ELB ", "load balancer"), ("Interface for NAT Gateway ", "NAT gateway")];
    let of = passing.iter().find_map(|(begin, what)| Some(format!("{what} {}", description.strip_prefix(begin)?)));
    let is_task = description.contains(":ecs:") || requester.contains("ecs");
    if let Some(of) = of.or_else(|| is_task.then(|| "an ECS task".to_owned())) {
        let words = format!("{id} of {of}; it goes by itself within minutes");
        return Holder { words, goes_by_itself: true, hint: None };
    }
    let described = if description.is_empty() { "without a description" } else { description };
    Holder {
        words: format!(
            "{id}, {kind}, made by {}: {described}",
            if requester.is_empty() { "a user" } else { requester }
        ),
        goes_by_itself: false,
        hint: Some(format!(
            "aws ec2 delete-network-interface --network-interface-id {id}, or remove what it belongs to"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(kind: &str, reason: &str, expected: Obstacle) {
        let failed = FailedResource {
            logical_id: "X".to_owned(),
            kind: kind.to_owned(),
            physical_id: None,
            reason: reason.to_owned(),
        };
        assert_eq!(obstacle(&failed), expected, "{reason}");
    }

    #[test]
    fn what_keeps_a_resource_from_going_is_told_from_its_reason() {
        check(
            "AWS::ECR::Repository",
            "The repository with name 'web' in registry with id '1' cannot be deleted because it still contains images",
            Obstacle::Images,
        );
        check(
            "AWS::ECS::Cluster",
            "The Cluster cannot be deleted while Tasks are active. (ClusterContainsTasksException)",
            Obstacle::Tasks,
        );
        check(
            "AWS::EC2::Subnet",
            "The subnet 'subnet-1' has dependencies and cannot be deleted.",
            Obstacle::Interfaces,
        );
        check("AWS::EC2::VPC", "The vpc 'vpc-1' has dependencies and cannot be deleted.", Obstacle::Interfaces);
        check(
            "AWS::ElasticLoadBalancingV2::LoadBalancer",
            "Load balancer 'arn' cannot be deleted because deletion protection is enabled",
            Obstacle::Protection,
        );
        check(
            "AWS::IAM::Role",
            "Cannot delete entity, must detach all policies first. (DeleteConflict)",
            Obstacle::UsedElsewhere,
        );
        check(
            "AWS::IAM::Role",
            "User: x is not authorized to perform: iam:DeleteRole on resource: role y",
            Obstacle::Denied,
        );
        check("AWS::Logs::LogGroup", "Internal Failure", Obstacle::Unknown);
    }

    fn interface(description: &str, requester: &str) -> Holder {
        let text = format!(
            "<item><networkInterfaceId>eni-1</networkInterfaceId><description>{description}</description>\
             <requesterId>{requester}</requesterId><interfaceType>interface</interfaceType></item>"
        );
        holder(&Element::parse(&text).unwrap())
    }

    #[test]
    fn an_interface_is_named_with_its_owner() {
        let guardduty = interface("VPC Endpoint Interface vpce-0a1", "123456789012");
        assert!(!guardduty.goes_by_itself);
        assert_eq!(guardduty.hint.as_deref(), Some("aws ec2 delete-vpc-endpoints --vpc-endpoint-ids vpce-0a1"));
        assert!(interface("ELB app/web/123", "amazon-elb").goes_by_itself);
        assert!(interface("Interface for NAT Gateway nat-1", "123").goes_by_itself);
        assert!(interface("arn:aws:ecs:eu-west-1:1:attachment/2", "123").goes_by_itself);
        let other = interface("my database", "AIDA");
        assert!(!other.goes_by_itself && other.words.contains("my database") && other.words.contains("AIDA"));
    }
}

//! What has no fixed name: found by its label, asked of its own service.

use serde_json::{Value, json};

use crate::error::AwsError;
use crate::inventory::{Item, MAX_PAGES};
use crate::query::{Element, Service};
use crate::session::Session;
use crate::tags;
use crate::template::ROLES;

/// Resources whose tags ELB tells in one call.
const TAGS_AT_ONCE: usize = 20;
/// Services that were asked themselves: what the index of tags says of them is only later.
const ASKED: [&str; 6] = ["ec2", "ecs", "ecr", "elasticloadbalancing", "iam", "logs"];

/// CloudFormation's own tag on what a stack made.
const STACK_ID: &str = "aws:cloudformation:stack-id";

/// A part of a network that EC2 finds by its label.
#[derive(Debug, Clone, Copy)]
pub(super) struct NetworkKind {
    pub(super) words: &'static str,
    item: &'static str,
    action: &'static str,
    list: &'static str,
    id: &'static str,
}

/// All parts of a network that a place has.
pub(super) const NETWORK: [NetworkKind; 8] = [
    NetworkKind { words: "VPCs", item: "VPC", action: "DescribeVpcs", list: "vpcSet", id: "vpcId" },
    NetworkKind { words: "subnets", item: "subnet", action: "DescribeSubnets", list: "subnetSet", id: "subnetId" },
    NetworkKind {
        words: "security groups",
        item: "security group",
        action: "DescribeSecurityGroups",
        list: "securityGroupInfo",
        id: "groupId",
    },
    NetworkKind {
        words: "internet gateways",
        item: "internet gateway",
        action: "DescribeInternetGateways",
        list: "internetGatewaySet",
        id: "internetGatewayId",
    },
    NetworkKind {
        words: "route tables",
        item: "route table",
        action: "DescribeRouteTables",
        list: "routeTableSet",
        id: "routeTableId",
    },
    NetworkKind {
        words: "NAT gateways",
        item: "NAT gateway",
        action: "DescribeNatGateways",
        list: "natGatewaySet",
        id: "natGatewayId",
    },
    NetworkKind {
        words: "VPC endpoints",
        item: "VPC endpoint",
        action: "DescribeVpcEndpoints",
        list: "vpcEndpointSet",
        id: "vpcEndpointId",
    },
    NetworkKind {
        words: "elastic addresses",
        item: "elastic address",
        action: "DescribeAddresses",
        list: "addressesSet",
        id: "allocationId",
    },
];

#[cfg(test)]
impl NetworkKind {
    /// What EC2 is asked, and the words of its answer: list and id.
    pub(super) fn spelling(&self) -> [&'static str; 3] {
        [self.action, self.list, self.id]
    }
}

pub(super) async fn network(session: &Session, kind: &NetworkKind, name: &str) -> Result<Vec<Item>, AwsError> {
    let filter = format!("tag:{}", tags::NAME);
    let parameters = [("Filter.1.Name", filter.as_str()), ("Filter.1.Value.1", name)];
    let doing = format!("look for {}", kind.words);
    let reply = session.query().form(&doing, Service::Ec2, kind.action, &parameters).await?;
    // Gateways and endpoints are told of for an hour after they are gone. Of endpoints, the API's model spells states with
    // a capital, and its replies without.
    let is_gone = |state: &str| ["deleted", "deleting"].iter().any(|gone| state.eq_ignore_ascii_case(gone));
    let is_there = |one: &&Element| !one.text("state").is_some_and(is_gone);
    let is_ours = |one: &&Element| is_labelled(one.list("tagSet"), name);
    let there = reply.list(kind.list).iter().filter(is_there).filter(is_ours);
    let found = there.filter_map(|one| one.text(kind.id));
    Ok(found.map(|id| Item::new(kind.item, id)).collect())
}

pub(super) async fn balancers(session: &Session, name: &str) -> Result<Vec<Item>, AwsError> {
    labelled(session, name, "DescribeLoadBalancers", "LoadBalancers", "LoadBalancerArn", "balancer").await
}

pub(super) async fn target_groups(session: &Session, name: &str) -> Result<Vec<Item>, AwsError> {
    labelled(session, name, "DescribeTargetGroups", "TargetGroups", "TargetGroupArn", "target group").await
}

/// ELB has no filter by tag: all are listed, then their tags are read.
async fn labelled(
    session: &Session,
    name: &str,
    action: &str,
    list: &str,
    id: &str,
    item: &'static str,
) -> Result<Vec<Item>, AwsError> {
    let doing = format!("look for a {item}");
    let arns = arns(session, &doing, action, list, id).await?;
    let mut found = Vec::new();
    for some in arns.chunks(TAGS_AT_ONCE) {
        let keys: Vec<String> = (1..=some.len()).map(|n| format!("ResourceArns.member.{n}")).collect();
        let parameters: Vec<(&str, &str)> =
            keys.iter().map(String::as_str).zip(some.iter().map(String::as_str)).collect();
        let reply = session.query().form(&doing, Service::Balancing, "DescribeTags", &parameters).await?;
        let ours = reply.list("TagDescriptions").iter().filter(|one| is_labelled(one.list("Tags"), name));
        found.extend(ours.filter_map(|one| one.text("ResourceArn")).map(|arn| Item::new(item, arn)));
    }
    Ok(found)
}

/// The ARNs of everything of one kind that the account has in this region.
pub(crate) async fn arns(
    session: &Session,
    doing: &str,
    action: &str,
    list: &str,
    id: &str,
) -> Result<Vec<String>, AwsError> {
    let (mut all, mut marker) = (Vec::new(), None::<String>);
    for _ in 0..MAX_PAGES {
        let parameters: Vec<(&str, &str)> = marker.iter().map(|marker| ("Marker", marker.as_str())).collect();
        let reply = session.query().form(doing, Service::Balancing, action, &parameters).await?;
        all.extend(reply.list(list).iter().filter_map(|one| one.text(id)).map(str::to_owned));
        marker = reply.text("NextMarker").map(str::to_owned);
        if marker.is_none() {
            break;
        }
    }
    Ok(all)
}

/// Whether the label of the place is among these tags. Looked at here whatever was asked for: who overlooks a filter would
/// make us call somebody else's network left. EC2 writes its words small, all others in capitals.
fn is_labelled(tags: &[Element], name: &str) -> bool {
    tags.iter().any(|tag| is_tag(tag, tags::NAME) && value(tag) == Some(name))
}

fn is_tag(tag: &Element, key: &str) -> bool {
    ["Key", "key"].iter().any(|word| tag.text(word) == Some(key))
}

fn value(tag: &Element) -> Option<&str> {
    ["Value", "value"].iter().find_map(|word| tag.text(word))
}

/// The region of the place that a role is of: as its template says, else as the ARN of its stack does
/// (`arn:aws:cloudformation:REGION:…`). None: it does not say, and may be of any.
fn region_of(tags: &[Element]) -> Option<&str> {
    let said = |key: &str| tags.iter().find(|tag| is_tag(tag, key)).and_then(value);
    said(tags::REGION).or_else(|| said(STACK_ID)?.split(':').nth(3))
}

/// IAM has no filter by tag either. CloudFormation names a role after stack and logical id, so only those are read: the tags
/// of others are none of our business, nor are they shown to whoever has our policy. Roles are of no region, so those of a
/// place of the same name in another one are found as well, and left out.
pub(super) async fn roles(session: &Session, name: &str) -> Result<Vec<Item>, AwsError> {
    const DOING: &str = "look for roles";
    let (mut found, mut marker) = (Vec::new(), None::<String>);
    let prefixes = ROLES.map(|id| format!("{name}-{id}-"));
    for _ in 0..MAX_PAGES {
        let parameters: Vec<(&str, &str)> = marker.iter().map(|marker| ("Marker", marker.as_str())).collect();
        let reply = session.query().form(DOING, Service::Iam, "ListRoles", &parameters).await?;
        for role in reply.list("Roles").iter().filter_map(|role| role.text("RoleName")) {
            if prefixes.iter().any(|prefix| role.starts_with(prefix)) && is_of_place(session, role, name).await? {
                found.push(Item::new("role", role));
            }
        }
        marker = reply.text("Marker").map(str::to_owned);
        if marker.is_none() {
            break;
        }
    }
    Ok(found)
}

async fn is_of_place(session: &Session, role: &str, name: &str) -> Result<bool, AwsError> {
    let reply = session.query().form("read a role's tags", Service::Iam, "ListRoleTags", &[("RoleName", role)]).await;
    match reply {
        Ok(reply) => {
            let tags = reply.list("Tags");
            Ok(is_labelled(tags, name) && region_of(tags).is_none_or(|region| region == session.region()))
        }
        Err(error) if error.has_code("NoSuchEntity") => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whatever else bears the label. The index is late, so a rule is confirmed by its own service.
pub(super) async fn others(session: &Session, name: &str) -> Result<Vec<Item>, AwsError> {
    let (mut found, mut token) = (Vec::new(), Value::Null);
    for _ in 0..MAX_PAGES {
        let mut body = json!({"TagFilters": [{"Key": tags::NAME, "Values": [name]}], "ResourcesPerPage": 100});
        if token.is_string() {
            body["PaginationToken"] = token;
        }
        let reply = session.query().json("look by tag", Service::Tagging, "GetResources", &body).await?;
        let listed = reply["ResourceTagMappingList"].as_array().map_or(&[][..], Vec::as_slice);
        let is_ours = |one: &&Value| {
            one["Tags"]
                .as_array()
                .is_some_and(|all| all.iter().any(|tag| tag["Key"] == tags::NAME && tag["Value"] == name))
        };
        for arn in listed.iter().filter(is_ours).filter_map(|one| one["ResourceARN"].as_str()) {
            let service = arn.split(':').nth(2).unwrap_or_default();
            if service == "events" && !rule_is_there(session, arn).await? {
                continue;
            }
            if !ASKED.contains(&service) && service != "cloudformation" {
                found.push(Item::new(if service == "events" { "event rule" } else { "tagged resource" }, arn));
            }
        }
        token = reply["PaginationToken"].clone();
        if token.as_str().is_none_or(str::is_empty) {
            break;
        }
    }
    Ok(found)
}

async fn rule_is_there(session: &Session, arn: &str) -> Result<bool, AwsError> {
    let name = arn.rsplit('/').next().unwrap_or(arn);
    match session.query().json("look at a rule", Service::Events, "DescribeRule", &json!({"Name": name})).await {
        Ok(_) => Ok(true),
        Err(error) if error.has_code("ResourceNotFoundException") => Ok(false),
        Err(error) => Err(error),
    }
}

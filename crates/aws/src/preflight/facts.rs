//! The facts a preflight judges. What AWS does not tell is "unknown", never a failure.

use serde_json::json;

use crate::error::AwsError;
use crate::inventory::{Item, arns, inventory, log_policies};
use crate::preflight::OLD_STACK;
use crate::preflight::network::{self, Yours};
use crate::preparation::has_role;
use crate::query::{Element, Service};
use crate::session::Session;
use crate::spec::{Network, PlaceSpec};
use crate::stack::{StackView, find};

/// Codes of the quotas of which something may be used up.
const VPCS: &str = "L-F678F1CE";
const BALANCERS: &str = "L-53DA6B97";
/// Rules that a security group has at least; no account has a lower quota.
const RULES: usize = 60;

/// What was gathered.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub(super) stack: Option<StackView>,
    /// Whether the stack of the old scripts is here.
    pub(super) has_old_stack: bool,
    /// What is there although there is no stack.
    pub(super) leftovers: Vec<Item>,
    pub(super) quotas: Vec<Quota>,
    /// How many policies CloudWatch Logs has already, where one more would be made.
    pub(super) log_policies: usize,
    /// The region's zones.
    pub(super) zones: Option<Vec<String>>,
    /// The network that the user brings.
    pub(super) yours: Option<Yours>,
    /// The roles that the user brings, and whether they exist.
    pub(super) roles: Vec<(String, Option<bool>)>,
    /// What could not be told, in words.
    pub(super) unknown: Vec<String>,
}

/// A limit of the account.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Quota {
    pub(super) service: &'static str,
    pub(super) code: &'static str,
    pub(super) words: &'static str,
    pub(super) limit: f64,
    /// None: counting it is not worth the calls.
    pub(super) used: Option<f64>,
    pub(super) needed: f64,
}

/// Gathers everything.
///
/// # Errors
/// Only what ends every verb: the stack itself cannot be looked at, or the credentials are no good.
pub(super) async fn gather(session: &Session, spec: &PlaceSpec) -> Result<Facts, AwsError> {
    let mut facts = Facts { stack: find(session, &spec.name).await?, ..Facts::default() };
    facts.has_old_stack = find(session, OLD_STACK).await.ok().flatten().is_some();
    if facts.stack.is_none() {
        let found = inventory(session, &spec.name).await?;
        facts.leftovers = found.left;
        facts.unknown.extend(
            found.unsure.into_iter().map(|words| format!("whether anything is left of an earlier try: {words}")),
        );
    }
    quotas(session, spec, &mut facts).await;
    if facts.stack.is_none() && spec.logs.memory {
        // Who is not told of them was told so by the inventory.
        facts.log_policies = log_policies(session).await.map_or(0, |all| all.len());
    }
    match &spec.network {
        Network::Made { .. } => match zones(session).await {
            Ok(zones) => facts.zones = Some(zones),
            Err(error) => facts.unknown.push(format!("the region's zones: {}", first_line(&error))),
        },
        Network::Yours { vpc, balancer_subnets, task_subnets, .. } => {
            match network::look(session, vpc, balancer_subnets, task_subnets).await {
                Ok(yours) => facts.yours = Some(yours),
                Err(error) => facts.unknown.push(format!("whether your network will do: {}", first_line(&error))),
            }
        }
    }
    for arn in [&spec.roles.execution, &spec.roles.task].into_iter().flatten() {
        let name = arn.rsplit('/').next().unwrap_or(arn);
        facts.roles.push((arn.clone(), has_role(session, name).await));
    }
    Ok(facts)
}

fn first_line(error: &AwsError) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

async fn quotas(session: &Session, spec: &PlaceSpec, facts: &mut Facts) {
    let is_new = facts.stack.is_none();
    // Make-before-break runs twice the tasks for a while.
    let vcpus = f64::from(spec.size.cpu) / 1024.0 * f64::from(spec.count) * 2.0;
    let mut wanted = vec![("fargate", "L-3032A538", "vCPUs of Fargate on demand", vcpus)];
    if is_new {
        wanted.push(("elasticloadbalancing", BALANCERS, "application load balancers", 1.0));
        if matches!(spec.network, Network::Made { .. }) {
            wanted.push(("vpc", VPCS, "VPCs", 1.0));
        }
    }
    if RULES < spec.access.ingress.len() {
        wanted.push(("vpc", "L-0EA8095F", "rules of a security group", spec.access.ingress.len() as f64));
    }
    for (service, code, words, needed) in wanted {
        let limit = match limit(session, service, code).await {
            Ok(limit) => limit,
            // Who is not told of one is told of none: once is enough.
            Err(error) => return facts.unknown.push(format!("the account's quotas: {}", first_line(&error))),
        };
        let used = match code {
            VPCS => vpcs(session).await.ok().map(|n| n as f64),
            BALANCERS => balancers(session).await.ok().map(|n| n as f64),
            _ => None,
        };
        facts.quotas.push(Quota { service, code, words, limit, used, needed });
    }
}

/// The account's limit, or AWS's own where the account never had another.
async fn limit(session: &Session, service: &str, code: &str) -> Result<f64, AwsError> {
    let body = json!({"ServiceCode": service, "QuotaCode": code});
    let doing = "ask for one";
    let mut reply = session.query().json(doing, Service::Quotas, "GetServiceQuota", &body).await;
    if reply.as_ref().is_err_and(|error| error.has_code("NoSuchResourceException")) {
        reply = session.query().json(doing, Service::Quotas, "GetAWSDefaultServiceQuota", &body).await;
    }
    reply?["Quota"]["Value"]
        .as_f64()
        .ok_or_else(|| AwsError::Incomplete { doing: doing.to_owned(), missing: "a value".to_owned() })
}

async fn vpcs(session: &Session) -> Result<usize, AwsError> {
    let reply = session.query().form("count VPCs", Service::Ec2, "DescribeVpcs", &[]).await?;
    Ok(reply.list("vpcSet").len())
}

async fn balancers(session: &Session) -> Result<usize, AwsError> {
    let arns = arns(session, "count balancers", "DescribeLoadBalancers", "LoadBalancers", "LoadBalancerArn").await?;
    Ok(arns.iter().filter(|arn| arn.contains("loadbalancer/app/")).count())
}

async fn zones(session: &Session) -> Result<Vec<String>, AwsError> {
    let reply = session.query().form("look at zones", Service::Ec2, "DescribeAvailabilityZones", &[]).await?;
    // Local zones are listed too, where the account opted in.
    let is_one = |zone: &&Element| {
        zone.text("zoneState") == Some("available") && zone.text("zoneType") == Some("availability-zone")
    };
    let zones = reply.list("availabilityZoneInfo").iter().filter(is_one);
    Ok(zones.filter_map(|zone| zone.text("zoneName")).map(str::to_owned).collect())
}

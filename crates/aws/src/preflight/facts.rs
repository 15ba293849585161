//! The facts a preflight judges. What AWS does not tell is "unknown", never a failure.

use serde_json::json;

use crate::error::AwsError;
use crate::inventory::{Item, arns, inventory};
use crate::preflight::OLD_STACK;
use crate::preflight::network::{self, Yours};
use crate::preparation::has_role;
use crate::query::Service;
use crate::session::Session;
use crate::spec::{Network, PlaceSpec};
use crate::stack::{StackView, find};

/// What was gathered.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub(super) stack: Option<StackView>,
    /// Whether the stack of the old scripts is here.
    pub(super) has_old_stack: bool,
    /// What is there although there is no stack.
    pub(super) leftovers: Vec<Item>,
    pub(super) quotas: Vec<Quota>,
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
    /// None: AWS does not tell.
    pub(super) limit: Option<f64>,
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
    let quota = |service, code, words, needed| Quota { service, code, words, limit: None, used: None, needed };
    let mut wanted = vec![quota("fargate", "L-3032A538", "vCPUs of Fargate on demand", vcpus)];
    if is_new {
        wanted.push(quota("elasticloadbalancing", "L-53DA6B97", "application load balancers", 1.0));
        if matches!(spec.network, Network::Made { .. }) {
            wanted.push(quota("vpc", "L-F678F1CE", "VPCs", 1.0));
        }
    }
    for mut quota in wanted {
        let words = quota.words;
        match limit(session, &quota).await {
            Ok(limit) => quota.limit = Some(limit),
            Err(error) => facts.unknown.push(format!("the quota of {words}: {}", first_line(&error))),
        }
        quota.used = match quota.service {
            // Without a limit there is nothing to compare.
            _ if quota.limit.is_none() => None,
            "vpc" => vpcs(session).await.ok().map(|n| n as f64),
            "elasticloadbalancing" => balancers(session).await.ok().map(|n| n as f64),
            _ => None,
        };
        facts.quotas.push(quota);
    }
}

/// The account's limit, or AWS's own where the account never had another.
async fn limit(session: &Session, quota: &Quota) -> Result<f64, AwsError> {
    let body = json!({"ServiceCode": quota.service, "QuotaCode": quota.code});
    let doing = "ask for a quota";
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
    let parameters = [
        ("Filter.1.Name", "state"),
        ("Filter.1.Value.1", "available"),
        ("Filter.2.Name", "zone-type"),
        ("Filter.2.Value.1", "availability-zone"),
    ];
    let reply = session.query().form("look at zones", Service::Ec2, "DescribeAvailabilityZones", &parameters).await?;
    Ok(reply.list("availabilityZoneInfo").iter().filter_map(|zone| zone.text("zoneName")).map(str::to_owned).collect())
}

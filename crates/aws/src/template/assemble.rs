//! Which fragments a spec needs, in which order, and with which values.

use crate::outputs::key;
use crate::spec::{Made, Network, PlaceSpec, Scheme};

use super::fill::{Values, fill, scalar};
use super::range::Range;
use super::wiring::{Wiring, ZONES};
use super::{Capability, secret};

/// Days that the memory of events goes back: long enough to look into what happened over a holiday.
const MEMORY_DAYS: u32 = 14;

/// Logical ids of the roles that are made: for what starts a task, and for what is in it.
pub(crate) const ROLES: [&str; 2] = ["ExecutionRole", "TaskRole"];

/// One part of the text.
pub(super) type Part = (Capability, String);

/// The resources of the place, without what runs in it.
pub(super) fn resources(spec: &PlaceSpec, wiring: &Wiring) -> Vec<Part> {
    let values = values(spec, wiring);
    let plain = |capability, fragment| (capability, fill(fragment, &values));
    let mut parts: Vec<Part> =
        network(spec, wiring, &values).into_iter().map(|text| (Capability::Network, text)).collect();
    parts.push(plain(Capability::Balancer, include_str!("fragments/balancer.yaml")));
    parts.push(plain(Capability::Cluster, include_str!("fragments/cluster.yaml")));
    parts.push(plain(Capability::Logs, include_str!("fragments/logs.yaml")));
    if spec.roles.execution.is_none() || spec.roles.task.is_none() {
        parts.push(plain(Capability::Roles, include_str!("fragments/roles/heading.yaml")));
    }
    if spec.roles.execution.is_none() {
        parts.push(plain(Capability::Roles, include_str!("fragments/roles/execution.yaml")));
    }
    if spec.roles.task.is_none() {
        parts.push(plain(Capability::Roles, include_str!("fragments/roles/task.yaml")));
    }
    parts.push(plain(Capability::Repository, include_str!("fragments/repository.yaml")));
    if spec.logs.memory {
        parts.push(plain(Capability::Memory, include_str!("fragments/memory.yaml")));
    }
    parts
}

/// The parts of the network, or none when it is there already.
fn network(spec: &PlaceSpec, wiring: &Wiring, values: &Values) -> Vec<String> {
    let Some(mode) = wiring.made else { return Vec::new() };
    let zones = |fragment: &str| -> Vec<String> {
        (0..wiring.zones).map(|index| fill(fragment, &zone(spec, values, index))).collect()
    };
    let mut texts = vec![fill(include_str!("fragments/network/vpc.yaml"), values)];
    if wiring.internet {
        texts.push(fill(include_str!("fragments/network/internet.yaml"), values));
    }
    if wiring.public {
        texts.push(fill(include_str!("fragments/network/public.yaml"), values));
        texts.extend(zones(include_str!("fragments/network/public_zone.yaml")));
    }
    if wiring.private {
        texts.push(fill(include_str!("fragments/network/private.yaml"), values));
        texts.extend(zones(include_str!("fragments/network/private_zone.yaml")));
    }
    if mode == Made::Nat {
        texts.push(fill(include_str!("fragments/network/nat.yaml"), values));
    }
    texts.push(fill(include_str!("fragments/network/s3.yaml"), values));
    if mode == Made::Endpoints {
        texts.push(fill(include_str!("fragments/network/endpoints.yaml"), values));
        let of = |(id, service): (&str, &str)| {
            // In China some services bear other names, these of the registry among them.
            let prefix = if spec.region.starts_with("cn-") && service.starts_with("ecr.") { "cn." } else { "" };
            let values = values.clone().yaml("endpoint-id", id).yaml("endpoint-service", service);
            let values = values.yaml("endpoint-prefix", prefix);
            let values = values.text("endpoint-name", &format!("{}-{service}", spec.name));
            fill(include_str!("fragments/network/endpoint.yaml"), &values)
        };
        texts.extend(endpoints(spec).into_iter().map(of));
    }
    texts
}

/// The interface endpoints that tasks need when there is no other way out: logical id and service.
pub(crate) fn endpoints(spec: &PlaceSpec) -> Vec<(&'static str, &'static str)> {
    let id = |store| match store {
        secret::Store::Parameters => "ParametersEndpoint",
        secret::Store::Secrets => "SecretsEndpoint",
    };
    let always = [("RegistryApiEndpoint", "ecr.api"), ("RegistryEndpoint", "ecr.dkr"), ("LogsEndpoint", "logs")];
    let stores = secret::stores(&spec.secrets);
    always.into_iter().chain(stores.into_iter().map(|store| (id(store), store.service()))).collect()
}

/// Values of one zone.
fn zone(spec: &PlaceSpec, values: &Values, index: usize) -> Values {
    let letter = ZONES[index];
    let cidr = match &spec.network {
        Network::Made { cidr, .. } => Range::read(cidr).expect("the range was checked"),
        Network::Yours { .. } => unreachable!("there are no zones in a network that is not made"),
    };
    let name = |side: &str| format!("{}-{side}-{}", spec.name, letter.to_lowercase());
    let index = u8::try_from(index).expect("there are three zones");
    values
        .clone()
        .yaml("zone", letter)
        .yaml("zone-index", index.to_string())
        .text("public-subnet-cidr", &cidr.eighth(index).to_string())
        .text("public-subnet-name", &name("public"))
        .text("private-subnet-cidr", &cidr.eighth(4 + index).to_string())
        .text("private-subnet-name", &name("private"))
}

/// Values that are the same everywhere.
pub(super) fn values(spec: &PlaceSpec, wiring: &Wiring) -> Values {
    let name = &spec.name;
    let named = |suffix: &str| format!("{name}-{suffix}");
    let scheme = match spec.access.scheme {
        Scheme::InternetFacing => "internet-facing",
        Scheme::Internal => "internal",
    };
    let after = if wiring.balancer_after.is_empty() {
        Vec::new()
    } else {
        vec![
            "# AWS makes no balancer that faces the internet where there is no way there.".to_owned(),
            format!("DependsOn: [{}]", wiring.balancer_after.join(", ")),
        ]
    };
    Values::default()
        .text("name", name)
        .text("description", &format!("gimmetime: the place {name}"))
        .text("public-name", &named("public"))
        .text("private-name", &named("private"))
        .text("s3-name", &named("s3"))
        .text("endpoints-name", &named("endpoints"))
        .text("balancer-name", &named("balancer"))
        .text("tasks-name", &named("tasks"))
        .lines("tags", tags(spec))
        .text("cidr", wiring_cidr(spec))
        .yaml("task-routes", if wiring.private { "PrivateRoutes" } else { "PublicRoutes" })
        .yaml("task-subnets", list(&wiring.task_subnets))
        .yaml("vpc", &wiring.vpc)
        .lines("ingress", ingress(spec))
        .yaml("task-range", &wiring.task_range)
        .lines("balancer-after", after)
        .yaml("scheme", scheme)
        .yaml("balancer-subnets", list(&wiring.balancer_subnets))
        .text("protect", if spec.protect { "true" } else { "false" })
        .text("health", &spec.health)
        .text("log-group", &log_group(spec))
        .yaml("retention", spec.logs.retention_days.to_string())
        .lines("bounds", bounds(spec))
        .lines("secrets", secret::policy(&spec.secrets))
        .text("repository", &repository(spec))
        .text("event-log-group", &event_log_group(spec))
        .yaml("event-retention", MEMORY_DAYS.to_string())
        .text("event-policy", &event_policy_name(name))
}

fn wiring_cidr(spec: &PlaceSpec) -> &str {
    match &spec.network {
        Network::Made { cidr, .. } => cidr,
        Network::Yours { .. } => "",
    }
}

/// The log group of the tasks' output.
fn log_group(spec: &PlaceSpec) -> String {
    format!("/gimmetime/{}", spec.name)
}

/// The log group of the memory of events.
fn event_log_group(spec: &PlaceSpec) -> String {
    format!("/aws/events/gimmetime/{}", spec.name)
}

/// The policy by which events reach that log group.
pub(crate) fn event_policy_name(name: &str) -> String {
    format!("{name}-event-memory")
}

/// The repository: names there have small letters only.
fn repository(spec: &PlaceSpec) -> String {
    spec.name.to_lowercase()
}

/// Tags, one a line.
pub(super) fn tags(spec: &PlaceSpec) -> Vec<String> {
    let line = |(key, value): (String, String)| format!("- {{Key: {}, Value: {}}}", scalar(&key), scalar(&value));
    spec.tags().into_iter().map(line).collect()
}

/// Who may connect, one rule a line.
pub(super) fn ingress(spec: &PlaceSpec) -> Vec<String> {
    let rule = |range: &String| {
        let key = if range.contains(':') { "CidrIpv6" } else { "CidrIp" };
        format!("- {{IpProtocol: tcp, FromPort: 80, ToPort: 80, {key}: {}, Description: HTTP}}", scalar(range))
    };
    spec.access.ingress.iter().map(rule).collect()
}

/// What bounds every role that is made.
fn bounds(spec: &PlaceSpec) -> Vec<String> {
    let roles = &spec.roles;
    let path = roles.path.iter().map(|path| format!("Path: {}", scalar(path)));
    let boundary = roles.permissions_boundary.iter().map(|arn| format!("PermissionsBoundary: {}", scalar(arn)));
    path.chain(boundary).collect()
}

/// A list within a line.
pub(super) fn list(items: &[String]) -> String {
    format!("[{}]", items.join(", "))
}

/// The role that pulls the image, as YAML.
pub(super) fn execution_role(spec: &PlaceSpec) -> String {
    spec.roles.execution.as_deref().map_or_else(|| "!GetAtt ExecutionRole.Arn".to_owned(), scalar)
}

/// The role of the program, as YAML.
pub(super) fn task_role(spec: &PlaceSpec) -> String {
    spec.roles.task.as_deref().map_or_else(|| "!GetAtt TaskRole.Arn".to_owned(), scalar)
}

/// What the stack tells: key and YAML.
pub(super) fn outputs(spec: &PlaceSpec, wiring: &Wiring) -> Vec<(&'static str, String)> {
    let memory = spec.logs.memory.then(|| (key::EVENT_LOG_GROUP, "!Ref EventLogs".to_owned()));
    let fixed = [
        (key::BALANCER_DNS, "!GetAtt Balancer.DNSName".to_owned()),
        (key::BALANCER_ARN, "!Ref Balancer".to_owned()),
        (key::TARGET_GROUP_ARN, "!Ref TargetGroup".to_owned()),
        (key::CLUSTER, "!Ref Cluster".to_owned()),
        (key::LOG_GROUP, "!Ref TaskLogs".to_owned()),
        (key::REPOSITORY_URI, "!GetAtt Repository.RepositoryUri".to_owned()),
        (key::SUBNETS, format!("!Join [\",\", {}]", list(&wiring.task_subnets))),
        (key::SECURITY_GROUP, "!Ref TaskSecurityGroup".to_owned()),
        (key::PUBLIC_IP, scalar(if wiring.public_ip { "true" } else { "false" })),
        (key::EXECUTION_ROLE_ARN, execution_role(spec)),
        (key::TASK_ROLE_ARN, task_role(spec)),
    ];
    fixed.into_iter().chain(memory).collect()
}

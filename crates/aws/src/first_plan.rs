//! What the first `up` would make, and its price: from the spec alone, without asking anybody.

use crate::cost::{Addresses, PRICES_OF, Part, Price, nat_gb, price};
use crate::spec::{Made, Network, PlaceSpec, Scheme};
use crate::template::{Capability, Resource, TemplateError, endpoints, template};

/// Task definition and service, which are not the stack's.
const SERVICE_RESOURCES: usize = 2;

/// What the first `up` would make.
#[derive(Debug, Clone, PartialEq)]
pub struct FirstPlan {
    /// One line a part, in the order to show them.
    pub lines: Vec<PlanLine>,
    /// Everything the stack would make.
    pub resources: Vec<Resource>,
    /// How many things would be made: the stack's resources, the task definition and the service.
    pub create: usize,
    /// What it costs.
    pub price: Price,
    /// What somebody should know before saying yes, one sentence each.
    pub notes: Vec<String>,
}

/// One part of the place in words.
#[derive(Debug, Clone, PartialEq)]
pub struct PlanLine {
    /// The part; its [`Part::word`] begins the line.
    pub part: Part,
    /// How many things would be made; 0 for what comes with others, as addresses do.
    pub create: usize,
    /// What they are: `VPC 10.42.0.0/16, 2 zones, public subnets, no NAT`.
    pub words: String,
    /// US dollars a month.
    pub monthly: f64,
}

impl Capability {
    /// The line of the plan that tells of it.
    pub fn part(self) -> Part {
        match self {
            Self::Network => Part::Network,
            Self::Balancer => Part::Balancer,
            Self::Service => Part::Service,
            Self::Cluster | Self::Logs | Self::Roles | Self::Repository | Self::Memory => Part::Other,
        }
    }
}

/// What the first `up` would make, and its price.
pub fn first_plan(spec: &PlaceSpec) -> Result<FirstPlan, TemplateError> {
    let resources = template(spec)?.resources;
    let price = price(spec);
    let line = |part: Part| {
        let in_stack = resources.iter().filter(|resource| resource.capability.part() == part).count();
        let create = if part == Part::Service { SERVICE_RESOURCES } else { in_stack };
        PlanLine { part, create, words: words(part, spec), monthly: price.monthly_of(part) }
    };
    let lines =
        Part::ALL.into_iter().filter(|part| *part != Part::Addresses || Addresses::of(spec).all() > 0).map(line);
    Ok(FirstPlan {
        lines: lines.collect(),
        create: resources.len() + SERVICE_RESOURCES,
        notes: notes(spec, &price),
        price,
        resources,
    })
}

/// What a part of the place is, in a few words.
pub(crate) fn words(part: Part, spec: &PlaceSpec) -> String {
    match part {
        Part::Network => network(spec),
        Part::Balancer => balancer(spec),
        Part::Service => format!(
            "{} × {} vCPU {} GB x86_64",
            counted(spec.count, "task"),
            f64::from(spec.size.cpu) / 1024.0,
            f64::from(spec.size.memory) / 1024.0
        ),
        Part::Addresses => addresses(spec),
        Part::Other => other(spec),
    }
}

fn network(spec: &PlaceSpec) -> String {
    match &spec.network {
        Network::Made { mode, zones, cidr } => {
            let how = match mode {
                Made::Public => "public subnets, no NAT".to_owned(),
                Made::Nat => "private subnets, regional NAT gateway".to_owned(),
                Made::Endpoints => format!("private subnets, {} interface endpoints, no NAT", endpoints(spec).len()),
            };
            format!("VPC {cidr}, {zones} zones, {how}")
        }
        Network::Yours { vpc, balancer_subnets, task_subnets, .. } => {
            let subnets: std::collections::BTreeSet<&String> = balancer_subnets.iter().chain(task_subnets).collect();
            format!("yours: {vpc}, {}", counted(subnets.len(), "subnet"))
        }
    }
}

fn balancer(spec: &PlaceSpec) -> String {
    let who = match (spec.access.scheme, is_open(spec)) {
        (Scheme::InternetFacing, true) => "OPEN TO THE WORLD".to_owned(),
        (Scheme::InternetFacing, false) => format!("open to {}", counted(spec.access.ingress.len(), "range")),
        (Scheme::Internal, _) => "internal".to_owned(),
    };
    format!("ALB :80 {who}, PLAIN HTTP; 2 security groups")
}

/// Whether a range has every address.
fn is_open(spec: &PlaceSpec) -> bool {
    spec.access.ingress.iter().any(|range| range.ends_with("/0"))
}

fn addresses(spec: &PlaceSpec) -> String {
    let addresses = Addresses::of(spec);
    let of = [
        (addresses.balancer, "balancer"),
        (addresses.nat, "NAT"),
        (addresses.tasks, if addresses.tasks == 1 { "task" } else { "tasks" }),
    ];
    let of: Vec<String> =
        of.into_iter().filter(|(count, _)| *count > 0).map(|(count, who)| format!("{count} {who}")).collect();
    format!("{} public IPv4 ({})", addresses.all(), of.join(", "))
}

fn other(spec: &PlaceSpec) -> String {
    let made = [&spec.roles.execution, &spec.roles.task].into_iter().filter(|role| role.is_none()).count();
    let roles = if made == 0 { "your roles".to_owned() } else { counted(made, "role") };
    let memory = if spec.logs.memory { ", event memory" } else { "" };
    format!("cluster, {roles}, registry, logs ({} days){memory}", spec.logs.retention_days)
}

/// What somebody should know before saying yes.
fn notes(spec: &PlaceSpec, price: &Price) -> Vec<String> {
    let mut notes = Vec::new();
    if spec.access.scheme == Scheme::InternetFacing && is_open(spec) {
        notes.push("everybody on the internet can connect, without encryption: `ingress` names who may".to_owned());
    }
    if spec.access.ingress.iter().any(|range| range.contains(':')) {
        notes.push("the balancer has IPv4 addresses only: IPv6 ranges let nobody in".to_owned());
    }
    if Addresses::of(spec).tasks > 0 {
        notes.push(
            "tasks have public addresses, reachable from the balancer only; Security Hub's ECS.2 objects, and network \
             mode `nat` or `endpoints` avoids it"
                .to_owned(),
        );
    }
    if let Some(gb) = nat_gb(spec) {
        notes.push(format!("each GB through the NAT gateway costs ${gb} more"));
    }
    if !spec.protect {
        notes.push("nothing protects it from deletion: `protect = true` does".to_owned());
    }
    if price.priced_as != spec.region {
        notes.push(format!("prices of {} are not in the table: priced as {}", spec.region, price.priced_as));
    }
    notes.push(format!("list prices of {PRICES_OF} before tax, an idle balancer, 1 GB of logs; traffic is not in it"));
    notes
}

/// `1 task`, `2 tasks`.
fn counted(count: impl TryInto<u64>, what: &str) -> String {
    let count = count.try_into().unwrap_or(u64::MAX);
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{default_place, made, yours};

    fn shown(spec: &PlaceSpec) -> Vec<String> {
        let plan = first_plan(spec).unwrap();
        plan.lines
            .iter()
            .map(|line| format!("{} {} {} {:.2}", line.part.word(), line.create, line.words, line.monthly))
            .collect()
    }

    #[test]
    fn the_first_plan_tells_what_is_made_for_whom_it_is_open_and_what_it_costs() {
        assert_eq!(
            shown(&default_place()),
            [
                "network 10 VPC 10.42.0.0/16, 2 zones, public subnets, no NAT 0.00",
                "balancer 5 ALB :80 OPEN TO THE WORLD, PLAIN HTTP; 2 security groups 18.69",
                "service 2 2 tasks × 0.25 vCPU 0.5 GB x86_64 18.02",
                "addresses 0 4 public IPv4 (2 balancer, 2 tasks) 14.60",
                "other 9 cluster, 2 roles, registry, logs (30 days), event memory 0.60",
            ]
        );
        let plan = first_plan(&default_place()).unwrap();
        assert_eq!(plan.create, 26);
        assert_eq!(format!("{:.2} {:.2}", plan.price.monthly(), plan.price.hourly()), "51.91 0.07");
        assert!(plan.notes.iter().any(|note| note.contains("ECS.2")));
    }

    #[test]
    fn a_place_within_a_network_of_yours_tells_what_is_yours() {
        let mut spec = PlaceSpec { network: yours(false), ..default_place() };
        spec.access.scheme = Scheme::Internal;
        spec.roles.execution = Some("arn:aws:iam::123456789012:role/pull".to_owned());
        spec.roles.task = Some("arn:aws:iam::123456789012:role/app".to_owned());
        spec.logs.memory = false;
        assert_eq!(
            shown(&spec),
            [
                "network 0 yours: vpc-aaaaaaaaaaaaaaaaa, 4 subnets 0.00",
                "balancer 5 ALB :80 internal, PLAIN HTTP; 2 security groups 18.69",
                "service 2 2 tasks × 0.25 vCPU 0.5 GB x86_64 18.02",
                "other 3 cluster, your roles, registry, logs (30 days) 0.60",
            ]
        );
    }

    #[test]
    fn a_gateway_and_endpoints_are_told_with_what_they_cost() {
        let nat = shown(&PlaceSpec { network: made(Made::Nat, 3), ..default_place() });
        assert_eq!(nat[0], "network 21 VPC 10.42.0.0/16, 3 zones, private subnets, regional NAT gateway 105.12");
        assert_eq!(nat[3], "addresses 0 6 public IPv4 (3 balancer, 3 NAT) 21.90");
        let endpoints = shown(&PlaceSpec { network: made(Made::Endpoints, 2), ..default_place() });
        assert!(endpoints[0].contains("private subnets, 3 interface endpoints, no NAT 48.18"), "{}", endpoints[0]);
    }

    #[test]
    fn the_notes_tell_what_frightens_and_nothing_else() {
        let notes = |spec: &PlaceSpec| first_plan(spec).unwrap().notes.join("\n");
        let mut spec = PlaceSpec { network: made(Made::Nat, 2), protect: true, ..default_place() };
        spec.access.ingress = vec!["203.0.113.0/24".to_owned()];
        let told = notes(&spec);
        assert!(
            told.starts_with("each GB through the NAT gateway costs $0.048 more\nlist prices of 2026-10-02"),
            "{told}"
        );
        spec.access.ingress.push("2001:db8::/32".to_owned());
        spec.region = "ap-southeast-2".to_owned();
        let told = notes(&spec);
        assert!(told.contains("IPv6 ranges let nobody in") && told.contains("priced as eu-west-1"), "{told}");
    }

    #[test]
    fn the_lines_count_everything_that_is_made() {
        for network in [made(Made::Public, 2), made(Made::Nat, 3), made(Made::Endpoints, 2), yours(true)] {
            let plan = first_plan(&PlaceSpec { network, ..default_place() }).unwrap();
            assert_eq!(plan.lines.iter().map(|line| line.create).sum::<usize>(), plan.create);
        }
    }

    #[test]
    fn an_impossible_place_has_no_plan() {
        let wrong = first_plan(&PlaceSpec { name: "-".to_owned(), ..default_place() }).unwrap_err();
        assert!(matches!(wrong, TemplateError::Mistakes(_)));
    }
}

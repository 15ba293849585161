//! What a network consists of, and what of it balancer and tasks are connected to.

use crate::spec::{Made, Network, PlaceSpec, Scheme};

use super::assemble::endpoints;
use super::fill::scalar;

/// Letters of the zones, in the logical ids of what is in them.
pub(super) const ZONES: [&str; 3] = ["A", "B", "C"];

/// What a network consists of. References are YAML.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wiring {
    /// Whether a VPC is made, and how its tasks reach the registry.
    pub(super) made: Option<Made>,
    /// Whether there is a way to the internet.
    pub(super) internet: bool,
    /// Whether there are subnets with a route to it.
    pub(super) public: bool,
    /// Whether there are subnets without one.
    pub(super) private: bool,
    /// Zones of the subnets that are made.
    pub(super) zones: usize,
    /// The VPC.
    pub(super) vpc: String,
    /// Where tasks may have their addresses.
    pub(super) task_range: String,
    /// Subnets of the balancer.
    pub(super) balancer_subnets: Vec<String>,
    /// Subnets of the tasks.
    pub(super) task_subnets: Vec<String>,
    /// Whether tasks get public addresses.
    pub(super) public_ip: bool,
    /// What must be there before the balancer: logical ids.
    pub(super) balancer_after: Vec<String>,
    /// What must be there before a task can start: logical ids.
    pub(super) tasks_after: Vec<String>,
}

impl Wiring {
    /// What a spec asks for.
    pub(super) fn of(spec: &PlaceSpec) -> Self {
        match &spec.network {
            Network::Made { mode, zones, cidr } => {
                let made = Self::made(*mode, ZONES.len().min(usize::from(*zones)), cidr, spec.access.scheme);
                let endpoints = if *mode == Made::Endpoints { endpoints(spec) } else { Vec::new() };
                let endpoints = endpoints.into_iter().map(|(id, _)| id.to_owned());
                Self { tasks_after: made.tasks_after.into_iter().chain(endpoints).collect(), ..made }
            }
            Network::Yours { vpc, balancer_subnets, task_subnets, public_ip } => Self {
                made: None,
                internet: false,
                public: false,
                private: false,
                zones: 0,
                vpc: scalar(vpc),
                // The VPC's own ranges are not known here. A balancer connects only to what is registered with it.
                task_range: scalar("0.0.0.0/0"),
                balancer_subnets: balancer_subnets.iter().map(|id| scalar(id)).collect(),
                task_subnets: task_subnets.iter().map(|id| scalar(id)).collect(),
                public_ip: *public_ip,
                balancer_after: Vec::new(),
                tasks_after: Vec::new(),
            },
        }
    }

    fn made(mode: Made, zones: usize, cidr: &str, scheme: Scheme) -> Self {
        let private = mode != Made::Public;
        // A balancer that only the VPC reaches lives with the tasks.
        let public = mode == Made::Public || scheme == Scheme::InternetFacing;
        let subnets = |side: &str| ZONES[..zones].iter().map(|zone| format!("{side}Subnet{zone}")).collect::<Vec<_>>();
        let references = |side: &str| subnets(side).iter().map(|id| format!("!Ref {id}")).collect();
        let associations = |side: &str| subnets(side).into_iter().map(|id| format!("{id}Routes")).collect::<Vec<_>>();
        let mut tasks_after = associations(if private { "Private" } else { "Public" });
        match mode {
            Made::Public => tasks_after.push("PublicDefaultRoute".to_owned()),
            Made::Nat => tasks_after.push("NatDefaultRoute".to_owned()),
            Made::Endpoints => tasks_after.push("S3Endpoint".to_owned()),
        }
        Self {
            made: Some(mode),
            internet: public || mode == Made::Nat,
            public,
            private,
            zones,
            vpc: "!Ref Vpc".to_owned(),
            task_range: scalar(cidr),
            balancer_subnets: references(if public { "Public" } else { "Private" }),
            task_subnets: references(if private { "Private" } else { "Public" }),
            public_ip: mode == Made::Public,
            balancer_after: match scheme {
                // AWS refuses it in subnets without a route to the internet.
                Scheme::InternetFacing => [vec!["PublicDefaultRoute".to_owned()], associations("Public")].concat(),
                Scheme::Internal => Vec::new(),
            },
            tasks_after,
        }
    }
}

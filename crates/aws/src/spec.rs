//! What the place shall be: resolved values, nothing optional that a default could have filled.

use std::collections::{BTreeMap, BTreeSet};

/// The version of the place's layout, in its tag `gimmetime:place`. It grows when an older program would misread a place.
pub const LAYOUT: u32 = 1;

/// Everything that decides the template, the price and the preflight. Equal specs give one template, byte for byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlaceSpec {
    /// Names the stack, the cluster, the service, the repository and the log groups; one per account and region.
    pub name: String,
    /// The region, such as `eu-west-1`.
    pub region: String,
    /// Where tasks and balancer live.
    pub network: Network,
    /// Who may connect to port 80.
    pub access: Access,
    /// The roles of the tasks.
    pub roles: Roles,
    /// The output of the tasks, and the memory of events.
    pub logs: Logs,
    /// Whether `down` and replacements are refused: deletion and termination protection.
    pub protect: bool,
    /// Put on everything that takes tags, beside ours.
    pub tags: BTreeMap<String, String>,
    /// The path that the balancer asks for health.
    pub health: String,
    /// What a task may use; decides the price.
    pub size: Size,
    /// How many tasks are meant to run; decides price and quotas.
    pub count: u32,
    /// References whose values the execution role may fetch: ARNs, or names of SSM parameters as `ssm:/time/key`, or
    /// `secretsmanager:NAME`.
    pub secrets: BTreeSet<String>,
}

impl PlaceSpec {
    /// Tags of everything in the place: ours that do not depend on who makes it, and the user's.
    pub fn tags(&self) -> BTreeMap<String, String> {
        let ours = [("gimmetime:name", self.name.clone()), ("gimmetime:place", LAYOUT.to_string())];
        let ours = ours.map(|(key, value)| (key.to_owned(), value));
        self.tags.clone().into_iter().chain(ours).collect()
    }
}

/// Where tasks and balancer live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Network {
    /// A VPC of its own.
    Made {
        /// How tasks reach the registry and the logs.
        mode: Made,
        /// Availability zones, 2 or 3.
        zones: u8,
        /// The VPC's addresses, such as `10.42.0.0/16`.
        cidr: String,
    },
    /// A VPC that is there already.
    Yours {
        /// `vpc-…`
        vpc: String,
        /// Subnets of the balancer, in at least 2 zones.
        balancer_subnets: Vec<String>,
        /// Subnets of the tasks.
        task_subnets: Vec<String>,
        /// Whether tasks need public addresses to reach the registry.
        public_ip: bool,
    },
}

/// How tasks in a VPC of ours reach the registry and the logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Made {
    /// Public subnets and public addresses, no NAT and no bill for one; only the balancer may connect.
    Public,
    /// Private subnets behind a regional NAT gateway.
    Nat,
    /// Private subnets with interface endpoints, no way to the internet.
    Endpoints,
}

/// Who may connect to port 80.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// Where the balancer is reachable from.
    pub scheme: Scheme,
    /// IPv4 or IPv6 ranges that may connect, such as `0.0.0.0/0`.
    pub ingress: Vec<String>,
}

/// Where the balancer is reachable from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// From the internet.
    InternetFacing,
    /// From within the VPC.
    Internal,
}

/// The roles of the tasks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Roles {
    /// The ARN of a role of yours that pulls the image and writes logs; None makes one.
    pub execution: Option<String>,
    /// The ARN of a role of yours for the program itself; None makes one without any right.
    pub task: Option<String>,
    /// The ARN of a policy that bounds every role made here.
    pub permissions_boundary: Option<String>,
    /// The IAM path of every role made here, such as `/time/`.
    pub path: Option<String>,
}

/// The output of the tasks, and the memory of events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logs {
    /// Days that output is kept: one of CloudWatch Logs' own numbers.
    pub retention_days: u32,
    /// Whether task and deployment state changes are written down, so that `why` knows after ECS has forgotten.
    pub memory: bool,
}

/// What a task may use, in ECS's units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// 1024 are one vCPU.
    pub cpu: u32,
    /// MiB.
    pub memory: u32,
}

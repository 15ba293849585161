//! Where it runs, resolved: this machine, or a place on AWS.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use gimmetime_aws::{Access, Logs, Made, Network, Roles, Scheme};

use super::environment::Environment;
use super::reader::{Mistake, Mistakes};
use super::target_file::{AwsFile, NetworkFile, TargetFile};
use crate::args::Common;

/// Where it runs.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Place {
    /// This machine.
    Local {
        /// Where clients connect, if it was said.
        listen: Option<SocketAddr>,
    },
    /// AWS.
    Aws(Box<AwsPlace>),
}

/// A place on AWS: whose, where, and what shall be made there.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct AwsPlace {
    /// The only account that may be meant, twelve digits.
    pub(crate) account: Option<String>,
    /// The region; None is that of the profile, which only the SDK reads.
    pub(crate) region: Option<String>,
    /// The profile of the AWS configuration files; None is the one that the SDK finds.
    pub(crate) profile: Option<String>,
    /// Tags of the user's own, on everything.
    pub(crate) tags: BTreeMap<String, String>,
    /// Where tasks and balancer live.
    pub(crate) network: Network,
    /// Who may connect.
    pub(crate) access: Access,
    /// The roles of the tasks.
    pub(crate) roles: Roles,
    /// Output and events.
    pub(crate) logs: Logs,
    /// Whether `down` and replacements are refused.
    pub(crate) protect: bool,
}

/// Addresses of a VPC of ours unless it is said.
const CIDR: &str = "10.42.0.0/16";
/// Zones of a VPC of ours unless it is said: every region has two.
const ZONES: u8 = 2;
/// Days that output is kept unless it is said.
const RETENTION_DAYS: u32 = 30;
/// Everybody: this is a public service unless it is said.
const WORLD: &str = "0.0.0.0/0";

impl Place {
    /// Resolves a target's keys with what was typed.
    pub(crate) fn resolve(file: TargetFile, common: &Common, environment: &Environment) -> Self {
        let TargetFile { listen, aws, protect, network, roles, logs, .. } = file;
        let Some(AwsFile { account, region, profile, tags }) = aws else {
            return Self::Local { listen };
        };
        let (network, access) = resolve_network(network.unwrap_or_default());
        let (roles, logs) = (roles.unwrap_or_default(), logs.unwrap_or_default());
        Self::Aws(Box::new(AwsPlace {
            account,
            region: common.region.clone().or(region).or_else(|| environment.aws_region.clone()),
            profile: common.profile.clone().or(profile),
            tags,
            network,
            access,
            roles: Roles {
                execution: roles.execution,
                task: roles.task,
                permissions_boundary: roles.permissions_boundary,
                path: roles.path,
            },
            logs: Logs {
                retention_days: logs.retention_days.unwrap_or(RETENTION_DAYS),
                memory: logs.events.unwrap_or(true),
            },
            protect: protect.unwrap_or(false),
        }))
    }

    /// Whether it is this machine.
    pub(crate) fn is_local(&self) -> bool {
        matches!(self, Self::Local { .. })
    }
}

/// A network is yours as soon as its VPC is named; the file's reader has refused what does not go together.
fn resolve_network(file: NetworkFile) -> (Network, Access) {
    let access = Access {
        scheme: file.scheme.unwrap_or(Scheme::InternetFacing),
        ingress: file.ingress.unwrap_or_else(|| vec![WORLD.to_owned()]),
    };
    let network = match file.vpc {
        Some(vpc) => {
            let task_subnets = file.subnets.unwrap_or_default();
            Network::Yours {
                vpc,
                balancer_subnets: file.balancer_subnets.unwrap_or_else(|| task_subnets.clone()),
                task_subnets,
                public_ip: file.public_ip.unwrap_or(false),
            }
        }
        None => Network::Made {
            mode: file.mode.unwrap_or(Made::Public),
            zones: file.zones.unwrap_or(ZONES),
            cidr: file.cidr.unwrap_or_else(|| CIDR.to_owned()),
        },
    };
    (network, access)
}

/// Whether a name suits a repository of ECR and an IAM statement, beyond what a load balancer asks of it.
pub(crate) fn check_aws_name(name: &str, mistakes: &mut Mistakes) {
    let why = if name.len() < 2 {
        "is too short for a repository on AWS: take at least 2 characters"
    } else if name.contains("--") {
        "has two hyphens in a row, which AWS refuses in a repository's name"
    } else {
        return;
    };
    mistakes.add(Mistake::plain(format!("name `{name}` {why}")));
}

//! What a place tells those who run something in it: the outputs of its stack.

use std::collections::BTreeMap;

/// What a place tells those who run something in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outputs {
    /// The balancer's DNS name.
    pub balancer_dns: String,
    /// The balancer's ARN.
    pub balancer_arn: String,
    /// The target group of the tasks.
    pub target_group_arn: String,
    /// Name of the cluster.
    pub cluster: String,
    /// The log group of the tasks' output.
    pub log_group: String,
    /// The log group that remembers events, if the place has one.
    pub event_log_group: Option<String>,
    /// The repository, without a tag: `123456789012.dkr.ecr.eu-west-1.amazonaws.com/gimmetime`.
    pub repository_uri: String,
    /// Subnets of the tasks.
    pub subnets: Vec<String>,
    /// The security group of the tasks.
    pub security_groups: Vec<String>,
    /// Whether tasks get public addresses.
    pub public_ip: bool,
    /// The role that pulls the image and writes the logs.
    pub execution_role_arn: String,
    /// The role of the program itself.
    pub task_role_arn: Option<String>,
}

/// Keys of the stack's outputs; the template writes them, [`Outputs::read`] reads them.
pub(crate) mod key {
    pub(crate) const BALANCER_DNS: &str = "BalancerDns";
    pub(crate) const BALANCER_ARN: &str = "BalancerArn";
    pub(crate) const TARGET_GROUP_ARN: &str = "TargetGroupArn";
    pub(crate) const CLUSTER: &str = "Cluster";
    pub(crate) const LOG_GROUP: &str = "LogGroup";
    pub(crate) const EVENT_LOG_GROUP: &str = "EventLogGroup";
    pub(crate) const REPOSITORY_URI: &str = "RepositoryUri";
    pub(crate) const SUBNETS: &str = "TaskSubnets";
    pub(crate) const SECURITY_GROUP: &str = "TaskSecurityGroup";
    pub(crate) const PUBLIC_IP: &str = "TaskPublicIp";
    pub(crate) const EXECUTION_ROLE_ARN: &str = "ExecutionRoleArn";
    pub(crate) const TASK_ROLE_ARN: &str = "TaskRoleArn";
}

impl Outputs {
    /// Reads a stack's outputs; the error is the first key that is missing.
    pub fn read(outputs: &BTreeMap<String, String>) -> Result<Self, &'static str> {
        let get = |key: &'static str| outputs.get(key).cloned().ok_or(key);
        let list = |key: &'static str| -> Result<Vec<String>, &'static str> {
            Ok(get(key)?.split(',').map(|one| one.trim().to_owned()).collect())
        };
        Ok(Self {
            balancer_dns: get(key::BALANCER_DNS)?,
            balancer_arn: get(key::BALANCER_ARN)?,
            target_group_arn: get(key::TARGET_GROUP_ARN)?,
            cluster: get(key::CLUSTER)?,
            log_group: get(key::LOG_GROUP)?,
            event_log_group: outputs.get(key::EVENT_LOG_GROUP).cloned(),
            repository_uri: get(key::REPOSITORY_URI)?,
            subnets: list(key::SUBNETS)?,
            security_groups: list(key::SECURITY_GROUP)?,
            public_ip: get(key::PUBLIC_IP)? == "true",
            execution_role_arn: get(key::EXECUTION_ROLE_ARN)?,
            task_role_arn: outputs.get(key::TASK_ROLE_ARN).cloned(),
        })
    }
}

//! Every call that the tool itself makes, at the lowest level that makes it.

use super::Level;
use super::on::On;

/// Calls that are limited alike.
pub(super) struct Row {
    /// The lowest level that makes them.
    pub(super) level: Level,
    /// What they are limited to.
    pub(super) on: On,
    /// The calls, as IAM names them.
    pub(super) actions: &'static [&'static str],
}

const fn row(level: Level, on: On, actions: &'static [&'static str]) -> Row {
    Row { level, on, actions }
}

/// The table. A test reads the sources and fails when a call is missing here.
pub(super) const CALLS: &[Row] = &[
    // Looking: who one is, what is there, what runs, what it said.
    row(
        Level::Read,
        On::Anything,
        &[
            "sts:GetCallerIdentity",
            "cloudformation:DescribeStacks",
            // Without this right no stack is described but one that is named.
            "cloudformation:ListStacks",
            // A detection of drift asks how each kind is set up in the account.
            "cloudformation:BatchDescribeTypeConfigurations",
            "cloudformation:DescribeEvents",
            "cloudformation:DescribeStackDriftDetectionStatus",
            "servicequotas:GetAWSDefaultServiceQuota",
            "servicequotas:GetServiceQuota",
            "tag:GetResources",
            "ecs:DescribeTaskDefinition",
            "ecs:ListTaskDefinitions",
            // The quota of balancers is asked of their own service, in the caller's name.
            "elasticloadbalancing:DescribeAccountLimits",
            "elasticloadbalancing:DescribeLoadBalancers",
            "elasticloadbalancing:DescribeLoadBalancerAttributes",
            "elasticloadbalancing:DescribeTags",
            "elasticloadbalancing:DescribeTargetGroups",
            "elasticloadbalancing:DescribeTargetHealth",
            "ec2:DescribeAddresses",
            "ec2:DescribeAvailabilityZones",
            "ec2:DescribeInternetGateways",
            "ec2:DescribeNatGateways",
            "ec2:DescribeNetworkInterfaces",
            "ec2:DescribeRouteTables",
            "ec2:DescribeSecurityGroups",
            "ec2:DescribeSubnets",
            "ec2:DescribeVpcEndpoints",
            "ec2:DescribeVpcs",
            "logs:DescribeLogGroups",
            "logs:DescribeResourcePolicies",
            "iam:ListRoles",
        ],
    ),
    // How many requests there are: `status` tells it, and `down` before it deletes. IAM knows no resource for metrics.
    row(Level::Read, On::Anything, &["cloudwatch:GetMetricData"]),
    row(
        Level::Read,
        On::Stack,
        &[
            "cloudformation:DescribeChangeSet",
            "cloudformation:DescribeStackEvents",
            "cloudformation:DescribeStackResourceDrifts",
            "cloudformation:GetTemplate",
            "cloudformation:ListStackResources",
        ],
    ),
    // A plan makes a change set and a drift detection; neither changes anything that runs. A change set bears the tags
    // that the stack would get; no call of its own goes with the right to that.
    row(
        Level::Read,
        On::Stack,
        &[
            "cloudformation:CreateChangeSet",
            "cloudformation:DeleteChangeSet",
            "cloudformation:DetectStackDrift",
            "cloudformation:DetectStackResourceDrift",
            "cloudformation:TagResource",
            "cloudformation:UntagResource",
        ],
    ),
    row(Level::Read, On::Cluster, &["ecs:DescribeClusters"]),
    row(
        Level::Read,
        On::Service,
        &["ecs:DescribeServices", "ecs:DescribeServiceRevisions", "ecs:ListServiceDeployments"],
    ),
    row(Level::Read, On::InCluster, &["ecs:ListServices", "ecs:ListTasks"]),
    row(Level::Read, On::Tasks, &["ecs:DescribeTasks"]),
    row(Level::Read, On::Logs, &["logs:FilterLogEvents", "logs:GetLogEvents", "logs:ListTagsForResource"]),
    row(
        Level::Read,
        On::Repository,
        &["ecr:DescribeImages", "ecr:DescribeRepositories", "ecr:ListImages", "ecr:ListTagsForResource"],
    ),
    row(Level::Read, On::Rules, &["events:DescribeRule"]),
    row(Level::Read, On::KnownRoles, &["iam:GetRole"]),
    row(Level::Read, On::Roles, &["iam:ListRoleTags"]),
    // Changing what runs.
    row(
        Level::Deploy,
        On::Anything,
        &["ecr:GetAuthorizationToken", "ecs:DeregisterTaskDefinition", "ecs:RegisterTaskDefinition"],
    ),
    row(
        Level::Deploy,
        On::Repository,
        &[
            "ecr:BatchCheckLayerAvailability",
            "ecr:BatchGetImage",
            "ecr:CompleteLayerUpload",
            "ecr:GetDownloadUrlForLayer",
            "ecr:InitiateLayerUpload",
            "ecr:PutImage",
            "ecr:UploadLayerPart",
        ],
    ),
    row(Level::Deploy, On::Service, &["ecs:UpdateService"]),
    row(Level::Deploy, On::Labelled, &["ecs:ListTagsForResource", "ecs:TagResource", "ecs:UntagResource"]),
    row(Level::Deploy, On::PassedRoles, &["iam:PassRole"]),
    // Making and removing the place, and the service with it.
    row(
        Level::Up,
        On::Stack,
        &[
            "cloudformation:ContinueUpdateRollback",
            "cloudformation:CreateStack",
            "cloudformation:DeleteStack",
            "cloudformation:ExecuteChangeSet",
            "cloudformation:UpdateTerminationProtection",
        ],
    ),
    row(Level::Up, On::Service, &["ecs:CreateService", "ecs:DeleteService"]),
    row(Level::Up, On::Cluster, &["ecs:CreateCluster"]),
    // What was started by hand in the cluster keeps it from going.
    row(Level::Up, On::Tasks, &["ecs:StopTask"]),
    row(Level::Up, On::TaskDefinitions, &["ecs:DeleteTaskDefinitions"]),
    row(Level::Up, On::Repository, &["ecr:BatchDeleteImage"]),
    // What outlived its stack.
    row(Level::Up, On::Cluster, &["ecs:DeleteCluster"]),
    row(Level::Up, On::Repository, &["ecr:DeleteRepository"]),
    row(Level::Up, On::Logs, &["logs:DeleteLogGroup"]),
    row(Level::Up, On::Balancers, &["elasticloadbalancing:ModifyLoadBalancerAttributes"]),
    row(Level::Up, On::ServiceLinkedRoles, &["iam:CreateServiceLinkedRole"]),
];

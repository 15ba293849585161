//! What CloudFormation does, with the caller's credentials, for each kind of resource that a template can hold.

use super::on::On;

/// One kind of resource: its type in a template, and what making, reading, changing and deleting it takes.
pub(super) type Kind = (&'static str, &'static [(On, &'static [&'static str])]);

/// Tags of EC2 come in calls of their own.
const EC2_TAGS: (On, &[&str]) = (On::Network, &["ec2:CreateTags", "ec2:DeleteTags"]);

/// Whether an action changes nothing, as AWS names them.
pub(super) fn only_looks(action: &str) -> bool {
    let call = action.split_once(':').map_or(action, |(_, call)| call);
    ["Describe", "Get", "List"].iter().any(|verb| call.starts_with(verb))
}

/// The table. A test makes every template and fails when a kind is missing here.
pub(super) const KINDS: &[Kind] = &[
    (
        "AWS::EC2::VPC",
        &[
            EC2_TAGS,
            (On::Network, &["ec2:CreateVpc", "ec2:ModifyVpcAttribute"]),
            (On::TaggedNetwork, &["ec2:DeleteVpc"]),
            (
                On::Anything,
                &[
                    "ec2:DescribeAvailabilityZones",
                    "ec2:DescribeNetworkAcls",
                    "ec2:DescribeRouteTables",
                    "ec2:DescribeSecurityGroups",
                    "ec2:DescribeVpcAttribute",
                    "ec2:DescribeVpcEncryptionControls",
                    "ec2:DescribeVpcs",
                ],
            ),
        ],
    ),
    (
        "AWS::EC2::Subnet",
        &[
            EC2_TAGS,
            (On::Network, &["ec2:CreateSubnet", "ec2:ModifySubnetAttribute"]),
            (On::TaggedNetwork, &["ec2:DeleteSubnet"]),
            (On::Anything, &["ec2:DescribeAvailabilityZones", "ec2:DescribeNetworkAcls", "ec2:DescribeSubnets"]),
        ],
    ),
    (
        "AWS::EC2::InternetGateway",
        &[
            EC2_TAGS,
            (On::Network, &["ec2:CreateInternetGateway"]),
            (On::TaggedNetwork, &["ec2:DeleteInternetGateway"]),
            (On::Anything, &["ec2:DescribeInternetGateways"]),
        ],
    ),
    (
        "AWS::EC2::VPCGatewayAttachment",
        &[
            (On::Network, &["ec2:AttachInternetGateway"]),
            (On::TaggedNetwork, &["ec2:DetachInternetGateway"]),
            (On::Anything, &["ec2:DescribeInternetGateways", "ec2:DescribeVpnGateways"]),
        ],
    ),
    (
        "AWS::EC2::RouteTable",
        &[
            EC2_TAGS,
            (On::Network, &["ec2:CreateRouteTable"]),
            (On::TaggedNetwork, &["ec2:DeleteRouteTable"]),
            (On::Anything, &["ec2:DescribeRouteTables"]),
        ],
    ),
    (
        "AWS::EC2::Route",
        &[
            (On::Network, &["ec2:CreateRoute", "ec2:ReplaceRoute"]),
            (On::TaggedNetwork, &["ec2:DeleteRoute"]),
            (On::Anything, &["ec2:DescribeNetworkInterfaces", "ec2:DescribeRouteTables"]),
        ],
    ),
    (
        "AWS::EC2::SubnetRouteTableAssociation",
        &[
            (On::Network, &["ec2:AssociateRouteTable", "ec2:ReplaceRouteTableAssociation"]),
            (On::TaggedNetwork, &["ec2:DisassociateRouteTable"]),
            (On::Anything, &["ec2:DescribeRouteTables", "ec2:DescribeSubnets"]),
        ],
    ),
    (
        "AWS::EC2::NatGateway",
        &[
            EC2_TAGS,
            (On::Network, &["ec2:CreateNatGateway"]),
            (On::TaggedNetwork, &["ec2:DeleteNatGateway"]),
            (On::Anything, &["ec2:DescribeNatGateways"]),
        ],
    ),
    (
        "AWS::EC2::VPCEndpoint",
        &[
            EC2_TAGS,
            (On::Network, &["ec2:CreateVpcEndpoint", "ec2:ModifyVpcEndpoint"]),
            (On::TaggedNetwork, &["ec2:DeleteVpcEndpoints"]),
            // An endpoint with private names makes a hosted zone known to the VPC.
            (
                On::Anything,
                &[
                    "ec2:DescribeSecurityGroups",
                    "ec2:DescribeSubnets",
                    "ec2:DescribeVpcEndpoints",
                    "ec2:DescribeVpcs",
                    "route53:AssociateVPCWithHostedZone",
                ],
            ),
        ],
    ),
    (
        "AWS::EC2::SecurityGroup",
        &[
            EC2_TAGS,
            (
                On::Network,
                &[
                    "ec2:AuthorizeSecurityGroupEgress",
                    "ec2:AuthorizeSecurityGroupIngress",
                    "ec2:CreateSecurityGroup",
                    "ec2:RevokeSecurityGroupEgress",
                    "ec2:RevokeSecurityGroupIngress",
                    "ec2:UpdateSecurityGroupRuleDescriptionsEgress",
                    "ec2:UpdateSecurityGroupRuleDescriptionsIngress",
                ],
            ),
            (On::TaggedNetwork, &["ec2:DeleteSecurityGroup"]),
            (On::Anything, &["ec2:DescribeInstances", "ec2:DescribeSecurityGroups"]),
        ],
    ),
    (
        "AWS::ElasticLoadBalancingV2::LoadBalancer",
        &[
            (
                On::Balancers,
                &[
                    "elasticloadbalancing:AddTags",
                    "elasticloadbalancing:CreateLoadBalancer",
                    "elasticloadbalancing:ModifyLoadBalancerAttributes",
                    "elasticloadbalancing:RemoveTags",
                    "elasticloadbalancing:SetIpAddressType",
                    "elasticloadbalancing:SetSecurityGroups",
                    "elasticloadbalancing:SetSubnets",
                ],
            ),
            (On::TaggedBalancers, &["elasticloadbalancing:DeleteLoadBalancer"]),
            (
                On::Anything,
                &[
                    // The balancing API looks at the network in the caller's name.
                    "ec2:DescribeAccountAttributes",
                    "ec2:DescribeInternetGateways",
                    "ec2:DescribeIpamPools",
                    "ec2:DescribeSecurityGroups",
                    "ec2:DescribeSubnets",
                    "ec2:DescribeVpcs",
                    "elasticloadbalancing:DescribeCapacityReservation",
                    "elasticloadbalancing:DescribeLoadBalancerAttributes",
                    "elasticloadbalancing:DescribeLoadBalancers",
                    "elasticloadbalancing:DescribeTags",
                ],
            ),
        ],
    ),
    (
        "AWS::ElasticLoadBalancingV2::TargetGroup",
        &[
            (
                On::Balancers,
                &[
                    "elasticloadbalancing:AddTags",
                    "elasticloadbalancing:CreateTargetGroup",
                    "elasticloadbalancing:ModifyTargetGroup",
                    "elasticloadbalancing:ModifyTargetGroupAttributes",
                    "elasticloadbalancing:RemoveTags",
                ],
            ),
            (On::TaggedBalancers, &["elasticloadbalancing:DeleteTargetGroup"]),
            (
                On::Anything,
                &[
                    "ec2:DescribeVpcs",
                    "elasticloadbalancing:DescribeTags",
                    "elasticloadbalancing:DescribeTargetGroupAttributes",
                    "elasticloadbalancing:DescribeTargetGroups",
                    "elasticloadbalancing:DescribeTargetHealth",
                ],
            ),
        ],
    ),
    (
        "AWS::ElasticLoadBalancingV2::Listener",
        &[
            (
                On::Balancers,
                &[
                    "elasticloadbalancing:AddTags",
                    "elasticloadbalancing:CreateListener",
                    "elasticloadbalancing:DeleteListener",
                    "elasticloadbalancing:ModifyListener",
                    "elasticloadbalancing:ModifyListenerAttributes",
                    "elasticloadbalancing:RemoveTags",
                ],
            ),
            (
                On::Anything,
                &[
                    "elasticloadbalancing:DescribeListenerAttributes",
                    "elasticloadbalancing:DescribeListeners",
                    "elasticloadbalancing:DescribeTags",
                ],
            ),
        ],
    ),
    (
        "AWS::ECS::Cluster",
        &[(
            On::Cluster,
            &[
                "ecs:CreateCluster",
                "ecs:DeleteCluster",
                "ecs:DescribeClusters",
                "ecs:ListTagsForResource",
                "ecs:PutClusterCapacityProviders",
                "ecs:TagResource",
                "ecs:UntagResource",
                "ecs:UpdateCluster",
                "ecs:UpdateClusterSettings",
            ],
        )],
    ),
    (
        "AWS::Logs::LogGroup",
        &[
            (
                On::Logs,
                &[
                    "logs:CreateLogGroup",
                    "logs:DeleteDataProtectionPolicy",
                    "logs:DeleteLogGroup",
                    "logs:DeleteRetentionPolicy",
                    "logs:GetDataProtectionPolicy",
                    "logs:ListTagsForResource",
                    "logs:PutRetentionPolicy",
                    "logs:TagResource",
                    "logs:UntagResource",
                ],
            ),
            (On::Anything, &["logs:DescribeIndexPolicies", "logs:DescribeLogGroups", "logs:DescribeResourcePolicies"]),
        ],
    ),
    (
        "AWS::Logs::ResourcePolicy",
        &[(On::Anything, &["logs:DeleteResourcePolicy", "logs:DescribeResourcePolicies", "logs:PutResourcePolicy"])],
    ),
    (
        "AWS::Events::Rule",
        &[(
            On::Rules,
            &[
                "events:DeleteRule",
                "events:DescribeRule",
                "events:ListTagsForResource",
                "events:ListTargetsByRule",
                "events:PutRule",
                "events:PutTargets",
                "events:RemoveTargets",
                "events:TagResource",
                "events:UntagResource",
            ],
        )],
    ),
    (
        "AWS::IAM::Role",
        &[
            (On::BoundRoles, &["iam:CreateRole", "iam:PutRolePermissionsBoundary", "iam:PutRolePolicy"]),
            (
                On::Roles,
                &[
                    "iam:DeleteRole",
                    "iam:DeleteRolePolicy",
                    "iam:GetRole",
                    "iam:GetRolePolicy",
                    "iam:ListAttachedRolePolicies",
                    "iam:ListRolePolicies",
                    "iam:ListRoleTags",
                    "iam:TagRole",
                    "iam:UntagRole",
                    "iam:UpdateAssumeRolePolicy",
                    "iam:UpdateRole",
                    "iam:UpdateRoleDescription",
                ],
            ),
        ],
    ),
    (
        "AWS::ECR::Repository",
        &[(
            On::Repository,
            &[
                "ecr:CreateRepository",
                "ecr:DeleteLifecyclePolicy",
                "ecr:DeleteRepository",
                "ecr:DescribeRepositories",
                "ecr:GetLifecyclePolicy",
                "ecr:GetRepositoryPolicy",
                "ecr:ListTagsForResource",
                "ecr:PutImageScanningConfiguration",
                "ecr:PutImageTagMutability",
                "ecr:PutLifecyclePolicy",
                "ecr:TagResource",
                "ecr:UntagResource",
            ],
        )],
    ),
];

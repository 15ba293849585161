//! What CloudFormation does with the caller's credentials, by its own schemas of resource types, which cfn-lint brings.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::{actions, kinds, table};
use crate::iam::Level;
use crate::parts::{linter, python, read_yaml};
use crate::samples::pairwise;
use crate::template::template;

/// Actions of a schema, by what they are done for.
#[derive(Debug, Deserialize)]
struct Schema {
    /// Reading what is there: also what a detection of drift does.
    read: BTreeSet<String>,
    /// Making, changing, deleting and labelling.
    write: BTreeSet<String>,
}

/// The schemas of all kinds that a template can hold.
fn schemas() -> BTreeMap<String, Schema> {
    const SCRIPT: &str = "
import glob, json, os, sys, cfnlint
told, asked = {}, json.load(sys.stdin)
for path in glob.glob(os.path.join(os.path.dirname(cfnlint.__file__), 'data', 'schemas', 'resources', '*.json')):
    schema = json.load(open(path))
    if schema.get('typeName') in asked:
        of = lambda *verbs: [one for verb in verbs for one in schema['handlers'].get(verb, {}).get('permissions', [])]
        write = of('create', 'update', 'delete') + (schema.get('tagging') or {}).get('permissions', [])
        told[schema['typeName']] = {'read': of('read'), 'write': write}
print(json.dumps(told))
";
    let asked: Vec<&str> = kinds::KINDS.iter().map(|(kind, _)| *kind).collect();
    serde_json::from_str(&python(linter("python"), SCRIPT, &json!(asked).to_string())).unwrap()
}

/// Why an action that a schema names is not needed.
#[derive(Debug, Clone, Copy)]
enum Because {
    /// It is for these properties, which no template of ours has anywhere in such a resource.
    NeverSet(&'static [&'static str]),
    /// Something that no template shows.
    Said,
}
use Because::{NeverSet, Said};

/// What schemas name and no policy here allows: kind, actions, reason.
const NOT_NEEDED: [(&str, &[&str], Because); 22] = [
    ("AWS::EC2::VPC", &["ec2:CreateVpcEncryptionControl"], NeverSet(&["VpcEncryptionControl"])),
    ("AWS::EC2::VPC", &["ec2:ModifyVpcTenancy"], NeverSet(&["InstanceTenancy"])),
    (
        "AWS::EC2::Subnet",
        &["ec2:AssociateSubnetCidrBlock", "ec2:DisassociateSubnetCidrBlock"],
        NeverSet(&["Ipv6CidrBlock", "Ipv6CidrBlocks", "Ipv6NetmaskLength"]),
    ),
    ("AWS::EC2::VPCGatewayAttachment", &["ec2:AttachVpnGateway", "ec2:DetachVpnGateway"], NeverSet(&["VpnGatewayId"])),
    (
        "AWS::EC2::NatGateway",
        &[
            "ec2:AssignPrivateNatGatewayAddress",
            "ec2:AssociateNatGatewayAddress",
            "ec2:DisassociateNatGatewayAddress",
            "ec2:UnassignPrivateNatGatewayAddress",
        ],
        NeverSet(&[
            "AllocationId",
            "AvailabilityZoneAddresses",
            "SecondaryAllocationIds",
            "SecondaryPrivateIpAddressCount",
            "SecondaryPrivateIpAddresses",
        ]),
    ),
    (
        "AWS::EC2::VPCEndpoint",
        &["vpc-lattice:CreateServiceNetworkVpcEndpointAssociation"],
        NeverSet(&["ServiceNetworkArn", "ResourceConfigurationArn"]),
    ),
    // No such action is in AWS's own reference.
    ("AWS::EC2::VPCEndpoint", &["vpc-lattice:DescribeServiceNetworkVpcEndpointAssociation"], Said),
    ("AWS::EC2::VPCEndpoint", &["vpce:AllowMultiRegion"], NeverSet(&["ServiceRegion"])),
    (
        "AWS::ElasticLoadBalancingV2::LoadBalancer",
        &["elasticloadbalancing:ModifyCapacityReservation"],
        NeverSet(&["MinimumLoadBalancerCapacity"]),
    ),
    (
        "AWS::ElasticLoadBalancingV2::LoadBalancer",
        &["elasticloadbalancing:ModifyIpPools"],
        NeverSet(&["Ipv4IpamPoolId"]),
    ),
    (
        "AWS::ElasticLoadBalancingV2::TargetGroup",
        &["elasticloadbalancing:DeregisterTargets", "elasticloadbalancing:RegisterTargets"],
        NeverSet(&["Targets"]),
    ),
    (
        "AWS::ElasticLoadBalancingV2::Listener",
        &["cognito-idp:DescribeUserPoolClient"],
        NeverSet(&["AuthenticateCognitoConfig"]),
    ),
    // Of the account, not of the cluster.
    ("AWS::ECS::Cluster", &["ecs:PutAccountSetting", "ecs:PutAccountSettingDefault"], Said),
    ("AWS::ECS::Cluster", &["kms:DescribeKey"], NeverSet(&["Configuration"])),
    (
        "AWS::Logs::LogGroup",
        &["firehose:TagDeliveryStream", "logs:CreateLogDelivery", "logs:PutDataProtectionPolicy", "s3:REST.PUT.OBJECT"],
        NeverSet(&["DataProtectionPolicy"]),
    ),
    ("AWS::Logs::LogGroup", &["logs:AssociateKmsKey", "logs:DisassociateKmsKey"], NeverSet(&["KmsKeyId"])),
    ("AWS::Logs::LogGroup", &["logs:DeleteIndexPolicy", "logs:PutIndexPolicy"], NeverSet(&["FieldIndexPolicies"])),
    (
        "AWS::Logs::LogGroup",
        &[
            "logs:DeleteResourcePolicy",
            "logs:PutBearerTokenAuthentication",
            "logs:PutLogGroupDeletionProtection",
            "logs:PutResourcePolicy",
        ],
        NeverSet(&["ResourcePolicyDocument", "BearerTokenAuthenticationEnabled", "DeletionProtectionEnabled"]),
    ),
    ("AWS::Events::Rule", &["iam:PassRole"], NeverSet(&["RoleArn"])),
    ("AWS::IAM::Role", &["iam:AttachRolePolicy", "iam:DetachRolePolicy"], NeverSet(&["ManagedPolicyArns"])),
    // The way out of the boundary: who may take it is not bounded.
    ("AWS::IAM::Role", &["iam:DeleteRolePermissionsBoundary"], Said),
    (
        "AWS::ECR::Repository",
        &[
            "ecr:DeleteRepositoryPolicy",
            "ecr:SetRepositoryPolicy",
            "kms:CreateGrant",
            "kms:DescribeKey",
            "kms:RetireGrant",
        ],
        NeverSet(&["EncryptionConfiguration", "RepositoryPolicyText"]),
    ),
];

fn is_needed(kind: &str, action: &str) -> bool {
    !NOT_NEEDED.iter().any(|(of, actions, _)| *of == kind && actions.contains(&action))
}

#[test]
fn each_row_has_what_cloudformation_says_it_does() {
    let schemas = schemas();
    let calls: BTreeSet<&str> = table::CALLS.iter().flat_map(|row| row.actions).copied().collect();
    for (kind, actions) in kinds::KINDS {
        let row: BTreeSet<&str> = actions.iter().flat_map(|(_, actions)| *actions).copied().collect();
        let schema = &schemas[*kind];
        let named = schema.read.union(&schema.write).map(String::as_str);
        let missing: Vec<&str> =
            named.filter(|it| !row.contains(it) && !calls.contains(it) && is_needed(kind, it)).collect();
        assert!(missing.is_empty(), "{kind} lacks {missing:?}");
    }
}

#[test]
fn who_may_look_may_have_every_kind_compared_for_drift() {
    let allowed = actions(Level::Read);
    for (kind, schema) in schemas() {
        let read = schema.read.iter().filter(|action| is_needed(&kind, action));
        let missing: Vec<&String> = read.filter(|action| !allowed.contains(action.as_str())).collect();
        assert!(missing.is_empty(), "{kind} cannot be read without {missing:?}");
    }
}

/// Whether a property of that name is anywhere in a value.
fn has(value: &Json, name: &str) -> bool {
    match value {
        Json::Array(all) => all.iter().any(|one| has(one, name)),
        Json::Object(all) => all.iter().any(|(key, value)| key == name || has(value, name)),
        _ => false,
    }
}

#[test]
fn what_is_not_needed_is_for_properties_that_no_template_has() {
    let schemas = schemas();
    let texts: Vec<String> = pairwise().iter().map(|place| template(place).unwrap().text).collect();
    let templates = read_yaml(&texts);
    let resources: Vec<&Json> =
        templates.iter().flat_map(|template| template["Resources"].as_object().unwrap().values()).collect();
    for (kind, actions, because) in NOT_NEEDED {
        let schema = &schemas[kind];
        let named = |action: &&&str| schema.read.contains(**action) || schema.write.contains(**action);
        assert_eq!(actions.iter().filter(named).count(), actions.len(), "{kind} is not said to do all of {actions:?}");
        if let NeverSet(properties) = because {
            for property in properties {
                let set =
                    resources.iter().any(|resource| resource["Type"] == kind && has(&resource["Properties"], property));
                assert!(!set, "{kind} has {property}, so {actions:?} are needed");
            }
        }
    }
}

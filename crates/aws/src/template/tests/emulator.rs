//! The place as a stack that somebody else's CloudFormation makes.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::{Value, json};

use crate::outputs::Outputs;
use crate::parts::{python, told};
use crate::samples::{default_place, default_service, made, yours};
use crate::spec::{Made, Network, PlaceSpec};
use crate::template::{template, whole};

/// Makes a stack, prints how it ended, what it tells and what is in it, and removes it.
const SCRIPT: &str = "
import boto3, json, sys
ask = json.load(sys.stdin)
cloudformation = boto3.client('cloudformation', endpoint_url=ask['endpoint'], region_name=ask['region'],
    aws_access_key_id='000000000003', aws_secret_access_key='x')
name = ask['name']
waiting = {'Delay': 1, 'MaxAttempts': 60}
cloudformation.create_stack(StackName=name, TemplateBody=ask['text'], Capabilities=['CAPABILITY_IAM'])
try:
    cloudformation.get_waiter('stack_create_complete').wait(StackName=name, WaiterConfig=waiting)
finally:
    stack = cloudformation.describe_stacks(StackName=name)['Stacks'][0]
    events = cloudformation.describe_stack_events(StackName=name)['StackEvents']
    made = cloudformation.describe_stack_resources(StackName=name)['StackResources']
    cloudformation.delete_stack(StackName=name)
    cloudformation.get_waiter('stack_delete_complete').wait(StackName=stack['StackId'], WaiterConfig=waiting)
print(json.dumps({
    'status': stack['StackStatus'],
    'outputs': {one['OutputKey']: one['OutputValue'] for one in stack['Outputs']},
    'resources': {one['LogicalResourceId']: one['ResourceType'] for one in made},
    'failed': [one.get('ResourceStatusReason') for one in events if 'FAILED' in one['ResourceStatus']],
}))
";

/// A name that no other test has, nor one of another checkout.
fn named(label: &str) -> String {
    format!("tpl-{label}-{}", std::process::id())
}

/// Makes a stack of a text and removes it; its outputs, and its resources with their types.
fn stack(name: &str, text: &str) -> [BTreeMap<String, String>; 2] {
    let ask = json!({"endpoint": told("GIMMETIME_MINISTACK"), "region": "eu-west-1", "name": name, "text": text});
    let mut client = Command::new(format!("{}/bin/python", told("GIMMETIME_VENV")));
    client.env_clear().env("HOME", "/nonexistent");
    let told: Value = serde_json::from_str(&python(client, SCRIPT, &ask.to_string())).unwrap();
    assert_eq!(told["status"], "CREATE_COMPLETE", "{}", told["failed"]);
    ["outputs", "resources"].map(|part| serde_json::from_value(told[part].clone()).unwrap())
}

/// Makes the place, checks that all of it is there, and removes it; what its stack tells.
fn make(label: &str, mut spec: PlaceSpec) -> Outputs {
    spec.name = named(label);
    let template = template(&spec).unwrap();
    let [outputs, made] = stack(&spec.name, &template.text);
    let expected = template.resources.into_iter().map(|resource| (resource.logical_id, resource.kind)).collect();
    assert_eq!(made, expected);
    let outputs = Outputs::read(&outputs).unwrap();
    assert_eq!(outputs.cluster, spec.name);
    assert_eq!(outputs.log_group, format!("/gimmetime/{}", spec.name));
    assert_eq!(outputs.event_log_group, Some(format!("/aws/events/gimmetime/{}", spec.name)));
    assert!(outputs.repository_uri.ends_with(&format!("/{}", spec.name)), "{}", outputs.repository_uri);
    outputs
}

#[test]
fn the_default_place_is_made_as_a_stack() {
    let outputs = make("public", default_place());
    assert_eq!((outputs.subnets.len(), outputs.public_ip), (2, true));
    assert!(outputs.target_group_arn.starts_with("arn:aws:elasticloadbalancing:eu-west-1:000000000003:targetgroup/"));
    assert!(outputs.execution_role_arn.contains(":role/"), "{}", outputs.execution_role_arn);
}

#[test]
fn a_place_with_endpoints_in_three_zones_is_made_as_a_stack() {
    let secrets = ["ssm:/time/key".to_owned(), "secretsmanager:db".to_owned()].into();
    let outputs = make("private", PlaceSpec { network: made(Made::Endpoints, 3), secrets, ..default_place() });
    assert_eq!((outputs.subnets.len(), outputs.public_ip), (3, false));
}

#[test]
fn a_place_in_a_network_that_is_there_is_made_as_a_stack() {
    let network = yours(false);
    let Network::Yours { task_subnets, .. } = &network else { unreachable!() };
    let outputs = make("yours", PlaceSpec { network: network.clone(), ..default_place() });
    assert_eq!((&outputs.subnets, outputs.public_ip), (task_subnets, false));
}

#[test]
fn the_text_to_leave_with_is_made_as_a_stack_with_its_service() {
    let spec = PlaceSpec { name: named("whole"), ..default_place() };
    // No task: there is no image to start one from.
    let service = gimmetime_ops::ServiceSpec { count: Some(0), ..default_service() };
    let [_, made] = stack(&spec.name, &whole(&spec, &service, "X86_64").unwrap());
    assert_eq!(made.get("TaskDefinition").map(String::as_str), Some("AWS::ECS::TaskDefinition"));
    assert_eq!(made.get("Service").map(String::as_str), Some("AWS::ECS::Service"));
}

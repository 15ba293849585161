//! Values that cfn-lint lets pass, held against what AWS publishes elsewhere: the words of its APIs' models, and tables that
//! cfn-lint brings for other templates than these.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value as Json, json};

use crate::limits::{RETENTIONS, fargate_size};
use crate::parts::{client, linter, python, read_yaml};
use crate::samples::pairwise;
use crate::template::template;

#[test]
fn log_groups_can_be_kept_for_the_days_that_cloudformation_knows_and_no_others() {
    const SCRIPT: &str = "
import glob, json, os, cfnlint
for path in glob.glob(os.path.join(os.path.dirname(cfnlint.__file__), 'data', 'schemas', 'resources', '*.json')):
    schema = json.load(open(path))
    if schema.get('typeName') == 'AWS::Logs::LogGroup':
        print(json.dumps(schema['properties']['RetentionInDays']['enum']))
";
    let known: Vec<u32> = serde_json::from_str(&python(linter("python"), SCRIPT, "")).unwrap();
    assert_eq!(known, RETENTIONS);
}

#[test]
fn fargate_has_the_sizes_that_cfn_lint_knows_and_no_others() {
    const SCRIPT: &str = "
import json, os, sys, cfnlint, jsonschema
folder = os.path.join(os.path.dirname(cfnlint.__file__), 'data', 'schemas', 'extensions')
schema = json.load(open(os.path.join(folder, 'aws_ecs_taskdefinition', 'fargate_cpu_memory.json')))
valid = jsonschema.Draft7Validator(schema).is_valid
task = lambda cpu, memory: {'Cpu': str(cpu), 'Memory': memory, 'RequiresCompatibilities': ['FARGATE']}
print(json.dumps([valid(task(cpu, memory)) for cpu, memory in json.load(sys.stdin)]))
";
    // Half a GiB is the finest step; one size beyond each end.
    let cpus = (7..=16).map(|power| 1_u32 << power);
    let sizes: Vec<(u32, u32)> = cpus.flat_map(|cpu| (0..=512).map(move |step| (cpu, 512 * step))).collect();
    let known: Vec<bool> = serde_json::from_str(&python(linter("python"), SCRIPT, &json!(sizes).to_string())).unwrap();
    let differing: Vec<_> = sizes
        .into_iter()
        .zip(known)
        .filter(|((cpu, memory), is_known)| fargate_size(*cpu, *memory).is_ok() != *is_known)
        .collect();
    assert_eq!(differing, [], "CPU units and MiB, and whether cfn-lint knows them");
}

/// Attributes of balancers and target groups are free words in the schemas: property of the template, shape of the model.
const ATTRIBUTES: [(&str, &str); 2] =
    [("LoadBalancerAttributes", "LoadBalancerAttribute"), ("TargetGroupAttributes", "TargetGroupAttribute")];

/// What the model says of each attribute of a shape, without markup but for its code.
fn attributes(shape: &str) -> BTreeMap<String, String> {
    const SCRIPT: &str = r"
import json, re, sys, botocore.session
model = botocore.session.get_session().get_service_model('elbv2')
said = model.shape_for(sys.stdin.read()).members['Key'].documentation
known = re.split(r'<li>\s*<p>\s*<code>([a-z0-9_]+(?:\.[a-z0-9_]+)+)</code>\s*[-–]', said)[1:]
print(json.dumps(dict(zip(known[::2], known[1::2]))))
";
    serde_json::from_str(&python(client("python"), SCRIPT, shape)).unwrap()
}

/// The range in `The valid range is 1-4000 seconds`.
fn range(said: &str) -> Option<(u32, u32)> {
    let (_, rest) = said.split_once("range is ")?;
    let (low, rest) = rest.split_once('-')?;
    Some((low.parse().ok()?, rest.split(' ').next()?.parse().ok()?))
}

#[test]
fn attributes_of_balancers_and_target_groups_exist_and_can_have_their_values() {
    let texts: Vec<String> = pairwise().iter().map(|place| template(place).unwrap().text).collect();
    let templates = read_yaml(&texts);
    let resources: Vec<&Json> =
        templates.iter().flat_map(|template| template["Resources"].as_object().unwrap().values()).collect();
    for (property, shape) in ATTRIBUTES {
        let known = attributes(shape);
        let set = resources.iter().flat_map(|one| one["Properties"][property].as_array().into_iter().flatten());
        let set: BTreeSet<(&str, &str)> =
            set.map(|one| (one["Key"].as_str().unwrap(), one["Value"].as_str().unwrap())).collect();
        assert!(!set.is_empty());
        for (key, value) in set {
            let said = known.get(key).unwrap_or_else(|| panic!("{shape} has no {key}"));
            match range(said) {
                Some((low, high)) => assert!((low..=high).contains(&value.parse().unwrap()), "{key} = {value}: {said}"),
                None => assert!(said.contains(&format!("<code>{value}</code>")), "{key} = {value}: {said}"),
            }
        }
    }
}

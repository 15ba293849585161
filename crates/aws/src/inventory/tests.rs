//! What an account has, told by whoever overlooks what was asked for: only what bears our label is ours.

use serde_json::json;

use super::*;
use crate::testing::cloud::nothing;
use crate::testing::{Asked, Aws, Reply, ec2, refuse, xml};

/// Three of a kind: without tags, of a place whose name begins alike, and ours.
fn three(list: &str, id: &str) -> String {
    let one = |what: &str, tags: &str| format!("<item><{id}>{what}</{id}><tagSet>{tags}</tagSet></item>");
    let label = |name: &str| format!("<item><key>gimmetime:name</key><value>{name}</value></item>");
    let own = "<item><key>team</key><value>web</value></item>";
    format!("<{list}>{}{}{}</{list}>", one("strange", own), one("other", &label("web-2")), one("ours", &label("web")))
}

/// Balancers and target groups, which have their tags elsewhere.
fn two(action: &str, list: &str, id: &str) -> Reply {
    xml(action, &format!("<{list}><member><{id}>strange</{id}></member><member><{id}>ours</{id}></member></{list}>"))
}

fn account(asked: &Asked) -> Option<Reply> {
    let mut kinds = by_tag::NETWORK.iter().map(by_tag::NetworkKind::spelling);
    if let Some([action, list, id]) = kinds.find(|[action, ..]| *action == asked.action) {
        return Some(ec2(action, &three(list, id)));
    }
    let tagged =
        |name: &str, arn: &str| json!({"ResourceARN": arn, "Tags": [{"Key": "gimmetime:name", "Value": name}]});
    Some(match asked.action.as_str() {
        "DescribeLoadBalancers" => two(&asked.action, "LoadBalancers", "LoadBalancerArn"),
        "DescribeTargetGroups" => two(&asked.action, "TargetGroups", "TargetGroupArn"),
        "DescribeTags" => xml(
            "DescribeTags",
            "<TagDescriptions><member><ResourceArn>strange</ResourceArn><Tags/></member><member><ResourceArn>ours</ResourceArn>\
             <Tags><member><Key>gimmetime:name</Key><Value>web</Value></member></Tags></member></TagDescriptions>",
        ),
        "ListRoles" => xml(
            "ListRoles",
            "<Roles><member><RoleName>web-github-DeployRole-1</RoleName></member><member><RoleName>web-2-TaskRole-1</RoleName>\
             </member><member><RoleName>web-TaskRole-1</RoleName></member></Roles>",
        ),
        "ListRoleTags" if asked.parameter("RoleName").as_deref() == Some("web-TaskRole-1") => {
            xml("ListRoleTags", "<Tags/>")
        }
        "ListRoleTags" => refuse("iam", "AccessDenied", "not of this place"),
        "GetResources" => crate::testing::json(&json!({"ResourceTagMappingList": [
            tagged("web-2", "arn:aws:sns:eu-west-1:1:strange"), tagged("web", "arn:aws:sns:eu-west-1:1:ours"),
        ]})),
        "DescribeLogGroups" => crate::testing::json(&json!({"logGroups": [{"logGroupName": "/gimmetime/web-2"}]})),
        "DescribeResourcePolicies" => crate::testing::json(&if asked.body.contains("nextToken") {
            json!({"resourcePolicies": [{"policyName": "web-event-memory"}]})
        } else {
            json!({"resourcePolicies": [{"policyName": "web-2-event-memory"}], "nextToken": "2"})
        }),
        "DescribeClusters" => crate::testing::json(&json!({"clusters": []})),
        "ListTaskDefinitions" => {
            crate::testing::json(&json!({"taskDefinitionArns": ["arn:x:task-definition/web-2:1"]}))
        }
        "DescribeRepositories" => crate::testing::json(&json!({"repositories": []})),
        _ => return None,
    })
}

#[tokio::test]
async fn only_what_bears_our_label_or_our_name_is_left_whatever_a_filter_lets_through() {
    let aws = Aws::start(nothing().serve(account)).await;
    let found = inventory(&aws.session().await, "web").await.unwrap();
    assert_eq!(found.unsure, Vec::<String>::new());
    let of_network = by_tag::NETWORK.len();
    assert_eq!(found.left.iter().filter(|item| item.id == "ours").count(), of_network + 2, "{:?}", found.left);
    let others: Vec<&str> = found.left.iter().map(|item| item.id.as_str()).filter(|id| *id != "ours").collect();
    assert_eq!(others, ["web-event-memory", "arn:aws:sns:eu-west-1:1:ours"]);
}

#[tokio::test]
async fn an_inventory_that_could_not_look_everywhere_proves_nothing() {
    let aws = Aws::start(nothing().serve(|_| None)).await;
    let found = inventory(&aws.session().await, "web").await.unwrap();
    assert!(found.left.is_empty() && !found.is_proof_of_absence());
    assert!(found.unsure.iter().any(|words| words.starts_with("VPCs: ")), "{:?}", found.unsure);
}

/// What is left of `web` in eu-west-1 where the account has one role, with these tags beside the label.
async fn roles_left(more: &str) -> Vec<Item> {
    let tags = format!("<Tags><member><Key>gimmetime:name</Key><Value>web</Value></member>{more}</Tags>");
    let answer = move |asked: &Asked| match asked.action.as_str() {
        "ListRoles" => {
            Some(xml("ListRoles", "<Roles><member><RoleName>web-ExecutionRole-1</RoleName></member></Roles>"))
        }
        "ListRoleTags" => Some(xml("ListRoleTags", &tags)),
        _ => None,
    };
    let aws = Aws::start(nothing().serve(answer)).await;
    inventory(&aws.session().await, "web").await.unwrap().left
}

#[tokio::test]
async fn a_role_of_the_place_of_that_name_in_another_region_is_not_left_of_this_one() {
    let tag = |key: &str, value: &str| format!("<member><Key>{key}</Key><Value>{value}</Value></member>");
    let stack = |region: &str| {
        tag("aws:cloudformation:stack-id", &format!("arn:aws:cloudformation:{region}:123456789012:stack/web/1"))
    };
    let ours = vec![Item::new("role", "web-ExecutionRole-1")];
    assert_eq!(roles_left(&tag("gimmetime:region", "us-east-1")).await, []);
    assert_eq!(roles_left(&stack("us-east-1")).await, []);
    assert_eq!(roles_left(&tag("gimmetime:region", "eu-west-1")).await, ours);
    assert_eq!(roles_left(&stack("eu-west-1")).await, ours);
    // One that does not say may be ours.
    assert_eq!(roles_left("").await, ours);
}

#[tokio::test]
async fn what_goes_is_not_left_however_its_state_is_spelled() {
    let endpoint = |id: &str, state: &str| {
        let tags = "<tagSet><item><key>gimmetime:name</key><value>web</value></item></tagSet>";
        format!("<item><vpcEndpointId>{id}</vpcEndpointId><state>{state}</state>{tags}</item>")
    };
    let all = [endpoint("vpce-1", "deleted"), endpoint("vpce-2", "Deleting"), endpoint("vpce-3", "Available")];
    let answer = move |asked: &Asked| match asked.action.as_str() {
        "DescribeVpcEndpoints" => {
            Some(ec2(&asked.action, &format!("<vpcEndpointSet>{}</vpcEndpointSet>", all.concat())))
        }
        _ => None,
    };
    let aws = Aws::start(nothing().serve(answer)).await;
    let found = inventory(&aws.session().await, "web").await.unwrap();
    assert_eq!(found.left, [Item::new("VPC endpoint", "vpce-3")]);
}

#[tokio::test]
async fn images_of_all_pages_are_listed_newest_first_and_a_repository_that_is_not_there_holds_none() {
    let image = |digest: &str, pushed: f64| json!({"imageDigest": digest, "imageTags": ["b", "a"], "imageSizeInBytes": 10, "imagePushedAt": pushed});
    let pages = move |asked: &Asked| match (asked.action.as_str(), asked.body.contains("nextToken")) {
        ("DescribeImages", _) if asked.body.contains("missing") => {
            Some(refuse("ecr", "RepositoryNotFoundException", "none"))
        }
        ("DescribeImages", false) => {
            let page = [image("sha256:old", 1.0), json!({"imageSizeInBytes": 1})];
            Some(crate::testing::json(&json!({"imageDetails": page, "nextToken": "2"})))
        }
        ("DescribeImages", true) => Some(crate::testing::json(&json!({"imageDetails": [image("sha256:new", 2.5)]}))),
        _ => None,
    };
    let aws = Aws::start(nothing().serve(pages)).await;
    let session = aws.session().await;
    let found = images(&session, "web").await.unwrap();
    let stored = |digest: &str, millis: i64| StoredImage {
        digest: digest.to_owned(),
        tags: vec!["a".to_owned(), "b".to_owned()],
        bytes: 10,
        pushed: Some(Timestamp::from_nanos(millis * 1_000_000)),
    };
    assert_eq!(found, [stored("sha256:new", 2500), stored("sha256:old", 1000)]);
    assert_eq!(images(&session, "missing").await.unwrap(), []);
}

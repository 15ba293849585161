//! What facts mean, without asking anybody.

use std::collections::BTreeMap;

use super::network::{Subnet, WayOut, Yours};
use super::*;
use crate::inventory::Item;
use crate::samples::default_place;
use crate::spec::Made;
use crate::testing::Aws;

async fn alice() -> Identity {
    let aws = Aws::start(|asked| crate::testing::refuse(&asked.service, "NotInTheScript", &asked.action)).await;
    aws.session().await.identity().clone()
}

fn spec(network: Network) -> PlaceSpec {
    PlaceSpec { name: "web".to_owned(), network, ..default_place() }
}

fn made() -> PlaceSpec {
    spec(Network::Made { mode: Made::Public, zones: 3, cidr: "10.42.0.0/16".to_owned() })
}

fn yours(public_ip: bool) -> PlaceSpec {
    let ids = |ids: [&str; 2]| ids.map(str::to_owned).to_vec();
    spec(Network::Yours {
        vpc: "vpc-1".to_owned(),
        balancer_subnets: ids(["subnet-a", "subnet-b"]),
        task_subnets: ids(["subnet-a", "subnet-c"]),
        public_ip,
    })
}

fn stack(state: &str, tags: &[(&str, &str)]) -> StackView {
    StackView {
        name: "web".to_owned(),
        id: "arn".to_owned(),
        state: StackState::parse(state),
        reason: None,
        tags: tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        outputs: BTreeMap::new(),
        is_protected: false,
        created: None,
        updated: None,
    }
}

fn with_stack(state: &str, tags: &[(&str, &str)]) -> Facts {
    Facts { stack: Some(stack(state, tags)), ..Facts::default() }
}

const OURS: [(&str, &str); 2] = [("gimmetime:name", "web"), ("gimmetime:owner", "alice")];

async fn judged(facts: &Facts, spec: &PlaceSpec) -> Vec<(Severity, String)> {
    let mut found = judge(facts, spec, &alice().await);
    found.sort();
    found.into_iter().map(|finding| (finding.severity, finding.words)).collect()
}

#[track_caller]
fn says(found: &[(Severity, String)], severity: Severity, words: &str) {
    assert!(found.iter().any(|(is, said)| *is == severity && said.contains(words)), "{words} is not in {found:?}");
}

#[tokio::test]
async fn nothing_is_found_where_nothing_is_wrong() {
    assert_eq!(judged(&Facts::default(), &made()).await, []);
    assert_eq!(judged(&with_stack("UPDATE_COMPLETE", &OURS), &made()).await, []);
}

#[tokio::test]
async fn a_colleagues_stack_needs_consent_and_a_strangers_is_refused() {
    let facts = with_stack("UPDATE_COMPLETE", &[("gimmetime:name", "web"), ("gimmetime:owner", "bob")]);
    says(&judged(&facts, &made()).await, Severity::Consent, "made by bob, not by alice");
    let facts = with_stack("UPDATE_COMPLETE", &[("team", "web")]);
    says(&judged(&facts, &made()).await, Severity::Refusal, "not made by gimmetime");
    let facts = with_stack("UPDATE_COMPLETE", &[OURS[0], OURS[1], ("gimmetime:place", "9")]);
    says(&judged(&facts, &made()).await, Severity::Refusal, "made by a newer gimmetime");
}

#[tokio::test]
async fn a_stack_that_is_stuck_says_what_will_be_done() {
    for (state, words) in [
        ("UPDATE_IN_PROGRESS", "this attaches"),
        ("ROLLBACK_COMPLETE", "what is left is removed first"),
        ("DELETE_FAILED", "what is left is removed first"),
        ("REVIEW_IN_PROGRESS", "an empty stack"),
        ("UPDATE_ROLLBACK_FAILED", "its rollback is finished first"),
    ] {
        says(&judged(&with_stack(state, &OURS), &made()).await, Severity::Warning, words);
    }
    says(&judged(&with_stack("NEW_COMPLETE", &OURS), &made()).await, Severity::Refusal, "nothing is known");
}

#[tokio::test]
async fn the_old_scripts_stack_is_told_of_and_never_adopted() {
    let facts = Facts { has_old_stack: true, ..Facts::default() };
    says(&judged(&facts, &made()).await, Severity::Warning, "`engage-infra` of the old scripts");
    let named = PlaceSpec { name: "engage-infra".to_owned(), ..made() };
    let facts = Facts { stack: Some(stack("CREATE_COMPLETE", &[])), has_old_stack: true, ..Facts::default() };
    says(&judged(&facts, &named).await, Severity::Refusal, "not made by gimmetime");
}

#[tokio::test]
async fn leftovers_of_fixed_names_are_refused_and_others_are_told() {
    let items = [
        ("log group", "/gimmetime/web"),
        ("log group", "/aws/ecs/containerinsights/web/performance"),
        ("policy of logs", "web-event-memory"),
        ("cluster", "web"),
        ("repository", "web"),
        ("VPC", "vpc-1"),
    ];
    let leftovers = items.map(|(kind, id)| Item { kind, id: id.to_owned() }).to_vec();
    let found = judged(&Facts { leftovers, ..Facts::default() }, &made()).await;
    assert_eq!(found.iter().filter(|(severity, _)| *severity == Severity::Refusal).count(), 4);
    says(&found, Severity::Warning, "left the VPC vpc-1");
    says(&found, Severity::Warning, "an earlier cluster left the log group /aws/ecs/");
}

#[tokio::test]
async fn quotas_that_are_too_small_are_named_and_unknown_ones_say_nothing() {
    let quota = |used| Quota { service: "vpc", code: "L-F678F1CE", words: "VPCs", limit: 5.0, used, needed: 1.0 };
    let facts = |quota| Facts { quotas: vec![quota], ..Facts::default() };
    says(&judged(&facts(quota(Some(5.0))), &made()).await, Severity::Warning, "the limit is 5, 5 are used, 1 more");
    assert_eq!(judged(&facts(quota(Some(4.0))), &made()).await, []);
    assert_eq!(judged(&facts(quota(None)), &made()).await, []);
    let unknown = Facts { unknown: vec!["the account's quotas: no".to_owned()], ..Facts::default() };
    let found = judged(&unknown, &made()).await;
    assert_eq!(found, [(Severity::Unknown, "could not tell the account's quotas: no".to_owned())]);
    let full = judged(&Facts { log_policies: 10, ..Facts::default() }, &made()).await;
    says(&full, Severity::Warning, "has 10 resource policies here, and takes no more");
    assert_eq!(judged(&Facts { log_policies: 9, ..Facts::default() }, &made()).await, []);
}

#[tokio::test]
async fn a_region_with_fewer_zones_is_refused() {
    let zones = Some(vec!["eu-west-1a".to_owned(), "eu-west-1b".to_owned()]);
    says(&judged(&Facts { zones, ..Facts::default() }, &made()).await, Severity::Refusal, "has 2 zones");
}

#[tokio::test]
async fn a_role_of_yours_must_exist_and_one_that_cannot_be_seen_may() {
    let roles = vec![("arn:aws:iam::1:role/gone".to_owned(), Some(false)), ("arn:aws:iam::1:role/x".to_owned(), None)];
    let found = judged(&Facts { roles, ..Facts::default() }, &made()).await;
    assert_eq!(found, [(Severity::Refusal, "the role arn:aws:iam::1:role/gone does not exist".to_owned())]);
}

fn network(subnets: &[(&str, &str, &str, WayOut)]) -> Facts {
    let subnets = subnets.iter().map(|(id, vpc, zone, way_out)| {
        let subnet = Subnet { vpc: (*vpc).to_owned(), zone: (*zone).to_owned(), way_out: *way_out };
        ((*id).to_owned(), subnet)
    });
    let yours = Yours { vpc: "vpc-1".to_owned(), vpc_exists: true, subnets: subnets.collect() };
    Facts { yours: Some(yours), ..Facts::default() }
}

#[tokio::test]
async fn a_network_of_yours_must_exist_and_lead_where_it_must() {
    let good = network(&[
        ("subnet-a", "vpc-1", "1a", WayOut::Internet),
        ("subnet-b", "vpc-1", "1b", WayOut::Internet),
        ("subnet-c", "vpc-1", "1c", WayOut::Through),
    ]);
    assert_eq!(judged(&good, &yours(true)).await, []);
    says(&judged(&good, &yours(false)).await, Severity::Warning, "tasks in subnet-a get no public address");

    let no_vpc = Facts { yours: Some(Yours { vpc: "vpc-1".to_owned(), ..Yours::default() }), ..Facts::default() };
    says(&judged(&no_vpc, &yours(true)).await, Severity::Refusal, "the VPC vpc-1 does not exist");
    let odd = network(&[("subnet-a", "vpc-2", "1a", WayOut::Internet), ("subnet-b", "vpc-1", "1b", WayOut::None)]);
    let found = judged(&odd, &yours(true)).await;
    says(&found, Severity::Refusal, "subnet-a is in vpc-2");
    says(&found, Severity::Refusal, "the subnet subnet-c does not exist");
    says(&found, Severity::Warning, "subnet-b has no route to an internet gateway");
    let one_zone = network(&[
        ("subnet-a", "vpc-1", "1a", WayOut::Internet),
        ("subnet-b", "vpc-1", "1a", WayOut::Internet),
        ("subnet-c", "vpc-1", "1a", WayOut::None),
    ]);
    let found = judged(&one_zone, &yours(true)).await;
    says(&found, Severity::Refusal, "in 1 zone, and it needs 2");
    says(&found, Severity::Warning, "subnet-c has no route out");
}

//! A whole life of a place against ministack, which makes real records of all of it: plan, make, change, protect, remove,
//! half by hand, and count afterwards. Needs its URL in `GIMMETIME_MINISTACK`.

use std::sync::atomic::{AtomicU32, Ordering};

use aws_credential_types::Credentials;
use aws_types::region::Region;
use serde_json::json;

use crate::error::{AwsError, StackError};
use crate::inventory::{Item, contents, inventory, list};
use crate::preflight::{Severity, preflight};
use crate::query::Service;
use crate::samples::default_place;
use crate::session::{Session, SessionSpec};
use crate::spec::PlaceSpec;
use crate::stack::{
    Action, Change, Ended, PlannedAction, Replacement, StackState, Wanted, apply, destroy, find, plan, resources,
};
use crate::testing::{events, run};

/// A session in an account that nobody used before: ministack takes the access key for it.
async fn session() -> Session {
    static ACCOUNTS: AtomicU32 = AtomicU32::new(0);
    #[expect(clippy::disallowed_methods, reason = "tests find their parts by the environment")]
    let url = std::env::var("GIMMETIME_MINISTACK");
    let url = url.expect("GIMMETIME_MINISTACK is not set: run `cargo xtask test`, which starts ministack");
    let account = format!("4{:04}{:07}", ACCOUNTS.fetch_add(1, Ordering::Relaxed), std::process::id());
    let spec = SessionSpec { account: Some(account.clone()), ..SessionSpec::default() };
    let loader = Session::loader(&spec)
        .region(Region::new("eu-west-1"))
        .endpoint_url(url)
        .credentials_provider(Credentials::from_keys(account, "secret", None));
    Session::open_with(loader, &spec).await.unwrap()
}

/// A small place. Its repository keeps its images from being deleted with it, as a careless template would.
fn template(retention_days: u32, role_path: &str) -> String {
    json!({
        "Resources": {
            "Vpc": {"Type": "AWS::EC2::VPC", "Properties": {"CidrBlock": "10.42.0.0/16"}},
            "Subnet": {"Type": "AWS::EC2::Subnet", "Properties": {"VpcId": {"Ref": "Vpc"}, "CidrBlock": "10.42.0.0/24"}},
            "Repository": {"Type": "AWS::ECR::Repository", "Properties": {"RepositoryName": "web"}},
            "Logs": {"Type": "AWS::Logs::LogGroup", "Properties": {
                "LogGroupName": "/gimmetime/web", "RetentionInDays": retention_days,
            }},
            "Cluster": {"Type": "AWS::ECS::Cluster", "Properties": {"ClusterName": "web"}},
            "TaskRole": {"Type": "AWS::IAM::Role", "Properties": {"Path": role_path, "AssumeRolePolicyDocument": {
                "Version": "2012-10-17",
                "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole",
                    "Principal": {"Service": "ecs-tasks.amazonaws.com"}}],
            }}},
        },
        "Outputs": {"Cluster": {"Value": {"Ref": "Cluster"}}},
    })
    .to_string()
}

fn wanted(retention_days: u32) -> Wanted {
    Wanted { template: template(retention_days, "/"), ..crate::testing::wanted() }
}

fn spec() -> PlaceSpec {
    PlaceSpec { name: "web".to_owned(), ..default_place() }
}

#[track_caller]
fn done<T>(ended: Ended<T>) -> T {
    match ended {
        Ended::Done(done) => done,
        Ended::Detached { state } => panic!("detached in {state}"),
    }
}

async fn make(session: &Session) {
    let made = done(apply(session, &wanted(30), &run().0).await.unwrap());
    assert_eq!(made.change, Change::Created);
}

async fn left(session: &Session) -> Vec<Item> {
    let found = inventory(session, "web").await.unwrap();
    assert_eq!(found.unsure, Vec::<String>::new());
    found.left
}

#[tokio::test]
async fn a_place_is_made_changed_and_removed_and_nothing_is_left() {
    let session = session().await;
    assert_eq!(left(&session).await, []);
    let first = plan(&session, &wanted(30), &run().0).await.unwrap();
    assert_eq!((first.stack, first.action), (None, Action::Create));

    let (run_1, mut receiver) = run();
    let made = done(apply(&session, &wanted(30), &run_1).await.unwrap());
    assert_eq!((made.change, made.outputs["Cluster"].as_str()), (Change::Created, "web"));
    let told = events(&mut receiver);
    assert!(told.iter().any(
        |event| matches!(event, crate::PlaceEvent::Resource(it) if it.is_ready("AWS::ECR::Repository") && it.physical_id.as_deref() == Some("web"))
    ));
    assert!(session.repository_uri("web").await.unwrap().is_some());

    let again = done(apply(&session, &wanted(30), &run().0).await.unwrap());
    assert_eq!((again.change, again.stack_id), (Change::Unchanged, made.stack_id));

    let planned = plan(&session, &wanted(14), &run().0).await.unwrap();
    let changes: Vec<_> = planned.changes.iter().map(|it| (it.logical_id.as_str(), it.action)).collect();
    assert_eq!(changes, [("Logs", PlannedAction::Modify)]);
    let drift = planned.drift.unwrap();
    assert_eq!(drift.drifted, []);
    assert!(0 < drift.checked && drift.checked + drift.not_checked.len() == 6, "{drift:?}");
    assert_eq!(find(&session, "web").await.unwrap().unwrap().state, StackState::CreateComplete);

    let changed = done(apply(&session, &wanted(14), &run().0).await.unwrap());
    assert_eq!(changed.change, Change::Updated);

    let places = list(&session).await.unwrap();
    assert_eq!(
        places.iter().map(|place| (place.name.as_str(), place.owner.as_deref())).collect::<Vec<_>>(),
        [("web", Some("alice"))]
    );
    let found: Vec<&str> = left(&session).await.iter().map(|item| item.kind).collect();
    assert_eq!(found, ["VPC", "cluster", "log group", "repository", "role", "stack", "subnet"]);

    let gone = done(destroy(&session, "web", &run().0).await.unwrap());
    assert_eq!((gone.was_there, gone.resources), (true, 6));
    assert_eq!(left(&session).await, []);
    assert!(!done(destroy(&session, "web", &run().0).await.unwrap()).was_there);
    assert_eq!(list(&session).await.unwrap(), []);
}

#[tokio::test]
async fn the_real_template_is_made_tells_its_outputs_and_leaves_nothing() {
    let session = session().await;
    let template = crate::template::template(&spec()).unwrap();
    let wanted = Wanted::new(&spec(), &template, session.identity());
    let made = done(apply(&session, &wanted, &run().0).await.unwrap());
    let outputs = crate::Outputs::read(&made.outputs).unwrap();
    assert_eq!(outputs.cluster, "web");
    assert_eq!(outputs.subnets.len(), 2);
    assert_eq!(session.repository_uri("web").await.unwrap().as_deref(), Some(outputs.repository_uri.as_str()));
    let again = done(apply(&session, &wanted, &run().0).await.unwrap());
    assert_eq!(again.change, Change::Unchanged);
    assert_eq!(preflight(&session, &spec()).await.unwrap().in_the_way(false).count(), 0);

    let found = left(&session).await;
    for kind in [
        "VPC",
        "balancer",
        "cluster",
        "log group",
        "policy of logs",
        "repository",
        "role",
        "security group",
        "stack",
        "target group",
    ] {
        assert!(found.iter().any(|item| item.kind == kind), "{kind} is not in {found:?}");
    }
    done(destroy(&session, "web", &run().0).await.unwrap());
    assert_eq!(left(&session).await, []);
}

#[tokio::test]
async fn a_protected_place_is_neither_removed_nor_replaced_until_that_is_lifted() {
    let session = session().await;
    let protected = Wanted { protect: true, ..wanted(30) };
    done(apply(&session, &protected, &run().0).await.unwrap());
    let error = destroy(&session, "web", &run().0).await.unwrap_err();
    assert!(matches!(error, AwsError::Stack(StackError::Protected { .. })), "{error}");
    let elsewhere = Wanted { template: template(30, "/elsewhere/"), ..protected };
    let planned = plan(&session, &elsewhere, &run().0).await.unwrap();
    let replaced: Vec<_> = planned.replaced().map(|it| (it.logical_id.as_str(), it.replacement)).collect();
    assert_eq!(replaced, [("TaskRole", Replacement::Yes)]);
    let error = apply(&session, &elsewhere, &run().0).await.unwrap_err();
    assert!(matches!(error, AwsError::Stack(StackError::Kept { .. })), "{error}");
    done(apply(&session, &wanted(30), &run().0).await.unwrap());
    done(destroy(&session, "web", &run().0).await.unwrap());
    assert_eq!(left(&session).await, []);
}

#[tokio::test]
async fn a_repository_with_images_is_emptied() {
    let session = session().await;
    make(&session).await;
    let manifest = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "layers": [],
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "size": 2,
            "digest": "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"},
    });
    let put = session.ecr().put_image().repository_name("web").image_tag("1").image_manifest(manifest.to_string());
    put.send().await.unwrap();
    let held = contents(&session, "web").await.unwrap();
    assert_eq!((held.resources, held.images), (6, 1));
    let gone = done(destroy(&session, "web", &run().0).await.unwrap());
    assert_eq!(gone.images, 1);
    assert_eq!(left(&session).await, []);
}

#[tokio::test]
async fn a_place_that_was_half_removed_by_hand_is_removed_all_the_same() {
    let session = session().await;
    make(&session).await;
    let there = resources(&session, "web").await.unwrap();
    let id = |name: &str| there.iter().find(|it| it.logical_id == name).unwrap().physical_id.clone().unwrap();
    let query = session.query();
    query.form("delete a subnet", Service::Ec2, "DeleteSubnet", &[("SubnetId", &id("Subnet"))]).await.unwrap();
    query.form("delete a role", Service::Iam, "DeleteRole", &[("RoleName", &id("TaskRole"))]).await.unwrap();
    query
        .json("delete logs", Service::Logs, "DeleteLogGroup", &json!({"logGroupName": "/gimmetime/web"}))
        .await
        .unwrap();
    session.ecs().delete_cluster().cluster("web").send().await.unwrap();
    let found: Vec<&str> = left(&session).await.iter().map(|item| item.kind).collect();
    assert_eq!(found, ["VPC", "repository", "stack"]);
    assert!(done(destroy(&session, "web", &run().0).await.unwrap()).was_there);
    assert_eq!(left(&session).await, []);
}

#[tokio::test]
async fn what_outlived_its_stack_is_swept_if_our_label_is_on_it() {
    let session = session().await;
    let label = |name: &str| aws_sdk_ecr::types::Tag::builder().key("gimmetime:name").value(name).build().unwrap();
    let repository = || session.ecr().create_repository().repository_name("web");
    repository().tags(label("another")).send().await.unwrap();
    let logs = json!({"logGroupName": "/gimmetime/web", "tags": {"gimmetime:name": "web"}});
    session.query().json("make logs", Service::Logs, "CreateLogGroup", &logs).await.unwrap();
    let tag = aws_sdk_ecs::types::Tag::builder().key("gimmetime:name").value("web").build();
    session.ecs().create_cluster().cluster_name("web").tags(tag).send().await.unwrap();

    let gone = done(destroy(&session, "web", &run().0).await.unwrap());
    assert_eq!(gone.swept.iter().map(|item| item.kind).collect::<Vec<_>>(), ["cluster", "log group"]);
    assert_eq!(left(&session).await, [Item { kind: "repository", id: "web".to_owned() }]);

    session.ecr().delete_repository().repository_name("web").send().await.unwrap();
    repository().tags(label("web")).send().await.unwrap();
    assert_eq!(done(destroy(&session, "web", &run().0).await.unwrap()).swept.len(), 1);
    assert_eq!(left(&session).await, []);
}

#[tokio::test]
async fn what_lies_in_the_way_is_found_before_anything_is_made() {
    let session = session().await;
    let fresh = preflight(&session, &spec()).await.unwrap();
    assert_eq!((fresh.action, fresh.in_the_way(false).count()), (Action::Create, 0), "{:?}", fresh.findings);
    // An emulator that has no quotas is no reason to stop, and is said once.
    let unknown = fresh.findings.iter().filter(|finding| finding.severity == Severity::Unknown);
    assert_eq!(unknown.count(), 1, "{:?}", fresh.findings);

    session.ecr().create_repository().repository_name("web").send().await.unwrap();
    let found = preflight(&session, &spec()).await.unwrap();
    let in_the_way: Vec<_> = found.in_the_way(true).map(|finding| finding.words.as_str()).collect();
    assert_eq!(in_the_way, ["the repository web exists already, outside any stack of ours"]);
    session.ecr().delete_repository().repository_name("web").send().await.unwrap();

    make(&session).await;
    let found = preflight(&session, &spec()).await.unwrap();
    // Made by alice; this session is its account's root.
    let in_the_way: Vec<_> = found.in_the_way(false).map(|finding| finding.words.as_str()).collect();
    assert_eq!(in_the_way, ["`web` was made by alice, not by root"]);
    assert_eq!((found.action, found.in_the_way(true).count()), (Action::Update, 0));
}

#[tokio::test]
async fn a_stack_that_is_not_ours_is_refused_whoever_insists() {
    let session = session().await;
    let foreign = session.cloudformation().create_stack().stack_name("web").template_body(template(30, "/"));
    foreign.capabilities(aws_sdk_cloudformation::types::Capability::CapabilityIam).send().await.unwrap();
    let found = preflight(&session, &spec()).await.unwrap();
    assert_eq!(found.in_the_way(true).count(), 1, "{:?}", found.findings);
    let error = apply(&session, &wanted(30), &run().0).await.unwrap_err();
    assert!(matches!(error, AwsError::Stack(StackError::Foreign { .. })), "{error}");
    let error = destroy(&session, "web", &run().0).await.unwrap_err();
    assert!(matches!(error, AwsError::Stack(StackError::Foreign { .. })), "{error}");
}

#[tokio::test]
async fn two_people_at_once_end_with_one_stack() {
    let session = session().await;
    let (run_1, run_2) = (run().0, run().0);
    let (template_1, template_2) = (wanted(30), wanted(30));
    let (first, second) = tokio::join!(apply(&session, &template_1, &run_1), apply(&session, &template_2, &run_2));
    let (first, second) = (done(first.unwrap()), done(second.unwrap()));
    assert_eq!(first.stack_id, second.stack_id);
    assert_eq!(list(&session).await.unwrap().len(), 1);
}

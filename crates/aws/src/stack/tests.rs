//! What no emulator does: stuck stacks, failures with and without a cause, throttling, cut networks, expired credentials.

use super::*;
use crate::error::{AwsError, StackError};
use crate::event::{Doing, Progress};
use crate::testing::cloud::{Cloud, change, look, nothing, stack, stack_event};
use crate::testing::{Asked, Aws, Reply, ec2, events, interrupted_run, json, refuse, run, wanted, xml};

const CLUSTER: &str = "AWS::ECS::Cluster";
const SUBNET: &str = "AWS::EC2::Subnet";
const REPOSITORY: &str = "AWS::ECR::Repository";

async fn serve(cloud: Cloud) -> Aws {
    Aws::start(cloud.serve(|_| None)).await
}

fn created() -> Vec<Look> {
    vec![
        look(
            "CREATE_IN_PROGRESS",
            &[
                stack_event("CREATE_IN_PROGRESS"),
                ("Repository", REPOSITORY, "CREATE_IN_PROGRESS", ""),
                ("Repository", REPOSITORY, "CREATE_IN_PROGRESS", "Resource creation Initiated"),
            ],
        ),
        look("CREATE_IN_PROGRESS", &[("Repository", REPOSITORY, "CREATE_COMPLETE", "")]),
        look("CREATE_COMPLETE", &[stack_event("CREATE_COMPLETE")]),
    ]
}

use crate::testing::cloud::Look;

/// A first try that fails: the cause is the earliest failure, after it only consequences.
fn failed_create(reason: &'static str) -> Vec<Look> {
    vec![
        look(
            "CREATE_IN_PROGRESS",
            &[stack_event("CREATE_IN_PROGRESS"), ("Cluster", CLUSTER, "CREATE_IN_PROGRESS", "")],
        ),
        look(
            "ROLLBACK_IN_PROGRESS",
            &[
                ("Subnet", SUBNET, "CREATE_FAILED", "Resource creation cancelled"),
                ("Cluster", CLUSTER, "CREATE_FAILED", reason),
                ("Repository", REPOSITORY, "CREATE_FAILED", "something later"),
                stack_event("ROLLBACK_IN_PROGRESS"),
            ],
        ),
        look("ROLLBACK_COMPLETE", &[stack_event("ROLLBACK_COMPLETE")]),
    ]
}

fn deleted() -> Vec<Look> {
    vec![
        look("DELETE_IN_PROGRESS", &[stack_event("DELETE_IN_PROGRESS"), ("Subnet", SUBNET, "DELETE_IN_PROGRESS", "")]),
        look("DELETE_COMPLETE", &[("Subnet", SUBNET, "DELETE_COMPLETE", ""), stack_event("DELETE_COMPLETE")]),
    ]
}

fn updated() -> Vec<Look> {
    vec![
        look("UPDATE_IN_PROGRESS", &[stack_event("UPDATE_IN_PROGRESS"), ("Subnet", SUBNET, "UPDATE_IN_PROGRESS", "")]),
        look("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", &[("Subnet", SUBNET, "UPDATE_COMPLETE", "")]),
        look("UPDATE_COMPLETE", &[stack_event("UPDATE_COMPLETE")]),
    ]
}

fn done<T>(ended: Ended<T>) -> T {
    match ended {
        Ended::Done(done) => done,
        Ended::Detached { state } => panic!("detached in {state}"),
    }
}

fn failure(error: AwsError) -> Failure {
    match error {
        AwsError::Stack(StackError::Failed(failure)) => *failure,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_stack_is_made_with_its_tags_and_every_resource_is_told_once() {
    let aws = serve(nothing().then("CreateStack", created())).await;
    let (run, mut receiver) = run();
    let applied = done(apply(&aws.session().await, &wanted(), &run).await.unwrap());
    assert_eq!(applied.change, Change::Created);
    assert_eq!(applied.outputs["Cluster"], "web");
    let told = events(&mut receiver);
    let repository: Vec<_> = told
        .iter()
        .filter_map(|event| match event {
            PlaceEvent::Resource(resource) if resource.kind == REPOSITORY => {
                Some((resource.doing, resource.progress.clone()))
            }
            _ => None,
        })
        .collect();
    assert_eq!(repository, [(Doing::Create, Progress::Started), (Doing::Create, Progress::Done)]);
    assert!(told.iter().any(|event| matches!(event, PlaceEvent::Resource(it) if it.is_ready(REPOSITORY))));
    let call = &aws.calls("CreateStack")[0];
    let tags: Vec<String> = (1..=4).filter_map(|n| call.parameter(&format!("Tags.member.{n}.Key"))).collect();
    assert_eq!(tags, ["gimmetime:name", "gimmetime:owner", "gimmetime:place", "team"]);
    assert!(call.parameter("ClientRequestToken").is_some_and(|token| token.starts_with("gimmetime-")));
    assert_eq!(call.parameter("Capabilities.member.2").as_deref(), Some("CAPABILITY_NAMED_IAM"));
}

#[tokio::test]
async fn a_first_try_that_fails_tells_the_earliest_cause_and_not_its_consequences() {
    let reason = "User: arn:aws:iam::1:user/a is not authorized to perform: ecs:CreateCluster on resource: arn:aws:ecs:x \
         Encoded authorization failure message: 4rSXuL0q";
    let aws = serve(nothing().then("CreateStack", failed_create(reason))).await;
    let (run, mut receiver) = run();
    let failure = failure(apply(&aws.session().await, &wanted(), &run).await.unwrap_err());
    let cause = failure.cause.as_ref().unwrap();
    assert_eq!((cause.logical_id.as_str(), cause.kind.as_str()), ("Cluster", CLUSTER));
    assert_eq!(failure.others.iter().map(|it| it.logical_id.as_str()).collect::<Vec<_>>(), ["Repository"]);
    assert_eq!(failure.state, StackState::RollbackComplete);
    let text = failure.to_string();
    assert!(text.contains(r#""Action":"ecs:CreateCluster""#), "{text}");
    assert!(text.contains("removed again") && !text.contains("4rSX"), "{text}");
    let rolling = events(&mut receiver).into_iter().filter(|event| matches!(event, PlaceEvent::RollingBack { .. }));
    assert_eq!(rolling.count(), 1);
    assert_eq!(aws.count("CreateStack"), 1);
}

#[tokio::test]
async fn a_fresh_account_whose_service_role_is_seconds_old_gets_a_second_try() {
    let reason = "Invalid request provided: CreateCluster Invalid Request: Unable to assume the service linked role. \
                  Please verify that the ECS service linked role exists.";
    let cloud = nothing()
        .then("CreateStack", failed_create(reason))
        .then("DeleteStack", deleted())
        .then("CreateStack", created());
    let aws = serve(cloud).await;
    let (run, mut receiver) = run();
    let applied = done(apply(&aws.session().await, &wanted(), &run).await.unwrap());
    assert_eq!(applied.change, Change::Created);
    assert_eq!((aws.count("CreateStack"), aws.count("DeleteStack")), (2, 1));
    assert!(events(&mut receiver).iter().any(|event| matches!(event, PlaceEvent::Retrying { .. })));
}

#[tokio::test]
async fn a_second_failure_of_that_kind_is_told() {
    let reason = "Unable to assume the service linked role";
    let cloud = nothing()
        .then("CreateStack", failed_create(reason))
        .then("DeleteStack", deleted())
        .then("CreateStack", failed_create(reason));
    let aws = serve(cloud).await;
    let failure = failure(apply(&aws.session().await, &wanted(), &run().0).await.unwrap_err());
    assert_eq!(failure.cause.unwrap().reason, reason);
    assert_eq!(aws.count("CreateStack"), 2);
}

#[tokio::test]
async fn missing_service_roles_are_made_before_the_stack_and_existing_ones_are_not() {
    let cloud = nothing().then("CreateStack", created());
    let roles = |asked: &Asked| match (asked.action.as_str(), asked.parameter("RoleName").as_deref()) {
        // That of NAT gateways is EC2's to make, where a place has one.
        ("GetRole", Some("AWSServiceRoleForECS" | "AWSServiceRoleForNATGateway")) => {
            Some(refuse("iam", "NoSuchEntity", "no such role"))
        }
        ("CreateServiceLinkedRole", _) => Some(xml("CreateServiceLinkedRole", "<Role/>")),
        _ => None,
    };
    let aws = Aws::start(cloud.serve(roles)).await;
    let (run, mut receiver) = run();
    done(apply(&aws.session().await, &wanted(), &run).await.unwrap());
    let made = aws.calls("CreateServiceLinkedRole");
    assert_eq!(made.len(), 1);
    assert_eq!(made[0].parameter("AWSServiceName").as_deref(), Some("ecs.amazonaws.com"));
    assert!(events(&mut receiver).contains(&PlaceEvent::ServiceRoleMade { service: "ecs.amazonaws.com".to_owned() }));
    let order = aws.actions();
    let at = |action: &str| order.iter().position(|asked| asked == action).unwrap();
    assert!(at("CreateServiceLinkedRole") < at("CreateStack"));
}

#[tokio::test]
async fn whoever_may_not_make_service_roles_may_still_be_lucky() {
    let cloud = nothing().then("CreateStack", created());
    let roles = |asked: &Asked| (asked.service == "iam").then(|| refuse("iam", "AccessDenied", "no"));
    let aws = Aws::start(cloud.serve(roles)).await;
    done(apply(&aws.session().await, &wanted(), &run().0).await.unwrap());
}

#[tokio::test]
async fn nothing_is_changed_where_nothing_differs() {
    let aws = serve(stack("UPDATE_ROLLBACK_COMPLETE").changes(&[])).await;
    let applied = done(apply(&aws.session().await, &wanted(), &run().0).await.unwrap());
    assert_eq!(applied.change, Change::Unchanged);
    assert_eq!(applied.outputs["Cluster"], "web");
    assert_eq!(aws.count("ExecuteChangeSet"), 0);
    assert_eq!(aws.count("DeleteChangeSet"), 1);
}

#[tokio::test]
async fn the_tasks_of_a_subnet_that_goes_are_not_waited_for_by_those_who_move_them() {
    let cleaning = || look("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", &[("Subnet", SUBNET, "DELETE_IN_PROGRESS", "")]);
    let begun = look("UPDATE_IN_PROGRESS", &[stack_event("UPDATE_IN_PROGRESS")]);
    let cloud = stack("CREATE_COMPLETE").changes(&[&change("Remove", "Subnet", SUBNET, "")]);
    let aws = serve(cloud.then("ExecuteChangeSet", vec![begun, cleaning()])).await;
    let applied = done(apply(&aws.session().await, &wanted(), &run().0).await.unwrap());
    assert_eq!(applied.change, Change::Updated);

    // The same command again, after it was interrupted there.
    let mut cloud = stack("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS").underway(vec![cleaning()]);
    cloud.tags.push(("team".to_owned(), "time".to_owned()));
    let text = |asked: &Asked| {
        let body = format!("<TemplateBody>{}</TemplateBody>", wanted().template);
        (asked.action == "GetTemplate").then(|| xml("GetTemplate", &body))
    };
    let aws = Aws::start(cloud.serve(text)).await;
    let applied = done(apply(&aws.session().await, &wanted(), &run().0).await.unwrap());
    assert_eq!((applied.change, aws.count("CreateChangeSet")), (Change::Unchanged, 0));
}

#[tokio::test]
async fn an_update_keeps_the_owner() {
    let modify = change("Modify", "Subnet", SUBNET, "False");
    let cloud = stack("CREATE_COMPLETE").changes(&[&modify]).then("ExecuteChangeSet", updated());
    let aws = serve(cloud).await;
    let bob = Wanted { owner: "bob".to_owned(), ..wanted() };
    let applied = done(apply(&aws.session().await, &bob, &run().0).await.unwrap());
    assert_eq!(applied.change, Change::Updated);
    let call = &aws.calls("CreateChangeSet")[0];
    assert_eq!(call.parameter("Tags.member.2.Value").as_deref(), Some("alice"));
}

#[tokio::test]
async fn an_old_state_that_is_still_told_is_not_taken_for_the_end() {
    let modify = change("Modify", "Subnet", SUBNET, "False");
    let mut course = vec![look("CREATE_COMPLETE", &[]), look("CREATE_COMPLETE", &[])];
    course.extend(updated());
    let aws = serve(stack("CREATE_COMPLETE").changes(&[&modify]).then("ExecuteChangeSet", course)).await;
    let (run, mut receiver) = run();
    done(apply(&aws.session().await, &wanted(), &run).await.unwrap());
    let is_done = |event: &PlaceEvent| matches!(event, PlaceEvent::Resource(it) if it.progress == Progress::Done);
    assert!(events(&mut receiver).iter().any(is_done));
}

#[tokio::test]
async fn a_failed_update_says_that_everything_is_as_before() {
    let modify = change("Modify", "Cluster", CLUSTER, "False");
    let course = vec![
        look("UPDATE_IN_PROGRESS", &[stack_event("UPDATE_IN_PROGRESS")]),
        look(
            "UPDATE_ROLLBACK_IN_PROGRESS",
            &[
                ("Cluster", CLUSTER, "UPDATE_FAILED", "Invalid capacity provider"),
                stack_event("UPDATE_ROLLBACK_IN_PROGRESS"),
            ],
        ),
        look(
            "UPDATE_ROLLBACK_COMPLETE",
            &[("Cluster", CLUSTER, "UPDATE_COMPLETE", ""), stack_event("UPDATE_ROLLBACK_COMPLETE")],
        ),
    ];
    let aws = serve(stack("CREATE_COMPLETE").changes(&[&modify]).then("ExecuteChangeSet", course)).await;
    let failure = failure(apply(&aws.session().await, &wanted(), &run().0).await.unwrap_err());
    assert_eq!(failure.cause.as_ref().unwrap().reason, "Invalid capacity provider");
    assert!(failure.to_string().contains("everything is as it was before"), "{failure}");
}

#[tokio::test]
async fn an_update_that_failed_because_a_role_is_seconds_old_is_made_once_more() {
    let modify = change("Add", "Rule", "AWS::Events::Rule", "");
    let reason = "User: x is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::1:role/web-Role";
    let course = vec![
        look("UPDATE_IN_PROGRESS", &[stack_event("UPDATE_IN_PROGRESS")]),
        look(
            "UPDATE_ROLLBACK_COMPLETE",
            &[
                ("Rule", "AWS::Events::Rule", "CREATE_FAILED", reason),
                stack_event("UPDATE_ROLLBACK_IN_PROGRESS"),
                stack_event("UPDATE_ROLLBACK_COMPLETE"),
            ],
        ),
    ];
    let cloud = stack("CREATE_COMPLETE")
        .changes(&[&modify])
        .changes(&[&modify])
        .then("ExecuteChangeSet", course)
        .then("ExecuteChangeSet", updated());
    let aws = serve(cloud).await;
    assert_eq!(done(apply(&aws.session().await, &wanted(), &run().0).await.unwrap()).change, Change::Updated);
    assert_eq!(aws.count("ExecuteChangeSet"), 2);
}

#[tokio::test]
async fn what_is_wrong_before_anything_is_made_is_found_in_the_other_list() {
    let course = vec![
        look("CREATE_IN_PROGRESS", &[stack_event("CREATE_IN_PROGRESS")]),
        look("ROLLBACK_COMPLETE", &[stack_event("CREATE_FAILED"), stack_event("ROLLBACK_COMPLETE")]),
    ];
    let event = |operation: &str, id: &str, reason: &str| {
        format!(
            "<member><EventId>{id}</EventId><OperationId>{operation}</OperationId><EventType>VALIDATION_ERROR</EventType>\
             <LogicalResourceId>{id}</LogicalResourceId><ResourceType>AWS::Logs::LogGroup</ResourceType>\
             <ValidationStatusReason>{reason}</ValidationStatusReason></member>"
        )
    };
    let events = event("2", "Later", "second")
        + &event("2", "Logs", "'/gimmetime/web' already exists")
        + &event("1", "Old", "old");
    let aws = Aws::start(nothing().then("CreateStack", course).serve(move |asked| {
        let list = || xml("DescribeEvents", &format!("<OperationEvents>{events}</OperationEvents>"));
        (asked.action == "DescribeEvents").then(list)
    }))
    .await;
    let failure = failure(apply(&aws.session().await, &wanted(), &run().0).await.unwrap_err());
    assert_eq!(failure.cause.as_ref().unwrap().logical_id, "Logs");
    assert_eq!(failure.others.len(), 1);
    assert!(failure.to_string().contains("choose another --name"), "{failure}");
}

#[tokio::test]
async fn what_an_earlier_try_left_is_removed_and_made_anew() {
    for state in ["ROLLBACK_COMPLETE", "CREATE_FAILED", "ROLLBACK_FAILED", "DELETE_FAILED", "REVIEW_IN_PROGRESS"] {
        let aws = serve(stack(state).then("DeleteStack", deleted()).then("CreateStack", created())).await;
        let applied = done(apply(&aws.session().await, &wanted(), &run().0).await.unwrap());
        assert_eq!(applied.change, Change::Created, "{state}");
    }
}

#[tokio::test]
async fn a_stuck_rollback_is_finished_then_the_update_is_made() {
    let modify = change("Modify", "Subnet", SUBNET, "False");
    let course = vec![
        look("UPDATE_ROLLBACK_IN_PROGRESS", &[stack_event("UPDATE_ROLLBACK_IN_PROGRESS")]),
        look("UPDATE_ROLLBACK_COMPLETE", &[stack_event("UPDATE_ROLLBACK_COMPLETE")]),
    ];
    let cloud = stack("UPDATE_ROLLBACK_FAILED")
        .then("ContinueUpdateRollback", course)
        .changes(&[&modify])
        .then("ExecuteChangeSet", updated());
    let aws = serve(cloud).await;
    let applied = done(apply(&aws.session().await, &wanted(), &run().0).await.unwrap());
    assert_eq!(applied.change, Change::Updated);
}

#[tokio::test]
async fn a_rollback_that_stays_stuck_names_the_resource_to_give_up() {
    let course = vec![
        look("UPDATE_ROLLBACK_IN_PROGRESS", &[stack_event("UPDATE_ROLLBACK_IN_PROGRESS")]),
        look(
            "UPDATE_ROLLBACK_FAILED",
            &[
                ("Cluster", CLUSTER, "UPDATE_FAILED", "The cluster was deleted by hand"),
                stack_event("UPDATE_ROLLBACK_FAILED"),
            ],
        ),
    ];
    let earlier = [stack_event("UPDATE_IN_PROGRESS"), ("Subnet", SUBNET, "UPDATE_FAILED", "another story")];
    let cloud = stack("UPDATE_ROLLBACK_FAILED").before(&earlier).then("ContinueUpdateRollback", course);
    let aws = serve(cloud).await;
    let failure = failure(apply(&aws.session().await, &wanted(), &run().0).await.unwrap_err());
    assert!(failure.to_string().contains("--resources-to-skip Cluster"), "{failure}");
    assert_eq!(failure.others, []);
    assert_eq!(aws.count("ContinueUpdateRollback"), 1);
}

#[tokio::test]
async fn a_state_that_nobody_knows_is_left_alone() {
    for state in ["IMPORT_ROLLBACK_FAILED", "INVENTED_COMPLETE"] {
        let aws = serve(stack(state)).await;
        assert_eq!(failure(apply(&aws.session().await, &wanted(), &run().0).await.unwrap_err()).state.word(), state);
        assert_eq!(aws.actions(), ["DescribeStacks"]);
    }
}

#[tokio::test]
async fn what_is_in_progress_is_attached_to_and_then_compared() {
    let cloud = stack("CREATE_IN_PROGRESS").underway(created()).changes(&[]);
    let aws = serve(cloud).await;
    let (run, mut receiver) = run();
    let applied = done(apply(&aws.session().await, &wanted(), &run).await.unwrap());
    assert_eq!(applied.change, Change::Created);
    assert_eq!(aws.count("CreateStack"), 0);
    let told = events(&mut receiver);
    assert_eq!(told[0], PlaceEvent::Attached { state: StackState::CreateInProgress });
    assert!(told.iter().any(|event| matches!(event, PlaceEvent::Resource(it) if it.is_ready(REPOSITORY))));
}

#[tokio::test]
async fn somebody_who_was_a_moment_earlier_is_attached_to() {
    for (code, words) in [
        ("ValidationError", "Stack:arn is in UPDATE_IN_PROGRESS state and can not be updated."),
        ("InvalidChangeSetStatus", "ChangeSet [x] cannot be executed in its current execution status of [OBSOLETE]"),
        ("ChangeSetNotFound", "ChangeSet [x] does not exist"),
    ] {
        let modify = change("Modify", "Subnet", SUBNET, "False");
        let cloud = stack("UPDATE_COMPLETE").changes(&[&modify]).changes(&[]);
        let aws = serve(cloud.then("ExecuteChangeSet", updated())).await;
        aws.fail("ExecuteChangeSet", [refuse("cloudformation", code, words)]);
        let applied = done(apply(&aws.session().await, &wanted(), &run().0).await.unwrap());
        assert_eq!(applied.change, Change::Unchanged, "{code}");
    }
}

#[tokio::test]
async fn an_interrupted_run_leaves_the_stack_to_itself() {
    let cloud = stack("UPDATE_IN_PROGRESS").underway(vec![look("UPDATE_IN_PROGRESS", &[])]);
    let aws = serve(cloud).await;
    let ended = apply(&aws.session().await, &wanted(), &interrupted_run()).await.unwrap();
    assert_eq!(ended, Ended::Detached { state: StackState::UpdateInProgress });
    assert!(!aws.actions().iter().any(|action| action.starts_with("Cancel") || action.starts_with("Delete")));
}

#[tokio::test]
async fn who_detached_beforehand_gets_the_change_begun() {
    let modify = change("Modify", "Subnet", SUBNET, "False");
    let aws = serve(stack("UPDATE_COMPLETE").changes(&[&modify]).then("ExecuteChangeSet", updated())).await;
    aws.fail("DescribeChangeSet", [xml("DescribeChangeSet", "<Status>CREATE_IN_PROGRESS</Status><Changes/>")]);
    let ended = apply(&aws.session().await, &wanted(), &interrupted_run()).await.unwrap();
    assert_eq!(ended, Ended::Detached { state: StackState::UpdateInProgress });
    assert_eq!(aws.count("ExecuteChangeSet"), 1);
}

#[tokio::test]
async fn throttling_and_a_cut_network_are_outlived() {
    let aws = serve(nothing().then("CreateStack", created())).await;
    let session = aws.session().await;
    let throttled = refuse("cloudformation", "Throttling", "Rate exceeded");
    aws.fail("DescribeStackEvents", vec![throttled; 4].into_iter().chain(vec![Reply::Cut; 7]));
    let (run, mut receiver) = run();
    let applied = done(apply(&session, &wanted(), &run).await.unwrap());
    assert_eq!(applied.change, Change::Created);
    // Once for the whole time, not once a look.
    let unanswered = events(&mut receiver).into_iter().filter(|event| matches!(event, PlaceEvent::Unanswered { .. }));
    assert_eq!(unanswered.count(), 1);
}

#[tokio::test]
async fn a_network_that_stays_cut_ends_with_the_patience_and_says_that_it_goes_on() {
    let aws = serve(nothing().then("CreateStack", vec![look("CREATE_IN_PROGRESS", &[])])).await;
    aws.fail("DescribeStackEvents", vec![Reply::Cut; 10_000]);
    let (mut run, _receiver) = run();
    run.pace.patience = Duration::ZERO;
    let error = apply(&aws.session().await, &wanted(), &run).await.unwrap_err();
    assert!(matches!(&error, AwsError::Stack(StackError::LostSight { .. })), "{error}");
    assert!(error.to_string().contains("it goes on without us"), "{error}");
}

#[tokio::test]
async fn a_stack_that_takes_too_long_is_left_to_itself() {
    let aws =
        serve(nothing().then("CreateStack", vec![look("CREATE_IN_PROGRESS", &[stack_event("CREATE_IN_PROGRESS")])]))
            .await;
    let (mut run, _receiver) = run();
    run.pace.patience = Duration::ZERO;
    let error = apply(&aws.session().await, &wanted(), &run).await.unwrap_err();
    assert!(matches!(&error, AwsError::Stack(StackError::StillBusy { .. })), "{error}");
}

#[tokio::test]
async fn credentials_that_expire_in_mid_wait_say_how_to_come_back() {
    let aws = serve(nothing().then("CreateStack", created())).await;
    let session = aws.session().await;
    aws.fail("DescribeStackEvents", [refuse("cloudformation", "ExpiredToken", "The security token is expired")]);
    let error = apply(&session, &wanted(), &run().0).await.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, AwsError::Stack(StackError::LostSight { .. })), "{text}");
    assert!(text.contains("it goes on without us") && text.contains("attaches"), "{text}");
}

#[tokio::test]
async fn a_denied_action_is_named_with_the_statement_to_add() {
    let aws = serve(nothing()).await;
    let words = "User: arn:aws:iam::123456789012:user/alice is not authorized to perform: cloudformation:CreateStack on \
                 resource: arn:aws:cloudformation:eu-west-1:123456789012:stack/web/*";
    aws.fail("CreateStack", [refuse("cloudformation", "AccessDenied", words)]);
    let error = apply(&aws.session().await, &wanted(), &run().0).await.unwrap_err();
    assert!(matches!(error, AwsError::Denied(_)), "{error}");
    assert!(error.to_string().contains(r#""Action":"cloudformation:CreateStack""#), "{error}");
}

#[tokio::test]
async fn a_stack_of_somebody_else_or_of_a_newer_program_is_not_touched() {
    let mut foreign = stack("CREATE_COMPLETE");
    foreign.tags.clear();
    let mut newer = stack("CREATE_COMPLETE");
    newer.tags[2].1 = "7".to_owned();
    for (cloud, word) in [(foreign, "not made by gimmetime"), (newer, "made by a newer gimmetime (place 7")] {
        let aws = serve(cloud).await;
        let session = aws.session().await;
        let run = run().0;
        for error in [
            apply(&session, &wanted(), &run).await.unwrap_err(),
            destroy(&session, "web", &run).await.unwrap_err(),
            plan(&session, &wanted(), &run).await.unwrap_err(),
        ] {
            assert!(error.to_string().contains(word), "{error}");
        }
        assert!(aws.actions().iter().all(|action| action == "DescribeStacks"), "{:?}", aws.actions());
    }
}

#[tokio::test]
async fn a_protected_stack_refuses_replacements_and_removal_until_that_is_lifted() {
    let replace = change("Modify", "Balancer", "AWS::ElasticLoadBalancingV2::LoadBalancer", "True");
    let protected = || {
        let mut cloud = stack("CREATE_COMPLETE").changes(&[&replace]).then("ExecuteChangeSet", updated());
        cloud.is_protected = true;
        cloud
    };
    let aws = serve(protected()).await;
    let session = aws.session().await;
    let wanted = Wanted { protect: true, ..wanted() };
    let error = apply(&session, &wanted, &run().0).await.unwrap_err();
    assert!(error.to_string().contains("REPLACE Balancer"), "{error}");
    assert_eq!((aws.count("ExecuteChangeSet"), aws.count("DeleteChangeSet")), (0, 1));
    let error = destroy(&session, "web", &run().0).await.unwrap_err();
    assert!(matches!(error, AwsError::Stack(StackError::Protected { .. })), "{error}");
    assert_eq!(aws.count("DeleteStack"), 0);

    let aws = serve(protected()).await;
    let lifted = Wanted { protect: false, ..wanted };
    done(apply(&aws.session().await, &lifted, &run().0).await.unwrap());
    assert_eq!(aws.count("UpdateTerminationProtection"), 1);
}

#[tokio::test]
async fn a_protected_stack_refuses_what_may_be_replaced_and_says_that_it_is_only_possible() {
    let listener = change("Modify", "Listener", "AWS::ElasticLoadBalancingV2::Listener", "Conditional");
    let balancer = change("Modify", "Balancer", "AWS::ElasticLoadBalancingV2::LoadBalancer", "True");
    let (both, added) = (balancer + &listener, change("Add", "PublicSubnetC", SUBNET, ""));
    let protect = Wanted { protect: true, ..wanted() };
    for (changes, words) in [
        (
            &listener,
            "may REPLACE Listener (AWS::ElasticLoadBalancingV2::Listener): only possible, AWS decides on the way",
        ),
        (&both, "would REPLACE Balancer (AWS::ElasticLoadBalancingV2::LoadBalancer), and may replace Listener"),
    ] {
        let mut cloud = stack("CREATE_COMPLETE").changes(&[changes]).then("ExecuteChangeSet", updated());
        cloud.is_protected = true;
        let aws = serve(cloud).await;
        let error = apply(&aws.session().await, &protect, &run().0).await.unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
        assert!(
            error.ends_with(
                "hint: set `protect = false` in gimmetime.toml for this one `gimmetime up`, if that may happen"
            ),
            "{error}"
        );
        assert_eq!((aws.count("ExecuteChangeSet"), aws.count("DeleteChangeSet")), (0, 1));
    }
    // What replaces nothing is made, and so is what may in a stack that is not protected, or no longer shall be.
    for (changes, is_protected, wanted) in
        [(&added, true, &protect), (&listener, false, &protect), (&listener, true, &wanted())]
    {
        let mut cloud = stack("CREATE_COMPLETE").changes(&[changes]).then("ExecuteChangeSet", updated());
        cloud.is_protected = is_protected;
        let aws = serve(cloud).await;
        assert_eq!(done(apply(&aws.session().await, wanted, &run().0).await.unwrap()).change, Change::Updated);
    }
}

#[tokio::test]
async fn a_plan_is_read_page_by_page_and_leaves_no_change_set() {
    let pages = [
        change("Modify", "Vpc", "AWS::EC2::VPC", "True") + &change("Add", "Endpoint", "AWS::EC2::VPCEndpoint", ""),
        change("Remove", "Nat", "AWS::EC2::NatGateway", "") + &change("Modify", "Subnet", SUBNET, "Conditional"),
    ];
    let aws = serve(stack("UPDATE_COMPLETE").changes(&[&pages[0], &pages[1]])).await;
    let plan = plan(&aws.session().await, &wanted(), &run().0).await.unwrap();
    let changes: Vec<_> =
        plan.changes.iter().map(|change| (change.logical_id.as_str(), change.action, change.replacement)).collect();
    assert_eq!(
        changes,
        [
            ("Vpc", PlannedAction::Modify, Replacement::Yes),
            ("Endpoint", PlannedAction::Add, Replacement::No),
            ("Nat", PlannedAction::Remove, Replacement::No),
            ("Subnet", PlannedAction::Modify, Replacement::Maybe),
        ]
    );
    assert_eq!(plan.changes[0].properties, ["Description"]);
    assert_eq!(plan.replaced().count(), 2);
    // The script knows no drift detection: a plan without it is still a plan.
    assert_eq!(plan.drift, None);
    assert_eq!((aws.count("DeleteChangeSet"), aws.count("ExecuteChangeSet")), (1, 0));
}

#[tokio::test]
async fn a_first_plan_only_reads() {
    let aws = serve(nothing()).await;
    let plan = plan(&aws.session().await, &wanted(), &run().0).await.unwrap();
    assert_eq!((plan.action, plan.has_changes()), (Action::Create, true));
    assert_eq!(aws.actions(), ["DescribeStacks"]);
}

#[tokio::test]
async fn a_change_set_that_cloudformation_refuses_is_told_in_its_words_and_forgotten() {
    let aws = serve(stack("UPDATE_COMPLETE")).await;
    aws.fail(
        "DescribeChangeSet",
        [xml(
            "DescribeChangeSet",
            "<Status>FAILED</Status><StatusReason>Template error: unresolved Ref</StatusReason><Changes/>",
        )],
    );
    let error = plan(&aws.session().await, &wanted(), &run().0).await.unwrap_err();
    assert!(error.to_string().contains("unresolved Ref"), "{error}");
    assert_eq!(aws.count("DeleteChangeSet"), 1);
}

#[tokio::test]
async fn drift_tells_what_differs_and_what_could_not_be_compared() {
    let mut cloud = stack("UPDATE_COMPLETE").changes(&[]);
    cloud.resources = ["Logs", "Vpc", "Role"]
        .iter()
        .map(|id| {
            format!(
                "<member><LogicalResourceId>{id}</LogicalResourceId><PhysicalResourceId>p</PhysicalResourceId>\
                 <ResourceType>T</ResourceType><ResourceStatus>CREATE_COMPLETE</ResourceStatus></member>"
            )
        })
        .collect::<Vec<String>>()
        .concat();
    let mut looks = 0;
    let aws = Aws::start(cloud.serve(move |asked| match asked.action.as_str() {
        "DetectStackDrift" => Some(xml("DetectStackDrift", "<StackDriftDetectionId>1</StackDriftDetectionId>")),
        "DescribeStackDriftDetectionStatus" => {
            looks += 1;
            let status = if looks == 1 { "DETECTION_IN_PROGRESS" } else { "DETECTION_COMPLETE" };
            Some(xml(
                "DescribeStackDriftDetectionStatus",
                &format!("<StackId>s</StackId><StackDriftDetectionId>1</StackDriftDetectionId><DetectionStatus>{status}</DetectionStatus><Timestamp>2026-11-26T10:00:00Z</Timestamp>"),
            ))
        }
        "DescribeStackResourceDrifts" => Some(xml(
            "DescribeStackResourceDrifts",
            "<StackResourceDrifts><member><StackId>s</StackId><LogicalResourceId>Logs</LogicalResourceId><ResourceType>T</ResourceType>\
             <StackResourceDriftStatus>MODIFIED</StackResourceDriftStatus><PropertyDifferences><member><PropertyPath>/RetentionInDays</PropertyPath>\
             <ExpectedValue>30</ExpectedValue><ActualValue>1</ActualValue><DifferenceType>NOT_EQUAL</DifferenceType></member></PropertyDifferences>\
             <Timestamp>2026-11-26T10:00:00Z</Timestamp></member><member><StackId>s</StackId><LogicalResourceId>Role</LogicalResourceId>\
             <ResourceType>T</ResourceType><StackResourceDriftStatus>IN_SYNC</StackResourceDriftStatus><Timestamp>2026-11-26T10:00:00Z</Timestamp>\
             </member></StackResourceDrifts>",
        )),
        _ => None,
    }))
    .await;
    let drift = plan(&aws.session().await, &wanted(), &run().0).await.unwrap().drift.unwrap();
    assert_eq!((drift.checked, drift.not_checked), (2, vec!["Vpc".to_owned()]));
    assert_eq!(drift.drifted.len(), 1);
    assert_eq!(drift.drifted[0].differences, ["/RetentionInDays: 30 → 1"]);
}

#[tokio::test]
async fn events_are_read_page_by_page_and_those_of_earlier_operations_are_not() {
    let mut cloud = stack("CREATE_COMPLETE").then("DeleteStack", deleted());
    cloud.page = 1;
    let aws = serve(cloud).await;
    let (run, mut receiver) = run();
    let gone = done(destroy(&aws.session().await, "web", &run).await.unwrap());
    assert_eq!((gone.was_there, gone.resources), (true, 1));
    let resources = events(&mut receiver).into_iter().filter(|event| matches!(event, PlaceEvent::Resource(_)));
    assert_eq!(resources.count(), 2);
}

#[tokio::test]
async fn removing_what_is_not_there_is_done_at_once() {
    let aws = serve(nothing()).await;
    assert!(!done(destroy(&aws.session().await, "web", &run().0).await.unwrap()).was_there);
    assert!(!aws.actions().iter().any(|action| action.starts_with("Delete")));
}

#[tokio::test]
async fn a_removal_goes_on_from_every_state() {
    let resting = [
        "CREATE_FAILED",
        "CREATE_COMPLETE",
        "ROLLBACK_FAILED",
        "ROLLBACK_COMPLETE",
        "DELETE_FAILED",
        "UPDATE_COMPLETE",
        "UPDATE_FAILED",
        "UPDATE_ROLLBACK_FAILED",
        "UPDATE_ROLLBACK_COMPLETE",
        "REVIEW_IN_PROGRESS",
        "CREATE_IN_PROGRESS",
    ];
    for state in resting {
        let aws = serve(stack(state).then("DeleteStack", deleted())).await;
        assert!(done(destroy(&aws.session().await, "web", &run().0).await.unwrap()).was_there, "{state}");
    }
    let aws = serve(stack("UPDATE_IN_PROGRESS").underway(updated()).then("DeleteStack", deleted())).await;
    done(destroy(&aws.session().await, "web", &run().0).await.unwrap());
    let aws = serve(stack("DELETE_IN_PROGRESS").underway(deleted())).await;
    done(destroy(&aws.session().await, "web", &run().0).await.unwrap());
    assert_eq!(aws.count("DeleteStack"), 0);
}

fn delete_failed(id: &'static str, kind: &'static str, reason: &'static str) -> Vec<Look> {
    vec![
        look("DELETE_IN_PROGRESS", &[stack_event("DELETE_IN_PROGRESS")]),
        look("DELETE_FAILED", &[(id, kind, "DELETE_FAILED", reason), stack_event("DELETE_FAILED")]),
    ]
}

#[tokio::test]
async fn a_repository_that_is_not_empty_is_emptied_and_the_removal_goes_on() {
    let reason = "The repository with name 'web' cannot be deleted because it still contains images";
    let cloud = stack("CREATE_COMPLETE")
        .then("DeleteStack", delete_failed("Repository", REPOSITORY, reason))
        .then("DeleteStack", deleted());
    let mut is_full = true;
    let aws = Aws::start(cloud.serve(move |asked| match asked.action.as_str() {
        "ListImages" if is_full => Some(json(&serde_json::json!({"imageIds": [
            {"imageDigest": "sha256:aa", "imageTag": "1"}, {"imageDigest": "sha256:aa", "imageTag": "2"},
            {"imageDigest": "sha256:bb"},
        ]}))),
        "ListImages" => Some(json(&serde_json::json!({"imageIds": []}))),
        "BatchDeleteImage" => {
            is_full = false;
            Some(json(&serde_json::json!({"imageIds": [{"imageDigest": "sha256:aa"}, {"imageDigest": "sha256:bb"}]})))
        }
        _ => None,
    }))
    .await;
    let (run, mut receiver) = run();
    let gone = done(destroy(&aws.session().await, "web", &run).await.unwrap());
    assert_eq!(gone.images, 2);
    assert_eq!(aws.count("DeleteStack"), 2);
    assert!(events(&mut receiver).iter().any(|event| matches!(event, PlaceEvent::Emptied { n: 2, .. })));
}

#[tokio::test]
async fn what_holds_the_network_is_named_with_its_owner_and_the_command_that_removes_it() {
    let reason = "The subnet 'subnet-1' has dependencies and cannot be deleted.";
    let cloud = stack("CREATE_COMPLETE").then("DeleteStack", delete_failed("Subnet", SUBNET, reason));
    let aws = Aws::start(cloud.serve(|asked| {
        (asked.action == "DescribeNetworkInterfaces").then(|| {
            ec2(
                "DescribeNetworkInterfaces",
                "<networkInterfaceSet><item><networkInterfaceId>eni-1</networkInterfaceId>\
                 <description>VPC Endpoint Interface vpce-9</description><subnetId>physical-id</subnetId></item>\
                 <item><networkInterfaceId>eni-2</networkInterfaceId><subnetId>subnet-2</subnetId></item>\
                 </networkInterfaceSet>",
            )
        })
    }))
    .await;
    let error = destroy(&aws.session().await, "web", &run().0).await.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, AwsError::Stack(StackError::Stuck(_))), "{text}");
    assert!(text.contains("eni-1 of VPC endpoint vpce-9"), "{text}");
    // Of another subnet, told by whoever overlooks a filter.
    assert!(!text.contains("eni-2"), "{text}");
    assert!(text.contains("hint: aws ec2 delete-vpc-endpoints --vpc-endpoint-ids vpce-9"), "{text}");
    assert_eq!(aws.count("DeleteStack"), 1);
}

#[tokio::test]
async fn what_is_in_a_vpc_beside_the_stack_is_named() {
    let reason = "The vpc 'physical-id' has dependencies and cannot be deleted.";
    let cloud = stack("CREATE_COMPLETE").then("DeleteStack", delete_failed("Vpc", "AWS::EC2::VPC", reason));
    let aws = Aws::start(cloud.serve(|asked| {
        let group = |id: &str, vpc: &str, name: &str| {
            format!("<item><groupId>{id}</groupId><vpcId>{vpc}</vpcId><groupName>{name}</groupName></item>")
        };
        Some(match asked.action.as_str() {
            "DescribeNetworkInterfaces" => ec2(&asked.action, "<networkInterfaceSet/>"),
            "DescribeSubnets" => ec2(&asked.action, "<subnetSet/>"),
            "DescribeSecurityGroups" => {
                let groups =
                    [group("sg-1", "physical-id", "default"), group("sg-2", "physical-id", "GuardDutyManaged")];
                let groups = groups.concat() + &group("sg-3", "vpc-2", "another VPC's");
                ec2(&asked.action, &format!("<securityGroupInfo>{groups}</securityGroupInfo>"))
            }
            _ => return None,
        })
    }))
    .await;
    let text = destroy(&aws.session().await, "web", &run().0).await.unwrap_err().to_string();
    assert!(text.contains("held by security group sg-2, which is not the stack's"), "{text}");
    assert!(text.contains("hint: aws ec2 delete-security-group --group-id sg-2"), "{text}");
    assert!(!text.contains("sg-1") && !text.contains("sg-3"), "{text}");
    assert_eq!(aws.count("DeleteStack"), 1);
}

#[tokio::test]
async fn interfaces_that_go_by_themselves_are_waited_for() {
    let reason = "The subnet 'subnet-1' has dependencies and cannot be deleted.";
    let cloud = stack("CREATE_COMPLETE")
        .then("DeleteStack", delete_failed("Subnet", SUBNET, reason))
        .then("DeleteStack", delete_failed("Subnet", SUBNET, reason))
        .then("DeleteStack", deleted());
    let aws = Aws::start(cloud.serve(|asked| {
        (asked.action == "DescribeNetworkInterfaces").then(|| {
            ec2(
                "DescribeNetworkInterfaces",
                "<networkInterfaceSet><item><networkInterfaceId>eni-1</networkInterfaceId>\
                 <description>ELB app/web/1</description><subnetId>physical-id</subnetId></item>\
                 <item><networkInterfaceId>eni-2</networkInterfaceId><subnetId>subnet-2</subnetId></item>\
                 </networkInterfaceSet>",
            )
        })
    }))
    .await;
    done(destroy(&aws.session().await, "web", &run().0).await.unwrap());
    assert_eq!(aws.count("DeleteStack"), 3);
}

#[tokio::test]
async fn a_removal_that_never_works_ends() {
    let mut cloud = stack("CREATE_COMPLETE");
    for _ in 0..100 {
        cloud = cloud.then("DeleteStack", delete_failed("Logs", "AWS::Logs::LogGroup", "Internal Failure"));
    }
    let aws = serve(cloud).await;
    let error = destroy(&aws.session().await, "web", &run().0).await.unwrap_err();
    assert!(matches!(error, AwsError::Stack(StackError::Stuck(_))), "{error}");
    assert_eq!(aws.count("DeleteStack"), 12);
}

/// The balancer among the stack's resources.
const BALANCER: &str = "<member><LogicalResourceId>Balancer</LogicalResourceId><PhysicalResourceId>arn:lb</PhysicalResourceId>\
                        <ResourceType>AWS::ElasticLoadBalancingV2::LoadBalancer</ResourceType>\
                        <ResourceStatus>CREATE_COMPLETE</ResourceStatus></member>";

fn protection(is_on: bool) -> Reply {
    let attribute = format!("<Key>deletion_protection.enabled</Key><Value>{is_on}</Value>");
    xml("DescribeLoadBalancerAttributes", &format!("<Attributes><member>{attribute}</member></Attributes>"))
}

#[tokio::test]
async fn a_balancer_that_was_protected_by_hand_keeps_the_rest_from_being_removed() {
    let mut cloud = stack("CREATE_COMPLETE").then("DeleteStack", deleted());
    cloud.resources = BALANCER.to_owned();
    let asked = |asked: &Asked| (asked.action == "DescribeLoadBalancerAttributes").then(|| protection(true));
    let aws = Aws::start(cloud.serve(asked)).await;
    let error = destroy(&aws.session().await, "web", &run().0).await.unwrap_err();
    assert!(error.to_string().contains("deletion protection of the balancer"), "{error}");
    assert_eq!(aws.count("DeleteStack"), 0);
}

#[tokio::test]
async fn a_first_try_that_failed_is_not_protected_from_being_cleaned_up() {
    let failed_try = || {
        let mut cloud = stack("ROLLBACK_FAILED").then("DeleteStack", deleted()).then("CreateStack", created());
        cloud.is_protected = true;
        cloud.resources = BALANCER.to_owned();
        let mut is_on = true;
        cloud.serve(move |asked| match asked.action.as_str() {
            "DescribeLoadBalancerAttributes" => Some(protection(is_on)),
            "ModifyLoadBalancerAttributes" => {
                is_on = false;
                Some(xml("ModifyLoadBalancerAttributes", "<Attributes/>"))
            }
            _ => None,
        })
    };
    let aws = Aws::start(failed_try()).await;
    done(destroy(&aws.session().await, "web", &run().0).await.unwrap());
    let aws_2 = Aws::start(failed_try()).await;
    let wanted = Wanted { protect: true, ..wanted() };
    assert_eq!(done(apply(&aws_2.session().await, &wanted, &run().0).await.unwrap()).change, Change::Created);
    for aws in [aws, aws_2] {
        assert_eq!(
            aws.calls("ModifyLoadBalancerAttributes")[0].parameter("LoadBalancerArn").as_deref(),
            Some("arn:lb")
        );
        assert_eq!(
            aws.calls("UpdateTerminationProtection")[0].parameter("EnableTerminationProtection").as_deref(),
            Some("false")
        );
    }
}

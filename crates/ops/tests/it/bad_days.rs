//! What goes wrong on AWS: images that are not there, networks that lead nowhere, two people at once, Ctrl-C.

use gimmetime_ops::{
    Answer, Cause, DeployMode, Deployed, OpsError, Outcome, Question, Releases, UpAction, attach, cancellation, delete,
    deploy, up_service, why,
};

use crate::place::{Made, nothing_lost, run};

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_is_not_there_is_said_to_be_so_and_what_served_serves_on() {
    let made = Made::new();
    let place = &made.place;
    up_service(place, &made.spec(&[]), &run().0).await.unwrap();
    let mut missing = made.spec(&[]);
    // The emulator's registry is where its balancer is.
    missing.image = format!("{}/{}-missing:1", place.connect_to.as_ref().unwrap(), place.service);
    let Deployed::Rolled(report) = deploy(place, &missing, DeployMode::WhenChanged, &run().0).await.unwrap() else {
        panic!("unchanged")
    };
    nothing_lost(&report);
    let cause = report.cause.unwrap();
    assert_eq!((report.outcome, cause.cause), (Outcome::RolledBack, Cause::ImageMissing), "{cause:#?}");
    let Answer::Past(later) = why(place, Question::Now).await.unwrap() else { panic!("something is wrong") };
    assert_eq!((later.cause, later.release), (Cause::ImageMissing, 2));
    delete(place, Releases::Delete, &run().0).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runner_that_cannot_reach_the_balancer_ends_unverified_and_not_failed() {
    let mut made = Made::new();
    made.place.connect_to = Some("127.9.9.9:9".parse().unwrap());
    let up = up_service(&made.place, &made.spec(&[]), &run().0).await.unwrap();
    assert_eq!(up.rollout.outcome, Outcome::Done);
    made.place.connect_to = None;
    let Deployed::Rolled(report) =
        deploy(&made.place, &made.spec(&[("LOG", "info")]), DeployMode::WhenChanged, &run().0).await.unwrap()
    else {
        panic!("unchanged")
    };
    assert!(report.outcome == Outcome::Done && report.is_unverified(), "{report:#?}");
    assert!(report.tally.unwrap().first_unverified[0].1.starts_with("cannot resolve"));
    delete(&made.place, Releases::Deregister, &run().0).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_who_deploys_while_another_does_is_told_so_and_can_attach() {
    let made = Made::new();
    let place = &made.place;
    up_service(place, &made.spec(&[]), &run().0).await.unwrap();
    // Detached as soon as it was asked for: what Ctrl-C does without a terminal.
    let (canceller, cancel) = cancellation();
    canceller.cancel();
    let (mut first, _events) = run();
    first.cancel = cancel;
    let Deployed::Rolled(left) =
        deploy(place, &made.spec(&[("LOG", "a")]), DeployMode::WhenChanged, &first).await.unwrap()
    else {
        panic!("unchanged")
    };
    assert_eq!(left.outcome, Outcome::Detached);
    let other = deploy(place, &made.spec(&[("LOG", "b")]), DeployMode::WhenChanged, &run().0).await;
    let Err(OpsError::Busy(busy)) = other else { panic!("{other:?}") };
    assert_eq!((busy.who.as_str(), busy.what.as_str(), busy.release), ("alice", "deploy r2", Some(2)));
    let joined = attach(place, &run().0).await.unwrap();
    let outcome = joined.map(|report| (report.to, report.outcome));
    assert!(matches!(outcome, None | Some((2, Outcome::Done))), "{outcome:?}");
    assert!(attach(place, &run().0).await.unwrap().is_none(), "nothing is in progress any more");
    // The same once more changes nothing; by force all tasks are replaced, by tasks of the same release.
    let again = made.spec(&[("LOG", "a")]);
    let same = deploy(place, &again, DeployMode::WhenChanged, &run().0).await.unwrap();
    assert!(matches!(same, Deployed::Unchanged { release: 2, healthy: 2, desired: 2 }), "{same:?}");
    let Deployed::Rolled(forced) = deploy(place, &again, DeployMode::Force, &run().0).await.unwrap() else {
        panic!("unchanged")
    };
    assert_eq!((forced.to, forced.outcome), (2, Outcome::Done), "{forced:#?}");
    nothing_lost(&forced);
    delete(place, Releases::Delete, &run().0).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_comes_back_after_it_was_deleted_and_goes_on_with_its_numbers() {
    let made = Made::new();
    let spec = made.spec(&[]);
    up_service(&made.place, &spec, &run().0).await.unwrap();
    delete(&made.place, Releases::Keep, &run().0).await.unwrap();
    let again = up_service(&made.place, &spec, &run().0).await.unwrap();
    let seen = (again.action, again.rollout.to, again.rollout.outcome);
    assert_eq!(seen, (UpAction::Created, 1, Outcome::Done), "{again:#?}");
    delete(&made.place, Releases::Delete, &run().0).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_release_that_only_fails_is_given_up_explained_and_replaced() {
    let made = Made::new();
    let place = &made.place;
    let up = up_service(place, &made.spec(&[("MODE", "exit")]), &run().0).await.unwrap();
    let cause = up.rollout.cause.unwrap();
    assert_eq!((up.rollout.outcome, cause.cause), (Outcome::FailedNotServing, Cause::ExitsAtStart(3)), "{cause:#?}");
    assert!(up.rollout.tally.is_none(), "nothing served that could be asked");
    let Answer::Wrong(now) = why(place, Question::Now).await.unwrap() else { panic!("nothing is wrong") };
    assert_eq!(now.cause, Cause::ExitsAtStart(3), "{now:#?}");
    let Deployed::Rolled(mended) = deploy(place, &made.spec(&[]), DeployMode::WhenChanged, &run().0).await.unwrap()
    else {
        panic!("unchanged")
    };
    assert_eq!((mended.to, mended.outcome), (2, Outcome::Done), "{mended:#?}");
    delete(place, Releases::Delete, &run().0).await.unwrap();
}

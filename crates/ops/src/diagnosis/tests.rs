use super::*;

fn stopped(code: &str, reason: &str, exit_code: Option<i32>, lived: i64) -> TaskView {
    TaskView {
        id: "4f2a0000000000000000000000000000".to_owned(),
        last_status: "STOPPED".to_owned(),
        stop_code: Some(code.to_owned()),
        stopped_reason: Some(reason.to_owned()),
        exit_code,
        started_at: Some(Timestamp::from_secs(100)),
        stopped_at: Some(Timestamp::from_secs(100 + lived)),
        ..TaskView::default()
    }
}

#[track_caller]
fn check(task: TaskView, cause: Cause, certainty: Certainty) {
    let reason = task.stopped_reason.clone();
    let diagnosis = diagnose(&Evidence { failed: vec![task], of: 1, ..Evidence::default() });
    assert_eq!((diagnosis.cause, diagnosis.certainty), (cause, certainty), "{reason:?}");
}

#[test]
fn a_task_that_did_not_start_is_explained_by_its_words() {
    let table = [
        ("CannotPullContainerError: image `x@sha256:4034`: no image `x` in `/images`", Cause::ImageMissing),
        ("CannotPullContainerError: manifest unknown", Cause::ImageMissing),
        ("CannotPullContainerError: pull access denied for x", Cause::ImageDenied),
        ("CannotPullContainerError: dial tcp 10.0.0.1:443: i/o timeout", Cause::RegistryUnreachable),
        (
            "CannotPullContainerError: does not contain descriptor matching platform linux/amd64",
            Cause::WrongArchitecture,
        ),
        (
            "CannotStartContainerError: its entrypoint `/app` cannot run alone: the executable is for AArch64, expected x86-64; build it",
            Cause::WrongArchitecture,
        ),
        ("exec /app: exec format error", Cause::WrongArchitecture),
        (
            "the executable is dynamic: it needs the loader `/lib64/ld.so`, which the image does not hold",
            Cause::NotStatic,
        ),
        (
            "the executable needs 3 shared libraries, which the image does not hold; link it statically",
            Cause::NotStatic,
        ),
        (
            "expected an executable, but found a shared library; give the program that the linker made",
            Cause::NotExecutable,
        ),
        (
            "expected a Linux executable (ELF), but found a script; give the compiled program itself",
            Cause::NotExecutable,
        ),
        ("its entrypoint `/app` has mode 0644, which lets nobody execute it", Cause::NotExecutable),
        ("ResourceInitializationError: unable to pull secrets: `KEY` from `file:/key`: gone", Cause::SecretUnavailable),
        ("ResourceInitializationError: failed to validate logger args", Cause::LogsUnavailable),
        ("ECS was unable to assume the role", Cause::RoleRefused),
        ("You've reached the limit on the number of vCPUs", Cause::QuotaExceeded),
        ("Capacity is unavailable at this time", Cause::NoCapacity),
        ("Timeout waiting for network interface provisioning", Cause::NoNetwork),
    ];
    for (reason, cause) in table {
        check(stopped("TaskFailedToStart", reason, None, 0), cause, Certainty::Certain);
    }
    check(stopped("TaskFailedToStart", "something new", None, 0), Cause::CannotStart, Certainty::Likely);
}

#[test]
fn a_process_that_ended_is_explained_by_its_exit_code_and_its_age() {
    let exited = |code, lived| stopped("EssentialContainerExited", "Essential container in task exited", code, lived);
    check(exited(Some(1), 0), Cause::ExitsAtStart(1), Certainty::Certain);
    check(exited(Some(1), 3600), Cause::Crashed(1), Certainty::Certain);
    check(exited(Some(101), 3600), Cause::Panicked(101), Certainty::Certain);
    check(exited(Some(137), 3600), Cause::Killed(9), Certainty::Certain);
    check(exited(Some(0), 1), Cause::Ended, Certainty::Certain);
    check(exited(None, 1), Cause::ExitUnknown, Certainty::Certain);
    check(stopped("UserInitiated", "Task stopped by user", Some(0), 1), Cause::StoppedByUser, Certainty::Certain);
}

#[test]
fn a_task_that_failed_its_health_checks_is_explained_by_what_they_met() {
    let table = [
        ("Health checks failed: connection refused", Cause::NeverListens),
        ("Health checks failed with these codes: [500]", Cause::Answers(500)),
        ("Health checks failed with these codes: [404]", Cause::Answers(404)),
        ("Request timed out", Cause::Hangs),
        ("Health checks failed: connection reset before an answer", Cause::FailsHealthChecks),
    ];
    for (detail, cause) in table {
        let reason = "Task failed ELB health checks in (target-group web)";
        let task = TaskView {
            health_detail: Some(detail.to_owned()),
            ..stopped("ServiceSchedulerInitiated", reason, Some(143), 5)
        };
        check(task, cause, Certainty::Certain);
    }
}

#[test]
fn a_bad_target_is_explained_by_its_reason() {
    let table = [
        ("Target.FailedHealthChecks", "Health checks failed", Cause::NeverListens),
        ("Target.ResponseCodeMismatch", "Health checks failed with these codes: [503]", Cause::Answers(503)),
        ("Target.Timeout", "Request timed out", Cause::Hangs),
        ("Target.NotInUse", "Target group is not configured to receive traffic", Cause::NoListener),
        ("Elb.InternalError", "Health checks failed due to an internal error", Cause::PlatformFault),
        ("Gimmetime.ClockProvedWrong", "its clock is 4 s ahead", Cause::ClockWrong),
    ];
    for (reason, description, cause) in table {
        let target = TargetView {
            state: "unhealthy".to_owned(),
            reason: Some(reason.to_owned()),
            description: Some(description.to_owned()),
            ..TargetView::default()
        };
        let evidence = Evidence { of: 2, unhealthy: [("t".to_owned(), target)].into(), ..Evidence::default() };
        let diagnosis = diagnose(&evidence);
        assert_eq!(diagnosis.cause, cause);
        assert_eq!(diagnosis.because, format!("{reason}, 1 of 2"));
    }
}

#[test]
fn without_tasks_the_events_since_the_last_steady_state_speak() {
    let event = |message: &str| EventView { at: None, message: message.to_owned() };
    let steady = event("(service web) has reached a steady state.");
    let stuck = event(
        "(service web) was unable to stop or start tasks during a deployment because of the service deployment configuration.",
    );
    let of = |events| diagnose(&Evidence { events, ..Evidence::default() }).cause;
    assert_eq!(of(vec![stuck.clone(), steady.clone()]), Cause::Stuck);
    assert_eq!(of(vec![steady, stuck]), Cause::Unknown);
    assert_eq!(of(vec![event("(service web) is unable to consistently start tasks successfully.")]), Cause::Throttled);
    let unhealthy = "(service web) (port 8080) is unhealthy in (target-group web) due to (reason Health checks failed with these codes: [500])";
    assert_eq!(of(vec![event(unhealthy)]), Cause::Answers(500));
}

#[test]
fn what_was_written_down_speaks_when_nothing_else_is_left() {
    let first = diagnose(&Evidence {
        failed: vec![stopped("EssentialContainerExited", "", Some(7), 0)],
        of: 2,
        ..Evidence::default()
    });
    let later = diagnose(&Evidence { recorded: Some(first.label()), ..Evidence::default() });
    assert_eq!(later.cause, Cause::ExitsAtStart(7));
    assert_eq!(later.because, "recorded when it failed: EssentialContainerExited 1 of 2");
}

#[test]
fn the_cause_of_most_tasks_wins_and_its_line_comes_first() {
    let line =
        |at, text: &str| EvidenceLine { at: Timestamp::from_secs(at), task: "4f2a".to_owned(), text: text.to_owned() };
    let exited = || stopped("EssentialContainerExited", "Essential container in task exited", Some(1), 0);
    let definition = |secret: bool| Definition {
        secrets: secret.then(|| ("SIGNING_KEY".to_owned(), "file:/k".to_owned())).into_iter().collect(),
        ..Definition::default()
    };
    let diagnosis = diagnose(&Evidence {
        release: 15,
        failed: vec![stopped("UserInitiated", "", None, 0), exited(), exited()],
        of: 3,
        logs: vec![line(1, "starting"), line(2, "SIGNING_KEY is not set"), line(3, "bye")],
        before: Some(definition(true)),
        after: Some(definition(false)),
        before_release: Some(14),
        ..Evidence::default()
    });
    assert_eq!(diagnosis.sentence, "the process exits 1 at start");
    assert_eq!(diagnosis.because, "EssentialContainerExited, 2 of 3");
    let texts: Vec<&str> = diagnosis.evidence.iter().map(|line| line.text.as_str()).collect();
    assert_eq!(texts, ["SIGNING_KEY is not set", "starting", "bye"]);
    assert_eq!(diagnosis.changed, ["secret SIGNING_KEY removed"]);
    assert_eq!(diagnosis.before, Some(14));
}

#[test]
fn the_place_tells_which_way_is_missing() {
    let reason = "ResourceInitializationError: unable to pull secrets or registry auth: dial tcp: i/o timeout";
    let advice = |way| {
        let failed = vec![stopped("TaskFailedToStart", reason, None, 0)];
        diagnose(&Evidence { failed, of: 1, way, ..Evidence::default() }).advice
    };
    assert!(advice(Some(Way::PublicAddress)).contains("internet gateway"));
    assert!(advice(Some(Way::NoPublicAddress)).contains("NAT gateway"));
    assert_eq!(advice(None), Cause::RegistryUnreachable.fix().0);
    let target = TargetView {
        state: "unhealthy".to_owned(),
        reason: Some("Target.Timeout".to_owned()),
        ..TargetView::default()
    };
    let unhealthy = [("t".to_owned(), target)].into();
    let silent = diagnose(&Evidence { unhealthy, way: Some(Way::PublicAddress), ..Evidence::default() });
    assert!(silent.advice.contains("security group"), "{silent:?}");
}

#[test]
fn one_sentence_for_two_faults_is_told_apart_by_whether_there_are_secrets() {
    let reason =
        "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed";
    let of = |secrets: &[&str]| {
        let secrets = secrets.iter().map(|name| ((*name).to_owned(), "arn".to_owned())).collect();
        let after = Some(Definition { secrets, ..Definition::default() });
        let failed = vec![stopped("TaskFailedToStart", reason, None, 0)];
        let diagnosis = diagnose(&Evidence { failed, of: 1, after, ..Evidence::default() });
        (diagnosis.cause, diagnosis.certainty)
    };
    assert_eq!(of(&["KEY"]), (Cause::SecretUnavailable, Certainty::Certain));
    assert_eq!(of(&[]), (Cause::RegistryUnreachable, Certainty::Likely));
}

#[test]
fn a_machine_that_aws_took_back_is_no_fault_of_the_release() {
    let reason = "Your Spot Task was interrupted.";
    check(stopped("SpotInterruption", reason, Some(143), 60), Cause::Reclaimed, Certainty::Certain);
    let task = stopped("TaskFailedToStart", "Capacity is unavailable at this time", None, 0);
    assert!(task.is_starved() && !task.has_failed());
    assert!(stopped("TaskFailedToStart", "CannotPullContainerError: not found", None, 0).has_failed());
}

#[test]
fn tasks_that_were_stopped_with_their_deployment_leave_its_words_to_tell() {
    let told = |words: &str| {
        let evidence = Evidence { given_up: Some(words.to_owned()), of: 1, ..Evidence::default() };
        let diagnosis = diagnose(&evidence);
        (diagnosis.cause, diagnosis.certainty)
    };
    let unresolved =
        "ECS deployment circuit breaker was triggered after three unsuccessful image digest resolution attempts.";
    assert_eq!(told(unresolved), (Cause::ImageMissing, Certainty::Likely));
    assert_eq!(told("ECS deployment circuit breaker: tasks failed to start."), (Cause::Unknown, Certainty::Guess));
    // What a task says of itself is surer.
    let exited = stopped("EssentialContainerExited", "Essential container in task exited", Some(1), 1);
    let both = Evidence { given_up: Some(unresolved.to_owned()), failed: vec![exited], ..Evidence::default() };
    assert_eq!(diagnose(&both).cause, Cause::ExitsAtStart(1));
}

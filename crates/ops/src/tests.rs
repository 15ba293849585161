//! The verbs over the real SDK and a real socket, against an endpoint that plays a service.

mod aws;
mod moves;
mod remembered;
mod rollouts;

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::sync::mpsc::UnboundedReceiver;

use crate::testing::{Asked, Reply, endpoint, error, ok, place, run, spec, target_group, target_health};
use crate::{
    Answer, Clocks, DeployMode, Deployed, Event, LogQuery, OpsError, Outcome, Place, Question, ReleaseOutcome,
    Releases, UpAction, cancellation,
};

const ARN: &str = "arn:aws:ecs:local:000000000000:";

/// What becomes of a new deployment.
#[derive(Clone, Copy, PartialEq)]
enum Fate {
    /// Its tasks become healthy, one look after another.
    Works,
    /// Its first task exits 1; it is rolled back.
    Exits,
    /// Nothing ever happens.
    Waits,
    /// It is given up, and there is no way back.
    Fails,
    /// Somebody else replaces it, and says so.
    Overtaken,
}

/// A service that lives in a few fields. Looks at it move it on.
struct Play {
    fate: Fate,
    /// Registered definitions as they were sent; revision N stands at N − 1.
    definitions: Vec<Value>,
    /// The service's labels; None while there is no service.
    service: Option<Value>,
    desired: i64,
    revision: usize,
    /// The revision being brought, and how often it was looked at since.
    rolling: Option<(usize, u32)>,
    attempts: Vec<(usize, &'static str)>,
    deployments: usize,
    /// How many tasks run, if not all that are wanted.
    running: Option<i64>,
    /// The way from the balancer to the tasks, as it was given last.
    balancers: Value,
    /// Where tasks go: as it was given last, and where those are that serve.
    network: [Value; 2],
    /// How many tasks pass their checks, if not all of them.
    healthy: Option<usize>,
}

impl Play {
    fn new(fate: Fate) -> Self {
        Self {
            fate,
            definitions: Vec::new(),
            service: None,
            desired: 0,
            revision: 0,
            rolling: None,
            attempts: Vec::new(),
            deployments: 0,
            running: None,
            balancers: json!([]),
            network: [Value::Null, Value::Null],
            healthy: None,
        }
    }

    fn answer(&mut self, operation: &str, body: &str) -> Reply {
        let body: Value = serde_json::from_str(body).unwrap_or_default();
        match operation {
            "describeclusters" => error("ClusterNotFoundException", "Cluster not found."),
            "createcluster" => ok(&json!({"cluster": {"clusterName": "web", "status": "ACTIVE"}})),
            "describeservices" => self.describe_services(),
            "createservice" => self.create(&body),
            "updateservice" => self.update(&body),
            "deleteservice" => {
                self.service = None;
                self.desired = 0;
                ok(&json!({}))
            }
            "registertaskdefinition" => {
                self.definitions.push(body);
                ok(&json!({"taskDefinition": self.definition(self.definitions.len())}))
            }
            "describetaskdefinition" => {
                let revision = revision(&body["taskDefinition"]);
                let tags = self.definitions[revision - 1]["tags"].clone();
                ok(&json!({"taskDefinition": self.definition(revision), "tags": tags}))
            }
            "listtaskdefinitions" => {
                let arns: Vec<String> = (1..=self.definitions.len()).rev().map(definition_arn).collect();
                ok(&json!({"taskDefinitionArns": arns}))
            }
            "listtasks" => self.list_tasks(body["desiredStatus"] == "STOPPED"),
            "describetasks" => self.describe_tasks(&body),
            "describetargethealth" => self.target_health(),
            "describetargetgroups" => target_group("/live"),
            "listservicedeployments" => self.list_attempts(),
            "describeservicerevisions" => {
                let one =
                    |arn: &Value| json!({"serviceRevisionArn": arn, "taskDefinition": definition_arn(revision(arn))});
                let arns = body["serviceRevisionArns"].as_array().unwrap();
                ok(&json!({"serviceRevisions": arns.iter().map(one).collect::<Vec<_>>()}))
            }
            "tagresource" => self.tag(&body),
            "untagresource" => {
                self.service.as_mut().unwrap().as_array_mut().unwrap().retain(|tag| tag["key"] != body["tagKeys"][0]);
                ok(&json!({}))
            }
            "getlogevents" => ok(&json!({"events": [{"timestamp": 1_000, "message": "SIGNING_KEY is not set\n"}]})),
            "getcalleridentity" => (
                200,
                "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
                 <GetCallerIdentityResult><Arn>arn:aws:iam::000000000000:user/alice</Arn>\
                 <Account>000000000000</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"
                    .to_owned(),
            ),
            _ => ok(&json!({})),
        }
    }

    fn definition(&self, revision: usize) -> Value {
        let mut definition = self.definitions[revision - 1].clone();
        definition["taskDefinitionArn"] = definition_arn(revision).into();
        definition["revision"] = revision.into();
        definition
    }

    fn create(&mut self, body: &Value) -> Reply {
        self.service = Some(body["tags"].clone());
        self.balancers = body["loadBalancers"].clone();
        self.network[0] = body["networkConfiguration"].clone();
        self.desired = body["desiredCount"].as_i64().unwrap();
        self.begin(revision(&body["taskDefinition"]));
        ok(&json!({"service": self.view()}))
    }

    fn update(&mut self, body: &Value) -> Reply {
        self.desired = body["desiredCount"].as_i64().unwrap_or(self.desired);
        if !body["loadBalancers"].is_null() {
            self.balancers = body["loadBalancers"].clone();
        }
        if !body["networkConfiguration"].is_null() {
            self.network[0] = body["networkConfiguration"].clone();
        }
        let again = (body["forceNewDeployment"] == true).then_some(self.revision.max(1));
        if let Some(revision) = again.filter(|_| body["taskDefinition"].is_null()) {
            self.begin(revision);
        } else if !body["taskDefinition"].is_null() {
            self.begin(revision(&body["taskDefinition"]));
        }
        ok(&json!({"service": self.view()}))
    }

    fn begin(&mut self, revision: usize) {
        // What is brought is well.
        self.healthy = None;
        self.deployments += 1;
        self.rolling = Some((revision, 0));
        self.attempts.insert(0, (revision, "IN_PROGRESS"));
    }

    fn tag(&mut self, body: &Value) -> Reply {
        let arn = body["resourceArn"].as_str().unwrap();
        let tags = if arn.contains(":service/") {
            self.service.as_mut()
        } else {
            self.definitions.get_mut(revision(&body["resourceArn"]) - 1).map(|definition| &mut definition["tags"])
        };
        retag(tags.unwrap(), &body["tags"]);
        ok(&json!({}))
    }

    fn describe_services(&mut self) -> Reply {
        if self.service.is_none() {
            return ok(&json!({"services": [], "failures": [{"reason": "MISSING"}]}));
        }
        if let Some((revision, looks)) = &mut self.rolling {
            *looks += u32::from(self.fate != Fate::Waits);
            let (revision, over) = (*revision, 4 <= *looks);
            match self.fate {
                Fate::Works if over => {
                    self.revision = revision;
                    self.network[1] = self.network[0].clone();
                    self.attempts[0].1 = "SUCCESSFUL";
                    self.rolling = None;
                }
                Fate::Exits if over => {
                    self.attempts[0].1 = "ROLLBACK_SUCCESSFUL";
                    self.network[0] = self.network[1].clone();
                    self.rolling = None;
                }
                Fate::Fails if over => {
                    self.attempts[0].1 = "ROLLBACK_FAILED";
                    self.rolling = None;
                }
                Fate::Overtaken if over => {
                    self.attempts[0].1 = "STOPPED";
                    self.rolling = None;
                    let label = json!([{"key": "gimmetime:operation", "value": "who=bob what=deploy_r9"}]);
                    retag(self.service.as_mut().unwrap(), &label);
                }
                _ => {}
            }
        }
        ok(&json!({"services": [self.view()]}))
    }

    fn view(&self) -> Value {
        let wanted = self.rolling.map_or(self.revision, |(revision, _)| revision);
        let state = match (self.rolling, self.attempts.first()) {
            (Some(_), _) => "IN_PROGRESS",
            (None, Some((_, "ROLLBACK_FAILED"))) => "FAILED",
            (None, _) => "COMPLETED",
        };
        let wanted = if state == "FAILED" { self.definitions.len() } else { wanted };
        let deployment = |n: usize, status: &str, revision: usize, state: &str| {
            json!({"id": format!("ecs-svc/{n}"), "status": status, "taskDefinition": definition_arn(revision),
                   "rolloutState": state, "desiredCount": self.desired, "createdAt": 1.5})
        };
        let mut deployments = vec![deployment(self.deployments, "PRIMARY", wanted, state)];
        if self.rolling.is_some() && 0 < self.revision {
            deployments.push(deployment(0, "ACTIVE", self.revision, "COMPLETED"));
        }
        json!({
            "serviceArn": format!("{ARN}service/web/web"), "serviceName": "web", "status": "ACTIVE",
            "desiredCount": self.desired, "runningCount": self.running.unwrap_or(self.desired), "pendingCount": 0,
            "taskDefinition": definition_arn(wanted), "deployments": deployments, "events": [],
            "tags": self.service, "loadBalancers": self.balancers, "networkConfiguration": self.network[0],
            "deploymentConfiguration": {"minimumHealthyPercent": 100, "maximumPercent": 200,
                "deploymentCircuitBreaker": {"enable": true, "rollback": true,
                    "thresholdConfiguration": {"type": "COUNT", "value": 2}}},
        })
    }

    /// Tasks as `deployment-index`: those of the serving set, and of the one that is coming.
    fn tasks(&self) -> Vec<String> {
        let set = |deployment: usize| (0..self.desired).map(move |index| format!("{deployment:016x}{index:016x}"));
        match (self.rolling, self.fate) {
            (None, Fate::Exits | Fate::Fails | Fate::Overtaken) => set(1).filter(|_| 0 < self.revision).collect(),
            (None, _) => set(self.deployments).collect(),
            (Some((_, looks)), Fate::Works) if 2 <= looks => {
                set(self.deployments - 1).chain(set(self.deployments)).collect()
            }
            (Some(_), _) => set(self.deployments - 1).filter(|_| 0 < self.revision).collect(),
        }
    }

    fn list_tasks(&self, stopped: bool) -> Reply {
        let failed = match self.fate {
            Fate::Exits => 1 < self.deployments,
            Fate::Fails => 0 < self.deployments,
            _ => false,
        };
        let dead = || failed.then(|| format!("{:032x}", 0xdead)).into_iter().collect();
        let ids: Vec<String> = if stopped { dead() } else { self.tasks() };
        let arns: Vec<String> = ids.iter().map(|id| format!("{ARN}task/web/{id}")).collect();
        ok(&json!({"taskArns": arns}))
    }

    fn describe_tasks(&self, body: &Value) -> Reply {
        let one = |arn: &Value| {
            let id = crate::snapshot::last_part(arn.as_str().unwrap());
            if id.ends_with("dead") {
                return json!({"taskArn": arn, "lastStatus": "STOPPED", "desiredStatus": "STOPPED",
                    "startedBy": format!("ecs-svc/{}", self.deployments), "stopCode": "EssentialContainerExited",
                    "stoppedReason": "Essential container in task exited", "containers": [{"exitCode": 1}],
                    "taskDefinitionArn": definition_arn(self.definitions.len())});
            }
            let deployment = usize::from_str_radix(&id[..16], 16).unwrap();
            json!({"taskArn": arn, "lastStatus": "RUNNING", "desiredStatus": "RUNNING",
                "startedBy": format!("ecs-svc/{deployment}"), "startedAt": 2.25,
                "taskDefinitionArn": definition_arn(1),
                "containers": [{"networkBindings": [{"bindIP": "127.0.0.1", "hostPort": port(id)}]}]})
        };
        let tasks: Vec<Value> = body["tasks"].as_array().unwrap().iter().map(one).collect();
        ok(&json!({"tasks": tasks}))
    }

    fn target_health(&self) -> Reply {
        let state = |index| if self.healthy.is_none_or(|healthy| index < healthy) { "healthy" } else { "unhealthy" };
        let targets = self.tasks().iter().enumerate().map(|(index, id)| (port(id), state(index))).collect::<Vec<_>>();
        target_health(&targets)
    }

    fn list_attempts(&self) -> Reply {
        let count = self.attempts.len();
        let line = |(index, (revision, status)): (usize, &(usize, &str))| {
            let number = count - index;
            json!({"serviceDeploymentArn": format!("{ARN}service-deployment/web/web/{number}"), "createdAt": number,
                "targetServiceRevisionArn": format!("{ARN}service-revision/web/web:{revision}"), "status": status})
        };
        ok(&json!({"serviceDeployments": self.attempts.iter().enumerate().map(line).collect::<Vec<_>>()}))
    }
}

fn retag(tags: &mut Value, new: &Value) {
    let tags = tags.as_array_mut().unwrap();
    for new in new.as_array().unwrap() {
        tags.retain(|old| old["key"] != new["key"]);
        tags.push(new.clone());
    }
}

fn definition_arn(revision: usize) -> String {
    format!("{ARN}task-definition/web:{revision}")
}

fn revision(arn: &Value) -> usize {
    arn.as_str().unwrap().rsplit(':').next().unwrap().parse().unwrap()
}

fn port(id: &str) -> u16 {
    let part = |range: std::ops::Range<usize>| u16::from_str_radix(&id[range], 16).unwrap();
    20_000 + part(12..16) * 100 + part(28..32)
}

async fn stage(fate: Fate) -> (Place, Asked, Arc<Mutex<Play>>) {
    let play = Arc::new(Mutex::new(Play::new(fate)));
    let (connection, asked) = endpoint({
        let play = Arc::clone(&play);
        move |operation, body| play.lock().unwrap().answer(operation, body)
    })
    .await;
    (place(connection), asked, play)
}

/// A stage on which release 1 serves.
async fn serving(fate: Fate) -> (Place, Asked, Arc<Mutex<Play>>) {
    let (place, asked, play) = stage(Fate::Works).await;
    crate::up_service(&place, &spec("aa"), &run().0).await.unwrap();
    play.lock().unwrap().fate = fate;
    asked.lock().unwrap().clear();
    (place, asked, play)
}

fn told(receiver: &mut UnboundedReceiver<Event>) -> Vec<Event> {
    std::iter::from_fn(|| receiver.try_recv().ok()).collect()
}

fn count(asked: &Asked, operation: &str) -> usize {
    asked.lock().unwrap().iter().filter(|(name, _)| name == operation).count()
}

#[tokio::test]
async fn the_first_up_makes_everything_and_the_second_nothing() {
    let (place, asked, _) = stage(Fate::Works).await;
    let (run, mut events) = run();
    let first = crate::up_service(&place, &spec("aa"), &run).await.unwrap();
    assert_eq!((first.action, first.rollout.outcome, first.rollout.to), (UpAction::Created, Outcome::Done, 1));
    let told = told(&mut events);
    assert_eq!(told[0], Event::ClusterCreated { name: "web".to_owned() });
    assert!(matches!(&told[1], Event::Registered { release: 1, who, .. } if who == "alice"), "{told:?}");
    assert!(matches!(told.last(), Some(Event::Completed { .. })), "{told:?}");
    asked.lock().unwrap().clear();
    let second = crate::up_service(&place, &spec("aa"), &run).await.unwrap();
    assert_eq!((second.action, second.rollout.outcome), (UpAction::Unchanged, Outcome::Done));
    assert_eq!(count(&asked, "updateservice") + count(&asked, "registertaskdefinition"), 0);
}

#[tokio::test]
async fn up_after_a_changed_setting_changes_only_that_and_a_scaled_count_stays() {
    let (place, asked, play) = serving(Fate::Works).await;
    crate::scale(&place, 5, &run().0).await.unwrap();
    let mut changed = spec("aa");
    changed.env.insert("LOG".to_owned(), "debug".to_owned());
    let report = crate::up_service(&place, &changed, &run().0).await.unwrap();
    assert_eq!((report.action, report.rollout.outcome), (UpAction::Changed, Outcome::Done));
    assert_eq!(report.changes.iter().map(|change| change.words.as_str()).collect::<Vec<_>>(), ["env LOG added"]);
    assert_eq!(play.lock().unwrap().desired, 5);
    asked.lock().unwrap().clear();
    let again = crate::up_service(&place, &changed, &run().0).await.unwrap();
    assert_eq!(again.action, UpAction::Unchanged);
}

#[tokio::test]
async fn a_deploy_rolls_and_up_after_it_undoes_nothing() {
    let (place, asked, _) = serving(Fate::Works).await;
    let (run, mut events) = run();
    let deployed = crate::deploy(&place, &spec("bb"), DeployMode::WhenChanged, &run).await.unwrap();
    let Deployed::Rolled(report) = deployed else { panic!("unchanged") };
    assert_eq!((report.from, report.to, report.outcome), (Some(1), 2, Outcome::Done));
    assert!(report.ledger.serves_everyone.is_some());
    let told = told(&mut events);
    assert!(
        told.contains(&Event::Started { n: 2, of: 2 }) && told.contains(&Event::Healthy { n: 2, of: 2 }),
        "{told:?}"
    );
    assert_eq!(count(&asked, "untagresource"), 1);
    let up = crate::up_service(&place, &spec("aa"), &run).await.unwrap();
    assert_eq!(up.action, UpAction::Unchanged);
    let releases = crate::releases(&place).await.unwrap();
    let lines: Vec<_> =
        releases.iter().map(|release| (release.number, release.serving, release.digest.as_deref())).collect();
    assert_eq!(lines, [(2, true, Some("sha256:bb")), (1, false, Some("sha256:aa"))]);
    let back = crate::rollback(&place, None, &run).await.unwrap();
    assert_eq!((back.from, back.to, back.outcome), (Some(2), 1, Outcome::Done));
}

#[tokio::test]
async fn an_unchanged_deploy_registers_nothing_unless_it_is_forced() {
    let (place, asked, _) = serving(Fate::Works).await;
    let deployed = crate::deploy(&place, &spec("aa"), DeployMode::WhenChanged, &run().0).await.unwrap();
    assert!(matches!(deployed, Deployed::Unchanged { release: 1, healthy: 2, desired: 2 }));
    assert_eq!(count(&asked, "updateservice"), 0);
    let forced = crate::deploy(&place, &spec("aa"), DeployMode::Force, &run().0).await.unwrap();
    assert!(matches!(forced, Deployed::Rolled(report) if report.to == 1 && report.outcome == Outcome::Done));
    assert_eq!(count(&asked, "registertaskdefinition"), 0);
    let update = asked.lock().unwrap().iter().find(|(name, _)| name == "updateservice").cloned().unwrap().1;
    assert!(update.contains("\"forceNewDeployment\":true"), "{update}");
}

#[tokio::test]
async fn an_unchanged_deploy_tells_how_many_are_healthy() {
    let (place, _, play) = serving(Fate::Works).await;
    play.lock().unwrap().healthy = Some(1);
    let deployed = crate::deploy(&place, &spec("aa"), DeployMode::WhenChanged, &run().0).await.unwrap();
    assert!(matches!(deployed, Deployed::Unchanged { release: 1, healthy: 1, desired: 2 }), "{deployed:?}");
}

#[tokio::test]
async fn a_first_rollout_whose_tasks_run_but_are_not_healthy_is_in_progress_however_old_it_is() {
    let (place, _, _) = stage(Fate::Waits).await;
    let (canceller, cancel) = cancellation();
    canceller.cancel();
    let (mut left, _events) = run();
    left.cancel = cancel;
    crate::up_service(&place, &spec("aa"), &left).await.unwrap();
    let joined = crate::deploy(&place, &spec("aa"), DeployMode::WhenChanged, &left).await.unwrap();
    assert!(matches!(joined, Deployed::Rolled(report) if report.outcome == Outcome::Detached && report.to == 1));
    let other = crate::deploy(&place, &spec("bb"), DeployMode::WhenChanged, &run().0).await.unwrap_err();
    assert!(matches!(other, OpsError::Busy(busy) if busy.release == Some(1)));
    // Nothing of it has failed yet.
    let Answer::InProgress { busy, waiting_for } = crate::why(&place, Question::Now).await.unwrap() else {
        panic!("nothing is wrong")
    };
    assert_eq!((busy.who.as_str(), waiting_for.as_deref()), ("alice", Some("2 tasks to be started")));
}

#[tokio::test]
async fn a_release_that_exits_is_rolled_back_and_explained_then_and_later() {
    let (place, _, play) = serving(Fate::Exits).await;
    let deployed = crate::deploy(&place, &spec("cc"), DeployMode::WhenChanged, &run().0).await.unwrap();
    let Deployed::Rolled(report) = deployed else { panic!("unchanged") };
    assert_eq!(report.outcome, Outcome::RolledBack);
    let cause = report.cause.unwrap();
    assert_eq!(cause.sentence, "the process exits 1 at start");
    assert_eq!(cause.because, "EssentialContainerExited, 1 of 1");
    assert_eq!(cause.evidence[0].text, "SIGNING_KEY is not set");
    assert_eq!(cause.changed, ["image aa→cc"]);
    let refused = crate::rollback(&place, None, &run().0).await.unwrap_err();
    assert!(matches!(refused, OpsError::AlreadyRolledBack { failed: 2, serving: 1 }), "{refused}");
    let releases = crate::releases(&place).await.unwrap();
    assert_eq!(releases[0].cause.as_deref(), Some("the process exits 1 at start"));
    // The tasks are forgotten after an hour; the label is not.
    play.lock().unwrap().deployments = 1;
    let Answer::Past(later) = crate::why(&place, Question::Release(2)).await.unwrap() else { panic!("healthy") };
    assert_eq!(later.sentence, "the process exits 1 at start");
    assert_eq!(later.because, "recorded when it failed: EssentialContainerExited 1 of 1");
}

#[tokio::test]
async fn a_rollout_of_something_else_is_busy_and_of_the_same_is_attached_to() {
    let (place, asked, play) = serving(Fate::Waits).await;
    let (canceller, cancel) = cancellation();
    let (mut first, _events) = run();
    first.cancel = cancel;
    canceller.cancel();
    let detached = crate::deploy(&place, &spec("bb"), DeployMode::WhenChanged, &first).await.unwrap();
    assert!(matches!(detached, Deployed::Rolled(report) if report.outcome == Outcome::Detached));
    let refused = crate::deploy(&place, &spec("cc"), DeployMode::WhenChanged, &run().0).await.unwrap_err();
    let OpsError::Busy(busy) = &refused else { panic!("{refused}") };
    assert_eq!((busy.who.as_str(), busy.what.as_str(), busy.release), ("alice", "deploy r2", Some(2)));
    assert_eq!(busy.digest.as_deref(), Some("sha256:bb"));
    play.lock().unwrap().fate = Fate::Works;
    let (second, mut events) = run();
    let joined = crate::deploy(&place, &spec("bb"), DeployMode::WhenChanged, &second).await.unwrap();
    assert!(matches!(joined, Deployed::Rolled(report) if report.outcome == Outcome::Done && report.to == 2));
    assert!(matches!(told(&mut events)[0], Event::Attached(_)));
    // Who came later did not see all of it: how long it took is not written down.
    assert!(!asked.lock().unwrap().iter().any(|(_, body)| body.contains("gimmetime:took")));
    assert!(crate::attach(&place, &second).await.unwrap().is_none());
}

#[tokio::test]
async fn a_release_that_nobody_watched_has_succeeded_once_it_serves_whole() {
    let (place, _, play) = serving(Fate::Waits).await;
    let (canceller, cancel) = cancellation();
    canceller.cancel();
    let (mut left, _events) = run();
    left.cancel = cancel;
    crate::deploy(&place, &spec("bb"), DeployMode::WhenChanged, &left).await.unwrap();
    let outcome = async || crate::releases(&place).await.unwrap()[0].outcome;
    assert_eq!(outcome().await, ReleaseOutcome::InProgress);
    {
        let mut play = play.lock().unwrap();
        (play.rolling, play.revision, play.healthy) = (None, 2, Some(1));
        play.attempts.clear();
    }
    assert_eq!(outcome().await, ReleaseOutcome::Unknown);
    play.lock().unwrap().healthy = None;
    assert_eq!(outcome().await, ReleaseOutcome::Succeeded);
}

#[tokio::test]
async fn status_tells_who_what_and_how_healthy() {
    let (place, _, _) = serving(Fate::Works).await;
    let status = crate::status(&place, &Clocks::new()).await.unwrap();
    assert_eq!(status.caller.arn, "arn:aws:iam::000000000000:user/alice");
    assert_eq!((status.healthy, status.desired, status.is_steady), (2, 2, true));
    assert_eq!((status.release.number, status.release.who.as_deref()), (1, Some("alice")));
    assert_eq!(status.tasks[1].port, Some(20_101));
    assert_eq!(status.waiting_for, None);
    let why = crate::why(&place, Question::Now).await.unwrap();
    assert_eq!(why, Answer::Healthy { release: 1, healthy: 2, desired: 2 });
    let moment = gimmetime_clock::Timestamp::from_secs(1_795_342_020);
    let then = crate::why(&place, Question::At(moment)).await.unwrap();
    assert_eq!(then, Answer::NothingNear { moment });
}

#[tokio::test]
async fn a_service_that_is_not_there_is_not_up_and_can_be_deleted_twice() {
    let (place, _, _) = serving(Fate::Works).await;
    let report = crate::delete(&place, Releases::Deregister, &run().0).await.unwrap();
    assert_eq!((report.service, report.tasks, report.releases, report.left), (true, 2, 1, 0));
    let again = crate::delete(&place, Releases::Keep, &run().0).await.unwrap();
    assert_eq!((again.service, again.tasks), (false, 0));
    let refused = crate::scale(&place, 3, &run().0).await.unwrap_err();
    assert!(matches!(&refused, OpsError::NotUp { service, .. } if service == "web"), "{refused}");
}

#[tokio::test]
async fn errors_are_told_apart_by_what_their_reader_can_do() {
    let (connection, _) = endpoint(|_, _| error("ClusterNotFoundException", "Cluster not found.")).await;
    let refused = crate::scale(&place(connection), 3, &run().0).await.unwrap_err();
    assert!(matches!(refused, OpsError::NotUp { .. }), "{refused}");
    let (connection, _) = endpoint(|_, _| error("ExpiredTokenException", "The token has expired.")).await;
    let refused = crate::scale(&place(connection), 3, &run().0).await.unwrap_err();
    assert!(matches!(refused, OpsError::Credentials { .. }), "{refused}");
    let (connection, _) = endpoint(|_, _| error("AccessDeniedException", "not authorized: ecs:DescribeServices")).await;
    let refused = crate::scale(&place(connection), 3, &run().0).await.unwrap_err();
    assert!(matches!(refused, OpsError::Denied { .. }), "{refused}");
    // What was signed is told by AWS, with the token of the session in it.
    let signed =
        "The signature we calculated does not match.\n\nThe Canonical String was\n'POST\nx-amz-security-token:hunter2'";
    let (connection, _) = endpoint(move |_, _| error("InvalidSignatureException", signed)).await;
    let refused = crate::scale(&place(connection), 3, &run().0).await.unwrap_err();
    assert!(matches!(refused, OpsError::Credentials { .. }), "{refused}");
    let words = format!("{refused} {refused:?}");
    assert!(words.contains("does not match") && !words.contains("hunter2"), "{words}");
    let nobody = crate::Connection::local("http://127.0.0.1:1", "a", "b", "local");
    let refused = crate::scale(&place(nobody), 3, &run().0).await.unwrap_err();
    assert!(matches!(&refused, OpsError::Unreachable { reason, .. } if reason.contains("refused")), "{refused}");
}

#[tokio::test]
async fn logs_of_all_tasks_are_merged_page_by_page_and_followed_without_repetition() {
    let event = |stream: &str, at: i64, id: &str| json!({"logStreamName": format!("web/app/{stream}"), "timestamp": at, "message": format!("line {id}\n"), "eventId": id});
    let (connection, _) = endpoint(move |_, body| {
        let body: Value = serde_json::from_str(body).unwrap();
        match body["nextToken"].as_str() {
            None => ok(&json!({"events": [event("a", 1_000, "1"), event("a", 3_000, "3")], "nextToken": "more"})),
            Some(_) => ok(&json!({"events": [event("b", 2_000, "2"), event("a", 1_000, "1")]})),
        }
    })
    .await;
    let mut place = place(connection);
    place.poll = std::time::Duration::from_millis(1);
    let lines = crate::logs(&place, &LogQuery::default()).await.unwrap();
    let texts: Vec<(&str, &str)> = lines.iter().map(|line| (line.task.as_str(), line.text.as_str())).collect();
    assert_eq!(texts, [("a", "line 1"), ("b", "line 2"), ("a", "line 3")]);

    let (canceller, cancel) = cancellation();
    let (sink, mut followed) = tokio::sync::mpsc::unbounded_channel();
    let query = LogQuery { since: Some(gimmetime_clock::Timestamp::from_secs(0)), task: None };
    let follower = tokio::spawn(async move { crate::follow(&place, &query, &sink, &cancel).await });
    let mut seen = Vec::new();
    for _ in 0..3 {
        seen.push(followed.recv().await.unwrap().id);
    }
    canceller.cancel();
    follower.await.unwrap().unwrap();
    assert_eq!(seen, ["1", "2", "3"]);
    assert!(followed.recv().await.is_none());
}

//! An engine without processes: the real scheduler over made-up tasks, one turn a call, and logs in memory.

use std::cell::Cell;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use gimmetime_api::{
    Answer, Call, EngineFacts, EventKey, Keys, LogEnd, LogEvent, LogGroup, LogQuery, LogSource, LogStream, PlaceChange,
    Service, Traffic, World, answer, serve,
};
use gimmetime_clock::{KernelClock, Mono, Now, Synchronization, Timestamp};
use gimmetime_scheduler::model::{Algorithm, Exit, HealthCheck, Model, Place, Process, TaskId};
use gimmetime_scheduler::{Action, Input, ProbeOutcome, due_probes, step, table};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

pub(crate) const GROUP: &str = "/gimmetime/gimmetime";
pub(crate) const TARGET_GROUP: &str =
    "arn:aws:elasticloadbalancing:local:000000000000:targetgroup/gimmetime/0123456789abcdef";

pub(crate) struct TestWorld {
    pub(crate) model: Model,
    pub(crate) now: Now,
    pub(crate) logs: TestLogs,
    pub(crate) clock: KernelClock,
    /// What happens next turn.
    pending: Vec<Input>,
    spawned: u16,
}

#[derive(Default)]
pub(crate) struct TestLogs {
    pub(crate) events: Vec<LogEvent>,
    /// How often events were asked for.
    pub(crate) readings: Cell<usize>,
}

impl TestWorld {
    pub(crate) fn new() -> Self {
        let created_at = Timestamp::from_secs(1_795_342_020);
        let place = Place {
            name: "gimmetime".into(),
            suffix: "0123456789abcdef".into(),
            created_at,
            listen: "127.0.0.1:8080".parse().unwrap(),
            health_check: HealthCheck {
                path: "/live".into(),
                interval_ms: 1000,
                timeout_ms: 2000,
                healthy_threshold: 2,
                unhealthy_threshold: 2,
                matcher: (200, 299),
            },
            deregistration_delay_ms: 30_000,
            algorithm: Algorithm::RoundRobin,
        };
        let now = Now { wall: created_at, mono: Mono::from_nanos(1_000_000_000_000) };
        let clock =
            KernelClock { status: Synchronization::Synchronized, error_bound: Some(Duration::from_micros(1500)) };
        let logs = TestLogs { events: lines(), readings: Cell::new(0) };
        Self { model: Model::new(place, 7), now, logs, clock, pending: Vec::new(), spawned: 0 }
    }

    /// One second passes: what was started runs, what was told to stop is gone, checks are answered.
    pub(crate) fn turn(&mut self) {
        self.now = self.now.plus(Duration::from_secs(1));
        let mut inputs = std::mem::take(&mut self.pending);
        let probed = due_probes(&mut self.model, self.now);
        inputs.extend(probed.into_iter().map(|order| Input::Probed {
            outcome: if self.image_of(&order.task).contains("sick") {
                ProbeOutcome::Answered { status: 500, clock: None }
            } else {
                ProbeOutcome::Answered { status: 200, clock: None }
            },
            task: order.task,
        }));
        inputs.push(Input::Acked { version: self.model.table_version });
        inputs.extend(
            table(&self.model).into_iter().filter(|route| route.draining).map(|route| Input::Idle { task: route.task }),
        );
        inputs.push(Input::Tick);
        for input in inputs {
            for action in step(&mut self.model, input, self.now) {
                self.act(action);
            }
        }
    }

    /// As many turns as anything here takes to come to rest.
    pub(crate) fn settle(&mut self) {
        for _ in 0..60 {
            self.turn();
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Start { task } if self.image_of(&task).contains("broken") => {
                let reason = "CannotStartContainerError: the entrypoint is not a static executable".to_owned();
                self.pending.push(Input::SpawnFailed { task, reason });
            }
            Action::Start { task } => {
                self.spawned += 1;
                let process =
                    Process { pid: 4000 + u32::from(self.spawned), start_time: 1, boot_id: "boot".to_owned() };
                let address = SocketAddr::from(([127, 0, 0, 1], 20000 + self.spawned));
                self.pending.push(Input::Spawned { task: task.clone(), process, address });
                if self.image_of(&task).contains("crash") {
                    self.pending.push(Input::Exited { task, exit: Exit::Code(7) });
                }
            }
            Action::Terminate { task } => self.pending.push(Input::Exited { task, exit: Exit::Code(0) }),
            Action::Kill { task } => self.pending.push(Input::Exited { task, exit: Exit::Signal(9) }),
            Action::Release { .. } => {}
        }
    }

    fn image_of(&self, task: &TaskId) -> String {
        let task = &self.model.tasks[task];
        self.model.task_definition(&task.family, task.revision).unwrap().image.clone()
    }

    /// Calls an operation directly.
    pub(crate) fn call(&mut self, service: Service, operation: &str, parameters: Value) -> Answer {
        answer(self, &Call { service, operation: operation.to_owned(), parameters })
    }

    pub(crate) fn ecs(&mut self, operation: &str, parameters: Value) -> Value {
        self.call(Service::Ecs, operation, parameters).unwrap()
    }

    /// A refusal's code and sentence.
    #[track_caller]
    pub(crate) fn refused(&mut self, service: Service, operation: &str, parameters: Value) -> (&'static str, String) {
        let error = self.call(service, operation, parameters).unwrap_err();
        (error.code, error.message)
    }

    /// A place with a service of two tasks that run.
    pub(crate) fn with_service() -> Self {
        let mut world = Self::new();
        world.ecs("CreateCluster", json!({"clusterName": "gimmetime"}));
        world.ecs("RegisterTaskDefinition", definition("good"));
        world.ecs("CreateService", service());
        world.settle();
        world
    }
}

pub(crate) fn definition(image: &str) -> Value {
    json!({
        "family": "gimmetime",
        "networkMode": "awsvpc",
        "requiresCompatibilities": ["FARGATE"],
        "cpu": "256",
        "memory": "512",
        "runtimePlatform": {"cpuArchitecture": "X86_64", "operatingSystemFamily": "LINUX"},
        "tags": [{"key": "gimmetime:version", "value": "1.0.0"}],
        "containerDefinitions": [{
            "name": "app",
            "image": format!("localhost/{image}@sha256:{}", "0".repeat(64)),
            "portMappings": [{"containerPort": 8080, "protocol": "tcp"}],
            "environment": [{"name": "MODE", "value": "calm"}],
            "secrets": [{"name": "TOKEN", "valueFrom": "file:/run/token"}],
            "dockerLabels": {"gimmetime.health": "/live"},
            "readonlyRootFilesystem": true,
            "stopTimeout": 5,
            "logConfiguration": {
                "logDriver": "awslogs",
                "options": {"awslogs-group": GROUP, "awslogs-stream-prefix": "gimmetime", "awslogs-region": "local"},
            },
        }],
    })
}

pub(crate) fn service() -> Value {
    json!({
        "cluster": "gimmetime",
        "serviceName": "gimmetime",
        "taskDefinition": "gimmetime",
        "desiredCount": 2,
        "launchType": "FARGATE",
        "loadBalancers": [{"targetGroupArn": TARGET_GROUP, "containerName": "app", "containerPort": 8080}],
        "networkConfiguration": {"awsvpcConfiguration": {"subnets": ["subnet-1"], "assignPublicIp": "ENABLED"}},
        "deploymentConfiguration": {
            "minimumHealthyPercent": 100, "maximumPercent": 200,
            "deploymentCircuitBreaker": {
                "enable": true, "rollback": true, "resetOnHealthyTask": false,
                "thresholdConfiguration": {"type": "COUNT", "value": 3},
            },
        },
        "tags": [{"key": "gimmetime:name", "value": "gimmetime"}],
    })
}

/// 25 lines over two streams, one a second.
fn lines() -> Vec<LogEvent> {
    let line = |n: u64| {
        let key = EventKey {
            timestamp_ms: 1_795_342_020_000 + 1000 * n.cast_signed(),
            stream: format!("gimmetime/app/{}", if n.is_multiple_of(2) { "even" } else { "odd" }),
            sequence: n,
        };
        let level = if n.is_multiple_of(5) { "error" } else { "info" };
        LogEvent { ingested_ms: key.timestamp_ms + 3, message: format!("{level} line {n}"), key }
    };
    (0..25).map(line).collect()
}

impl World for TestWorld {
    fn model(&mut self) -> &mut Model {
        &mut self.model
    }

    fn now(&self) -> Now {
        self.now
    }

    fn logs(&self) -> &dyn LogSource {
        &self.logs
    }

    fn engine(&self) -> EngineFacts {
        let traffic = Traffic { requests: 1200, failed_5xx: 1, p99_seconds: Some(0.004), per_second: 20.0 };
        EngineFacts {
            pid: 4000,
            state_directory: PathBuf::from("/var/lib/gimmetime"),
            listen: self.model.place.listen,
            started_at: self.model.place.created_at,
            user: "ada".to_owned(),
            last_minute: traffic,
            last_hour: Traffic::default(),
        }
    }

    fn modify_place(&mut self, change: PlaceChange) -> Result<(), String> {
        let place = &mut self.model.place;
        if change.listen.is_some_and(|listen| listen.port() == 80) {
            return Err("port 80 needs root".to_owned());
        }
        place.listen = change.listen.unwrap_or(place.listen);
        place.health_check.interval_ms = change.health_interval_ms.unwrap_or(place.health_check.interval_ms);
        Ok(())
    }

    fn kernel_clock(&self) -> KernelClock {
        self.clock
    }
}

impl LogSource for TestLogs {
    fn groups(&self) -> Vec<LogGroup> {
        vec![LogGroup { name: GROUP.to_owned(), created_at: Timestamp::from_secs(1_795_342_020), stored_bytes: 300 }]
    }

    fn streams(&self, group: &str) -> Vec<LogStream> {
        if group != GROUP {
            return Vec::new();
        }
        let stream = |name: &str| {
            let times =
                || self.events.iter().filter(|event| event.key.stream == name).map(|event| event.key.timestamp_ms);
            LogStream {
                name: name.to_owned(),
                created_at: Timestamp::from_secs(1_795_342_020),
                first_event_ms: times().min(),
                last_event_ms: times().max(),
                stored_bytes: 150,
            }
        };
        vec![stream("gimmetime/app/even"), stream("gimmetime/app/odd")]
    }

    fn events(&self, query: &LogQuery<'_>) -> Result<Vec<LogEvent>, String> {
        self.readings.set(self.readings.get() + 1);
        let mut found: Vec<LogEvent> = self.events.iter().filter(|event| query.wants(&event.key)).cloned().collect();
        found.sort_by(|a, b| a.key.cmp(&b.key));
        match query.end {
            LogEnd::Head => found.truncate(query.limit),
            LogEnd::Tail => drop(found.drain(..found.len().saturating_sub(query.limit))),
        }
        Ok(found)
    }
}

/// A served world: every call is one turn.
pub(crate) struct Served {
    pub(crate) address: SocketAddr,
    pub(crate) keys: Keys,
    world: JoinHandle<TestWorld>,
    server: JoinHandle<std::io::Result<()>>,
    stop: mpsc::Sender<()>,
}

impl Served {
    pub(crate) async fn start(mut world: TestWorld) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let keys = Keys { access_key: "AKIDGIMMETIME".into(), secret_key: "a secret of this test's own".into() };
        let (calls, mut received) = mpsc::channel(8);
        let server = tokio::spawn(serve(listener, keys.clone(), calls));
        let (stop, mut stopped) = mpsc::channel::<()>(1);
        let world = tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = stopped.recv() => return world,
                    Some((call, reply)) = received.recv() => {
                        world.turn();
                        let _ = reply.send(answer(&mut world, &call));
                    }
                }
            }
        });
        Self { address, keys, world, server, stop }
    }

    /// Drops the world; the server must end by itself.
    pub(crate) async fn stop(self) -> TestWorld {
        drop(self.stop);
        let world = self.world.await.unwrap();
        tokio::time::timeout(Duration::from_secs(10), self.server).await.expect("the server ends").unwrap().unwrap();
        world
    }
}

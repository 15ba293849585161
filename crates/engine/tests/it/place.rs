//! A place of its own for each test, run by the real program, with what tests ask of it.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use gimmetime_api::{Keys, client};
use gimmetime_clock::source;
use gimmetime_engine::{Endpoint, Home, PlaceSpec, Presence};
use gimmetime_image::Spec;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Long enough for a machine that does much else; a test that passes never waits so long.
const PATIENCE: Duration = Duration::from_mins(1);

/// The program that engines run from.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_gimmetime-engine");

/// One place; all of it ends with the test, passed or failed.
pub(crate) struct Place {
    _root: TempDir,
    pub(crate) home: Home,
    pub(crate) spec: PlaceSpec,
}

/// The static server that tests run, compiled once.
fn program() -> &'static [u8] {
    static PROGRAM: OnceLock<Vec<u8>> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/task.c");
        let binary = folder.path().join("task");
        let compiled = Command::new("cc").args(["-static", "-O1", "-o"]).arg(&binary).arg(source).status().unwrap();
        assert!(compiled.success(), "a C compiler is part of build-essential");
        std::fs::read(binary).unwrap()
    })
}

/// An address of loopback that no other test uses. Not a free port of 127.0.0.1: once it is let go, any connection of
/// another test may get it as its own.
pub(crate) fn free_address() -> SocketAddr {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let process = std::process::id();
    let octets = [127, 200 + (process >> 8) as u8 % 50, process as u8, NEXT.fetch_add(1, Ordering::Relaxed)];
    (Ipv4Addr::from(octets), 8080).into()
}

pub(crate) async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let looking = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, looking).await.unwrap_or_else(|_| panic!("in vain: {what}"))
}

pub(crate) fn kill(pid: u32) {
    kill_process(Pid::from_raw(pid.cast_signed()).unwrap(), Signal::KILL).unwrap();
}

pub(crate) fn terminate(pid: u32) {
    kill_process(Pid::from_raw(pid.cast_signed()).unwrap(), Signal::TERM).unwrap();
}

/// Whether a process runs; a zombie does not.
pub(crate) fn runs(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

/// The body of a GET, if it was answered with 200; a refused connection is told apart.
pub(crate) fn get(address: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply)?;
    let (head, body) = reply.split_once("\r\n\r\n").unwrap_or_default();
    let good = head.starts_with("HTTP/1.1 200");
    if good { Ok(body.to_owned()) } else { Err(std::io::Error::other(head.lines().next().unwrap_or("").to_owned())) }
}

impl Place {
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().canonicalize().unwrap();
        let mut spec = PlaceSpec::new("place", free_address());
        spec.health_check.interval_ms = 100;
        Self { home: Home::at(&folder, "place"), _root: root, spec }
    }

    /// Started, with an image to run.
    pub(crate) async fn started() -> (Self, Endpoint) {
        let place = Self::new();
        let endpoint = place.start().await;
        (place, endpoint)
    }

    pub(crate) async fn start(&self) -> Endpoint {
        self.home.start(&self.spec, Path::new(BINARY)).await.unwrap()
    }

    /// The reference of the test's server as an image of this place.
    pub(crate) fn image(&self) -> String {
        let spec = Spec {
            executable: program().to_vec().into(),
            command: Vec::new(),
            env: BTreeMap::from([("FROM_IMAGE".to_owned(), "yes".to_owned())]),
            port: 8080,
            title: "task".into(),
            version: "1".into(),
            labels: BTreeMap::new(),
        };
        let entry = self.home.layout().unwrap().add_or_find(&spec).unwrap();
        format!("localhost/task@{}", entry.digest)
    }

    pub(crate) async fn call(&self, endpoint: &Endpoint, target: &str, parameters: Value) -> Value {
        let target = match target.split_once('.') {
            Some(_) => target.to_owned(),
            None => format!("AmazonEC2ContainerServiceV20141113.{target}"),
        };
        let address = endpoint.url.strip_prefix("http://").unwrap().parse().unwrap();
        let keys = Keys { access_key: endpoint.access_key.clone(), secret_key: endpoint.secret_key.clone() };
        client::call(address, &keys, &target, &parameters).await.unwrap()
    }

    /// Registers a revision of the test's server with these variables; returns its ARN.
    pub(crate) async fn register(&self, endpoint: &Endpoint, image: &str, variables: &[(&str, &str)]) -> String {
        self.register_patient(endpoint, image, variables, 2).await
    }

    /// The same, with a `stopTimeout` of its own.
    pub(crate) async fn register_patient(
        &self,
        endpoint: &Endpoint,
        image: &str,
        variables: &[(&str, &str)],
        stop_timeout: u32,
    ) -> String {
        let environment: Vec<Value> =
            variables.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
        let container = json!({
            "name": "app", "image": image, "essential": true, "environment": environment, "stopTimeout": stop_timeout,
            "portMappings": [{"containerPort": 8080}], "dockerLabels": {"gimmetime.health": "/live"},
        });
        let parameters = json!({"family": "place", "containerDefinitions": [container]});
        let answer = self.call(endpoint, "RegisterTaskDefinition", parameters).await;
        answer["taskDefinition"]["taskDefinitionArn"].as_str().unwrap().to_owned()
    }

    /// A service of `count` tasks with these variables, healthy.
    pub(crate) async fn serve(&self, endpoint: &Endpoint, count: usize, variables: &[(&str, &str)]) {
        let revision = self.register(endpoint, &self.image(), variables).await;
        self.create(endpoint, &revision, count).await;
        self.steady(endpoint, count).await;
    }

    pub(crate) async fn create(&self, endpoint: &Endpoint, revision: &str, count: usize) {
        self.call(endpoint, "CreateCluster", json!({"clusterName": "place"})).await;
        let suffix = self.state()["model"]["place"]["suffix"].as_str().unwrap().to_owned();
        let group = format!("arn:aws:elasticloadbalancing:local:000000000000:targetgroup/place/{suffix}");
        let parameters = json!({
            "cluster": "place", "serviceName": "place", "taskDefinition": revision, "desiredCount": count,
            "loadBalancers": [{"targetGroupArn": group, "containerName": "app", "containerPort": 8080}],
            "deploymentConfiguration": {"deploymentCircuitBreaker": {"enable": true, "rollback": true}},
        });
        self.call(endpoint, "CreateService", parameters).await;
    }

    pub(crate) async fn service(&self, endpoint: &Endpoint) -> Value {
        let answer = self.call(endpoint, "DescribeServices", json!({"cluster": "place", "services": ["place"]})).await;
        answer["services"][0].clone()
    }

    /// Waits until `count` tasks run, one deployment is left, and it is completed.
    pub(crate) async fn steady(&self, endpoint: &Endpoint, count: usize) {
        eventually("the service is steady", async || {
            let service = self.service(endpoint).await;
            let done = service["runningCount"] == count
                && service["pendingCount"] == 0
                && service["deployments"].as_array().is_some_and(|deployments| deployments.len() == 1)
                && service["deployments"][0]["rolloutState"] == "COMPLETED";
            done.then_some(())
        })
        .await;
        eventually("the balancer answers", async || get(self.spec.listen, "/").ok()).await;
    }

    /// The journal as it is on disk.
    pub(crate) fn state(&self) -> Value {
        let bytes = std::fs::read(self.home.folder().join("state.json")).unwrap();
        serde_json::from_slice(&bytes).unwrap()
    }

    /// Ids and pids of the tasks that run.
    pub(crate) fn running(&self) -> Vec<(String, u32)> {
        let state = self.state();
        let tasks = state["model"]["tasks"].as_object().unwrap();
        let running = tasks.iter().filter(|(_, task)| task["last_status"] == "RUNNING");
        running.map(|(id, task)| (id.clone(), task["process"]["pid"].as_u64().unwrap() as u32)).collect()
    }

    pub(crate) fn plane(&self) -> u32 {
        let file: Value = serde_json::from_slice(&std::fs::read(self.file("plane.json")).unwrap()).unwrap();
        file["process"]["pid"].as_u64().unwrap() as u32
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.home.folder().join(name)
    }

    /// All lines of all tasks, in time order.
    pub(crate) async fn lines(&self, endpoint: &Endpoint) -> Vec<String> {
        let parameters = json!({"logGroupName": "/gimmetime/place"});
        let answer = self.call(endpoint, "Logs_20140328.FilterLogEvents", parameters).await;
        let events = answer["events"].as_array().unwrap().iter();
        events.map(|event| event["message"].as_str().unwrap().to_owned()).collect()
    }

    pub(crate) async fn stop(&self) {
        self.home.stop(Path::new(BINARY), |_| {}).await.unwrap();
        assert!(matches!(self.home.presence().unwrap(), Presence::Stopped));
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.home.engine_log()).unwrap_or_default();
            eprintln!("--- engine.log\n{log}");
        }
        // The supervisor first, or it would replace what is killed.
        let deadline = source::mono().plus(PATIENCE);
        while !matches!(self.home.presence(), Ok(Presence::Absent | Presence::Stopped)) && source::mono() < deadline {
            let _ = self.home.kill();
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

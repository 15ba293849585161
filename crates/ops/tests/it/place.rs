//! A place on the emulator, of a test's own: cluster, balancer, target group, log groups, and an image. Removed at the end.

#[path = "../../src/testing/spec.rs"]
mod spec;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_runtime_api::client::behavior_version::BehaviorVersion;
use aws_types::SdkConfig;
use aws_types::region::Region;
use gimmetime_ops::{
    Cancel, Connection, Event, Fargate, Launch, Place, Probe, Rollout, RolloutReport, Run, ServiceSpec, Size,
};
use serde_json::Value;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// How long anything may take before a test gives up on it. Far above what it takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_mins(3);

/// A place on the emulator.
pub(crate) struct Made {
    pub(crate) place: Place,
    name: String,
    image: String,
}

#[expect(clippy::disallowed_methods, reason = "the test runner says where its parts are")]
fn told(name: &str) -> String {
    let part = std::env::var(name);
    part.unwrap_or_else(|_| panic!("{name} is not set: run `cargo xtask test`, which starts what tests need"))
}

/// Runs a command to a good end and returns what it printed.
#[track_caller]
fn run_command(command: &mut Command, input: &str) -> String {
    let output = output(command, input);
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn output(command: &mut Command, input: &str) -> Output {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn here(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it").join(file)
}

/// One verb of the script that makes places.
fn script(verb: &str, name: &str) -> Command {
    let python = Path::new(&told("GIMMETIME_VENV")).join("bin/python");
    let mut command = Command::new(python);
    command.arg("-B").arg(here("place.py")).args([&told("GIMMETIME_MINISTACK"), verb, name]);
    command
}

impl Made {
    /// A place under a name that no other test has.
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("ops-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let folder = tempfile::tempdir().unwrap();
        let image = format!("{name}:1");
        build(folder.path(), &image);
        let made: Value = serde_json::from_str(&run_command(&mut script("make", &name), "")).unwrap();
        let place = place(&name, &made);
        Self { place, name, image }
    }

    /// What runs: the image of `task.c` with these variables.
    pub(crate) fn spec(&self, env: &[(&str, &str)]) -> ServiceSpec {
        let env = env.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        ServiceSpec { env, ..spec::spec_of(&self.image) }
    }

    /// Writes these events into the place's memory, as the event bus does.
    pub(crate) fn remember(&self, events: &[Value]) {
        let lines: Vec<String> = events.iter().map(Value::to_string).collect();
        run_command(&mut script("remember", &self.name), &lines.join("\n"));
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        let removed = output(&mut script("remove", &self.name), "");
        output(Command::new("docker").args(["image", "rm", "--force", &self.image]), "");
        if !std::thread::panicking() {
            assert!(removed.status.success(), "{}", String::from_utf8_lossy(&removed.stderr));
        }
    }
}

/// Compiles `task.c` and makes an image of nothing else.
fn build(folder: &Path, image: &str) {
    run_command(Command::new("cc").args(["-static", "-Os", "-o"]).arg(folder.join("task")).arg(here("task.c")), "");
    let recipe = "FROM scratch\nCOPY task /task\nUSER 65532:65532\nENTRYPOINT [\"/task\"]\n";
    std::fs::write(folder.join("Dockerfile"), recipe).unwrap();
    // From nothing: equal images would be one, and a test that ends would take it from another that begins.
    let build = ["build", "--quiet", "--no-cache", "--tag", image, "."];
    run_command(Command::new("docker").args(build).current_dir(folder), "");
}

fn place(name: &str, made: &Value) -> Place {
    let text = |key: &str| made[key].as_str().unwrap().to_owned();
    let endpoint = told("GIMMETIME_MINISTACK");
    let keys = SharedCredentialsProvider::new(Credentials::from_keys("test", "test", None));
    let config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(&endpoint)
        .region(Region::new("eu-west-1"))
        .credentials_provider(keys)
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build();
    let fargate = Fargate {
        region: "eu-west-1".to_owned(),
        account: text("account"),
        subnets: made["subnets"].as_array().unwrap().iter().map(|it| it.as_str().unwrap().to_owned()).collect(),
        security_groups: vec!["sg-00000000".to_owned()],
        public_ip: true,
        execution_role_arn: text("role"),
        task_role_arn: None,
        architecture: "X86_64".to_owned(),
    };
    Place {
        cluster: name.to_owned(),
        service: name.to_owned(),
        target_group_arn: text("target_group"),
        log_group: format!("/gimmetime/{name}"),
        event_log_group: Some(format!("/aws/events/gimmetime/{name}")),
        url: format!("http://{}/now", text("dns")).parse().unwrap(),
        connect_to: Some(endpoint.trim_start_matches("http://").parse().unwrap()),
        endpoint: Connection::from_config(&config, &endpoint),
        poll: Duration::from_millis(200),
        patience: PATIENCE,
        probe: Probe {
            rate: 10.0,
            timeout: Duration::from_secs(10),
            judge_clock: true,
            tail: Duration::from_millis(500),
        },
        launch: Launch::Fargate(fargate),
        tags: BTreeMap::from([("gimmetime:name".to_owned(), name.to_owned())]),
    }
}

/// A run by alice, and its events.
pub(crate) fn run() -> (Run, UnboundedReceiver<Event>) {
    let (events, receiver) = unbounded_channel();
    let pushed = Some(Duration::from_millis(120));
    (Run { who: "alice".to_owned(), pushed, events, cancel: Cancel::never() }, receiver)
}

/// No request failed, and the probe saw what it says; else when each was lost, how, and in which phase of what.
#[track_caller]
pub(crate) fn nothing_lost(report: &RolloutReport) {
    let tally = report.tally.as_ref().unwrap();
    assert_eq!((tally.failed, tally.unverified), (0, 0), "{report:#?}");
    assert!(0 < tally.answered() && tally.clock.is_some(), "{report:#?}");
}

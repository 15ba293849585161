//! A place on AWS of a test's own, under a name that nobody else uses. It is taken down at the end.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;

use crate::aws::venv;
use crate::place::{Place, Ran, runs_commands};

/// Variables by which the user's own account could be meant.
const CLEARED: [&str; 7] = [
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_SESSION_TOKEN",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
];
/// The region of every place here.
pub(crate) const REGION: &str = "eu-west-1";
/// The account that the emulator has for keys of no account's own.
pub(crate) const ACCOUNT: &str = "000000000000";

/// A place on AWS of a test's own.
pub(crate) struct Cloud {
    folder: tempfile::TempDir,
    pub(crate) name: String,
}

/// Where the emulator listens: `127.0.0.1:4566`.
pub(crate) fn emulator() -> String {
    #[expect(clippy::disallowed_methods, reason = "the test runner says where it started the emulator")]
    let url = std::env::var("GIMMETIME_MINISTACK");
    let url = url.expect("GIMMETIME_MINISTACK is not set: run `cargo xtask test`, which starts the stand-in for AWS");
    url.trim_start_matches("http://").trim_end_matches('/').to_owned()
}

impl Cloud {
    /// Nothing yet; settings that name a target on AWS.
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        // What is taken down at the end needs it too: two panics at once would end all tests.
        emulator();
        let name = format!("it-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let cloud = Self { folder: tempfile::tempdir().unwrap(), name };
        cloud.settings("", "");
        cloud
    }

    /// Writes `gimmetime.toml`, with more lines for the target and for the service.
    pub(crate) fn settings(&self, target: &str, service: &str) {
        let text = format!(
            "name = \"{}\"\n[targets.production]\naws = {{ account = \"{ACCOUNT}\", region = \"{REGION}\" }}\n{target}\n\
             [service]\n{service}\n",
            self.name
        );
        self.file("gimmetime.toml", &text);
    }

    /// Writes a file.
    pub(crate) fn file(&self, name: &str, text: &str) {
        std::fs::write(self.folder().join(name), text).unwrap();
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A command of the program, as it is typed for this place; the balancer and the registry are where the emulator is.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let emulator = emulator();
        let mut command = self.bare(args);
        command.args(["--target", "production", "--connect-to", &emulator]);
        command.args(["--registry", &format!("{emulator}/{}", self.name)]);
        command
    }

    /// A command of the program with nothing said beyond the settings.
    pub(crate) fn bare(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gimmetime"));
        command.current_dir(self.folder()).args(args).stdin(Stdio::null());
        for name in CLEARED {
            command.env_remove(name);
        }
        command
            .env("GIMMETIME_STATE", self.folder().join("state"))
            .env("HOME", self.folder())
            .env("AWS_CONFIG_FILE", "/dev/null")
            .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AWS_ENDPOINT_URL", format!("http://{}", emulator()))
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test");
        command
    }

    runs_commands!();

    /// What the account holds of this place, as boto3 sees it.
    #[track_caller]
    pub(crate) fn inventory(&self) -> Vec<String> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/cloud/inventory.py");
        let ran = Ran::of(self.client("python", &["-B", script.to_str().unwrap(), &self.name]));
        assert_eq!(ran.code, Some(0), "{ran:#?}");
        ran.stdout.lines().map(str::to_owned).collect()
    }

    /// The AWS CLI, to a good end.
    #[track_caller]
    pub(crate) fn aws(&self, line: &str) -> Value {
        let ran = Ran::of(self.client("aws", &line.split_whitespace().collect::<Vec<_>>()));
        assert_eq!(ran.code, Some(0), "aws {line}: {ran:#?}");
        serde_json::from_str(&ran.stdout).unwrap_or(Value::Null)
    }

    fn client(&self, program: &str, args: &[&str]) -> Output {
        let program: PathBuf = venv().join("bin").join(program);
        let mut command = self.bare(&[]);
        let mut client = Command::new(program);
        client.args(args).current_dir(self.folder()).stdin(Stdio::null()).env("AWS_DEFAULT_REGION", REGION);
        for (name, value) in command.env("NO_PROXY", "127.0.0.1").get_envs() {
            match value {
                Some(value) => client.env(name, value),
                None if name == "AWS_DEFAULT_REGION" => &mut client,
                None => client.env_remove(name),
            };
        }
        client.output().unwrap()
    }
}

impl Drop for Cloud {
    fn drop(&mut self) {
        self.settings("protect = false", "");
        let ran = self.run(&["down", "--yes", "--name", &self.name]);
        // A failing test has its own words; these would only hide them.
        if !std::thread::panicking() {
            assert_eq!(ran.code, Some(0), "down at the end: {ran:#?}");
        }
    }
}

impl Place {
    /// What `env` prints, as variables.
    pub(crate) fn exports(&self) -> Vec<(String, String)> {
        let printed = self.must(&["env"]).stdout;
        let pairs = printed.lines().filter_map(|line| line.strip_prefix("export ")?.split_once('='));
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }
}

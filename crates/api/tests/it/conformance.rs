//! botocore drives every operation, and every raw reply is held against its service models.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use crate::world::{Served, TARGET_GROUP, TestWorld};

/// Where the pinned Python clients are.
fn venv() -> PathBuf {
    #[expect(clippy::disallowed_methods, reason = "the test runner says where it put the clients")]
    let venv = std::env::var_os("GIMMETIME_VENV");
    PathBuf::from(venv.expect("GIMMETIME_VENV is not set: run `cargo xtask test`, which makes the Python clients"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_raw_reply_is_exactly_what_the_service_models_say() {
    let served = Served::start(TestWorld::new()).await;
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let run = Command::new(venv().join("bin/python"))
        .arg("-B")
        .arg(here.join("tests/it/conformance.py"))
        .arg(here.join("../cli/tests/it/conformance"))
        .args([&served.address.to_string(), &served.keys.access_key, &served.keys.secret_key, TARGET_GROUP])
        .env_clear()
        .env("PATH", venv().join("bin"))
        .env("HOME", "/nonexistent")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(Duration::from_mins(2), run).await.expect("the clients come to an end").unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    assert!(out.contains("0 problems"), "{out}\n{err}");
    served.stop().await;
}

//! Everything that must hold, in the order in which it is cheap to learn that it does not.

use anyhow::Result;

use crate::run::{cargo, must, step};
use crate::{parts, tidy, venv};

/// Format, lints, tidy, then every test with the real parts it needs.
pub(crate) fn run() -> Result<()> {
    step("format", || must(&mut cargo(&["fmt", "--all", "--check"])))?;
    step("tidy", tidy::run)?;
    step("clippy", || {
        must(&mut cargo(&["clippy", "--locked", "--workspace", "--all-targets", "--", "--deny", "warnings"]))
    })?;
    let clients = step("clients: awscli, boto3, policy_sentry", || venv::make("venv", "requirements.txt"))?;
    let lint = step("template checks: cfn-lint and checkov", || venv::make("lint", "requirements-lint.txt"))?;
    let aws = step("stand-in for AWS: ministack", || venv::make("aws", "requirements-aws.txt"))?;
    step("build", || must(&mut cargo(&["test", "--locked", "--workspace", "--no-run"])))?;
    // Held until the tests are over.
    let _engine = step("container engine", parts::container_engine)?;
    let (url, _emulator) = step("start ministack", || parts::emulator(&aws))?;
    step("tests", || {
        let mut tests = cargo(&["test", "--locked", "--workspace"]);
        tests.env("GIMMETIME_VENV", &clients).env("GIMMETIME_LINT", &lint).env("GIMMETIME_MINISTACK", &url);
        must(&mut tests)
    })
}

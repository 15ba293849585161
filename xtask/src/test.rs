//! Everything that must hold, in the order in which it is cheap to learn that it does not.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::run::{cargo, must, root, step, target};
use crate::tidy;

/// Format, lints, tidy, then every test with the real clients they need.
pub(crate) fn run() -> Result<()> {
    step("format", || must(&mut cargo(&["fmt", "--all", "--check"])))?;
    step("tidy", tidy::run)?;
    step("clippy", || {
        must(&mut cargo(&["clippy", "--locked", "--workspace", "--all-targets", "--", "--deny", "warnings"]))
    })?;
    let venv = target()?.join("venv");
    step("clients: awscli and boto3", || make_venv(&venv))?;
    step("build", || must(&mut cargo(&["test", "--locked", "--workspace", "--no-run"])))?;
    step("tests", || must(cargo(&["test", "--locked", "--workspace"]).env("GIMMETIME_VENV", &venv)))
}

/// A Python environment with the pinned clients, made once for each set of pins.
fn make_venv(venv: &Path) -> Result<()> {
    let requirements = root().join("xtask/requirements.txt");
    let wanted = std::fs::read_to_string(&requirements)?;
    let stamp: PathBuf = venv.join("made-from");
    if std::fs::read_to_string(&stamp).is_ok_and(|made| made == wanted) {
        return Ok(());
    }
    must(Command::new("python3").args(["-m", "venv", "--clear"]).arg(venv))?;
    must(
        Command::new(venv.join("bin/pip"))
            .args(["install", "--quiet", "--disable-pip-version-check", "--requirement"])
            .arg(&requirements),
    )?;
    std::fs::write(stamp, wanted)?;
    Ok(())
}

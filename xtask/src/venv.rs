//! Python environments with pinned programs, each made once for each set of pins.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::run::{must, root, target};

/// The environment in `target/NAME` with what `xtask/REQUIREMENTS` pins.
pub(crate) fn make(name: &str, requirements: &str) -> Result<PathBuf> {
    let venv = target()?.join(name);
    let requirements = root().join("xtask").join(requirements);
    let wanted = std::fs::read_to_string(&requirements)?;
    let stamp: PathBuf = venv.join("made-from");
    if std::fs::read_to_string(&stamp).is_ok_and(|made| made == wanted) {
        return Ok(venv);
    }
    install(&venv, &requirements)?;
    std::fs::write(stamp, wanted)?;
    Ok(venv)
}

fn install(venv: &Path, requirements: &Path) -> Result<()> {
    must(Command::new("python3").args(["-m", "venv", "--clear"]).arg(venv))?;
    must(
        Command::new(venv.join("bin/pip"))
            .args(["install", "--quiet", "--disable-pip-version-check", "--requirement"])
            .arg(requirements),
    )
}

//! What the compiler does not check: arrows between rooms, licences, duplicate versions, `forbid(unsafe_code)`, lengths.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use cargo_metadata::{Metadata, MetadataCommand};

use crate::run::root;

/// Which room may use which. A room that is not named here is an error, and so is an arrow that is not.
const ARROWS: [(&str, &[&str]); 13] = [
    ("clock", &[]),
    ("server", &["clock"]),
    ("check", &["clock"]),
    ("image", &[]),
    ("scheduler", &["clock"]),
    ("balancer", &["clock"]),
    ("api", &["clock", "scheduler"]),
    ("engine", &["api", "balancer", "check", "clock", "image", "scheduler"]),
    ("ops", &["check", "clock"]),
    ("registry", &["clock", "image"]),
    ("aws", &["clock", "ops"]),
    ("cli", &["aws", "check", "clock", "engine", "image", "ops", "registry", "server"]),
    ("xtask", &[]),
];

/// Only these rooms see the AWS SDK.
const SEES_SDK: [&str; 3] = ["ops", "aws", "cli"];

/// Licences that a dependency may have; one of an `OR` is enough.
const LICENCES: [&str; 11] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
    "CC0-1.0",
];

/// Crates that stand twice in the lock file, each with its reason. Anything else that does is an error.
const LOGIN: &str = "`aws login` (aws-config) signs with p256, which is still on digest 0.10";
const TWICE: [(&str, &str); 11] = [
    ("syn", "the derive crates are moving from 2 to 3; build time only"),
    ("block-buffer", LOGIN),
    ("const-oid", LOGIN),
    ("cpufeatures", LOGIN),
    ("crypto-common", LOGIN),
    ("digest", LOGIN),
    ("getrandom", LOGIN),
    ("hmac", LOGIN),
    ("rand", LOGIN),
    ("rand_core", LOGIN),
    ("sha2", LOGIN),
];

/// Production lines in a file; above this a file is more than one noun.
const LONGEST_FILE: usize = 400;

/// Checks everything and reports all that is wrong at once.
pub(crate) fn run() -> Result<()> {
    let metadata = MetadataCommand::new()
        .current_dir(root())
        .other_options(["--locked".to_owned(), "--filter-platform=x86_64-unknown-linux-gnu".to_owned()])
        .exec()?;
    let mut wrong = Vec::new();
    arrows(&metadata, &mut wrong);
    licences(&metadata, &mut wrong);
    duplicates(&metadata, &mut wrong);
    sources(&mut wrong)?;
    ensure!(wrong.is_empty(), "{} things are untidy:\n  {}", wrong.len(), wrong.join("\n  "));
    println!("tidy: {} packages, {} rooms", metadata.packages.len(), ARROWS.len());
    Ok(())
}

/// The folder a workspace package lies in: its room.
fn room(package: &cargo_metadata::Package) -> String {
    package.manifest_path.parent().and_then(|dir| dir.file_name()).unwrap_or_default().to_owned()
}

fn arrows(metadata: &Metadata, wrong: &mut Vec<String>) {
    let allowed: BTreeMap<&str, &[&str]> = ARROWS.into_iter().collect();
    let rooms: BTreeMap<String, String> =
        metadata.workspace_packages().iter().map(|package| (package.name.to_string(), room(package))).collect();
    for package in metadata.workspace_packages() {
        let from = room(package);
        let Some(may) = allowed.get(from.as_str()) else {
            wrong.push(format!("room `{from}` is not in the table of arrows (xtask/src/tidy.rs)"));
            continue;
        };
        for dependency in package.dependencies.iter().filter(|d| d.kind == cargo_metadata::DependencyKind::Normal) {
            match rooms.get(&dependency.name) {
                Some(to) if !may.contains(&to.as_str()) => wrong.push(format!("`{from}` must not depend on `{to}`")),
                None if dependency.name.starts_with("aws-") && !SEES_SDK.contains(&from.as_str()) => {
                    wrong.push(format!("`{from}` must not see the AWS SDK, but depends on `{}`", dependency.name));
                }
                _ => {}
            }
        }
    }
}

fn licences(metadata: &Metadata, wrong: &mut Vec<String>) {
    for package in &metadata.packages {
        let licence = package.license.as_deref().unwrap_or("none given");
        if !acceptable(licence) {
            wrong.push(format!("{} {} has licence `{licence}`", package.name, package.version));
        }
    }
}

/// Whether an SPDX expression can be satisfied by [`LICENCES`]. `AND` needs all, `OR` (or the old `/`) needs one.
fn acceptable(expression: &str) -> bool {
    let expression = expression.replace('/', " OR ");
    expression.split(" AND ").all(|all| {
        all.trim_matches(['(', ')', ' ']).split(" OR ").any(|one| LICENCES.contains(&one.trim_matches(['(', ')', ' '])))
    })
}

fn duplicates(metadata: &Metadata, wrong: &mut Vec<String>) {
    let mut versions: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for package in &metadata.packages {
        versions.entry(package.name.as_str()).or_default().insert(package.version.to_string());
    }
    let twice: BTreeMap<&str, &str> = TWICE.into_iter().collect();
    for (name, versions) in &versions {
        if versions.len() > 1 && !twice.contains_key(name) {
            wrong.push(format!("{name} is there in {} versions: {versions:?}", versions.len()));
        }
    }
    for name in twice.keys() {
        if versions.get(name).is_none_or(|versions| versions.len() < 2) {
            wrong.push(format!("{name} is excused from standing twice, but does not"));
        }
    }
}

fn sources(wrong: &mut Vec<String>) -> Result<()> {
    // In CI the folder may be another user's, which git would refuse to look at.
    let ls_files = ["-c", "safe.directory=*", "ls-files", "*.rs"];
    let listed = Command::new("git").args(ls_files).current_dir(root()).output().context("git ls-files")?;
    ensure!(listed.status.success(), "git ls-files: {}", String::from_utf8_lossy(&listed.stderr).trim());
    for path in String::from_utf8(listed.stdout)?.lines() {
        let Ok(text) = std::fs::read_to_string(root().join(path)) else { continue };
        let is_test = path.contains("/tests/") || path.ends_with("tests.rs");
        let lines = text.lines().take_while(|line| line.trim() != "#[cfg(test)]").count();
        if !is_test && lines > LONGEST_FILE {
            wrong.push(format!("{path} has {lines} production lines, more than {LONGEST_FILE}: is it still one noun?"));
        }
        let is_root = path.ends_with("src/lib.rs") || path.ends_with("src/main.rs");
        if is_root && !path.starts_with("crates/clock/") && !text.contains("#![forbid(unsafe_code)]") {
            wrong.push(format!("{path} lacks #![forbid(unsafe_code)]"));
        }
    }
    Ok(())
}

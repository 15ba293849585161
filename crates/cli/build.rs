//! Builds the time service as a small static executable, to be embedded in this program with the list of its crates.
//!
//! A nested cargo does it, in a target folder of its own, under rules that make its bytes the same in every folder and
//! for every caller: a cleared environment, flags that override any configuration, and paths remapped out of it.
#![forbid(unsafe_code)]
#![expect(clippy::disallowed_methods, reason = "cargo speaks to a build script through its environment")]

use std::collections::BTreeSet;
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the nested build may see. Anything else (a wrapper of clippy's, flags of the outer build) would change the bytes.
const KEPT: [&str; 10] = [
    "PATH",
    "HOME",
    "CARGO_HOME",
    "RUSTUP_HOME",
    "RUSTUP_TOOLCHAIN",
    "MAKEFLAGS",
    "CARGO_MAKEFLAGS",
    "CARGO_NET_OFFLINE",
    "CC",
    "AR",
];

fn main() {
    let manifest_dir = PathBuf::from(required("CARGO_MANIFEST_DIR"));
    let workspace = manifest_dir.join("../..").canonicalize().expect("the crate lies two folders below the workspace");
    for path in ["Cargo.toml", "Cargo.lock", "crates/clock", "crates/server"] {
        println!("cargo::rerun-if-changed={}", workspace.join(path).display());
    }
    let target = required("TARGET");
    let (executable, crates) = if target == "x86_64-unknown-linux-gnu" {
        let path = build(&workspace, &target);
        let bytes = std::fs::read(&path).expect("the nested build left its executable");
        assert!(is_static(&bytes), "{} is not static: is libc.a installed (build-essential)?", path.display());
        (bytes, crates(&workspace, &target))
    } else {
        // Elsewhere nothing is embedded, and the program asks for a path to an executable.
        (Vec::new(), String::new())
    };
    let out = PathBuf::from(required("OUT_DIR"));
    std::fs::write(out.join("gimmetime-server"), executable).expect("OUT_DIR is writable");
    std::fs::write(out.join("gimmetime-server.crates"), crates).expect("OUT_DIR is writable");
}

/// A cargo in the workspace that sees of this one's environment only what is [`KEPT`].
fn cargo(workspace: &Path) -> Command {
    let mut cargo = Command::new(required("CARGO"));
    cargo.current_dir(workspace).env_clear();
    for name in KEPT {
        if let Some(value) = env::var_os(name) {
            cargo.env(name, value);
        }
    }
    cargo
}

/// Runs the nested cargo and returns where the executable lies.
fn build(workspace: &Path, target: &str) -> PathBuf {
    let target_dir = embed_dir();
    let mut cargo = cargo(workspace);
    cargo
        .env("CARGO_ENCODED_RUSTFLAGS", flags(workspace).join("\u{1f}"))
        .args(["build", "--locked", "--quiet", "--profile", "server", "--package", "gimmetime-server"])
        .args(["--bin", "gimmetime-server", "--target", target, "--target-dir"])
        .arg(&target_dir);
    let status = cargo.status().expect("cargo runs: it runs us");
    assert!(status.success(), "building the embedded gimmetime-server failed: {status}");
    target_dir.join(target).join("server/gimmetime-server")
}

/// The crates that are linked into the executable: name, version, licence and sha256 of the package, a line for each,
/// tabs between. What only runs while it is compiled is not among them, and the workspace's own have no sha256.
fn crates(workspace: &Path, target: &str) -> String {
    let mut cargo = cargo(workspace);
    cargo.args(["tree", "--locked", "--quiet", "--package", "gimmetime-server", "--target", target]).args([
        "--edges",
        "normal,no-proc-macro",
        "--prefix",
        "none",
        "--no-dedupe",
        "--format",
        "{p}\t{l}",
    ]);
    let listed = cargo.output().expect("cargo runs: it runs us");
    assert!(listed.status.success(), "listing the crates failed: {}", String::from_utf8_lossy(&listed.stderr));
    let listed = String::from_utf8(listed.stdout).expect("cargo speaks UTF-8");
    let lock = std::fs::read_to_string(workspace.join("Cargo.lock")).expect("the workspace has a Cargo.lock");
    let lines: BTreeSet<String> = listed
        .lines()
        .map(|line| {
            let (package, licence) = line.split_once('\t').expect("the format has a tab");
            let mut words = package.split(' ');
            let (name, version) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
            let version = version.trim_start_matches('v');
            let checksum = checksum(&lock, name, version).unwrap_or_default();
            format!("{name}\t{version}\t{}\t{checksum}\n", licence.replace('/', " OR "))
        })
        .collect();
    lines.into_iter().collect()
}

/// The sha256 of a package, as the lock file has it.
fn checksum<'a>(lock: &'a str, name: &str, version: &str) -> Option<&'a str> {
    let (name, version) = (format!("name = \"{name}\""), format!("version = \"{version}\""));
    let is_it = |entry: &&str| entry.lines().any(|line| line == name) && entry.lines().any(|line| line == version);
    let entry = lock.split("[[package]]").find(is_it)?;
    entry.lines().find_map(|line| line.strip_prefix("checksum = \"")?.strip_suffix('"'))
}

/// Static, without position independence (40 KB), and with no path of this machine in it.
fn flags(workspace: &Path) -> Vec<String> {
    let cargo_home =
        env::var("CARGO_HOME").map_or_else(|_| PathBuf::from(required("HOME")).join(".cargo"), PathBuf::from);
    let sysroot = Command::new(required("RUSTC")).args(["--print", "sysroot"]).output().expect("rustc runs");
    let sysroot = String::from_utf8(sysroot.stdout).expect("a sysroot is text");
    vec![
        "-Ctarget-feature=+crt-static".to_owned(),
        "-Crelocation-model=static".to_owned(),
        format!("--remap-path-prefix={}=/gimmetime", workspace.display()),
        format!("--remap-path-prefix={}=/cargo", cargo_home.display()),
        format!("--remap-path-prefix={}=/rust", sysroot.trim()),
    ]
}

/// One folder for all callers (check, clippy, test, release): `TARGET_DIR/embed`, found from `OUT_DIR`'s ancestors.
fn embed_dir() -> PathBuf {
    let out_dir = PathBuf::from(required("OUT_DIR"));
    // OUT_DIR is TARGET_DIR[/TRIPLE]/PROFILE/build/PACKAGE-HASH/out.
    let build = out_dir.ancestors().find(|path| path.ends_with("build")).expect("OUT_DIR lies below a build folder");
    let profile = build.parent().expect("a build folder lies in a profile folder");
    profile.parent().expect("a profile folder lies in a target folder").join("embed")
}

/// Whether an ELF file has no program interpreter (`PT_INTERP`, 3).
fn is_static(elf: &[u8]) -> bool {
    let number =
        |at: usize, len: usize| elf[at..at + len].iter().rev().fold(0_usize, |n, byte| n << 8 | usize::from(*byte));
    assert!(elf.starts_with(b"\x7fELF\x02\x01"), "the nested build left no 64-bit little-endian ELF file");
    let (table, entry_size, entries) = (number(32, 8), number(54, 2), number(56, 2));
    (0..entries).all(|entry| number(table + entry * entry_size, 4) != 3)
}

/// A variable that cargo sets for every build script.
fn required(name: &str) -> String {
    env::var(name).unwrap_or_else(|error| panic!("cargo sets {name} for build scripts: {error}"))
}

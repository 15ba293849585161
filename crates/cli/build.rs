//! Builds the time service as a small static executable, to be embedded in this program.
//!
//! A nested cargo does it, in a target folder of its own, under rules that make its bytes the same in every folder and
//! for every caller: a cleared environment, flags that override any configuration, and paths remapped out of it.
#![forbid(unsafe_code)]
#![expect(clippy::disallowed_methods, reason = "cargo speaks to a build script through its environment")]

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
    let out = PathBuf::from(required("OUT_DIR")).join("gimmetime-server");
    let target = required("TARGET");
    let built = (target == "x86_64-unknown-linux-gnu").then(|| build(&workspace, &target));
    match built {
        Some(path) => {
            let bytes = std::fs::read(&path).expect("the nested build left its executable");
            assert!(is_static(&bytes), "{} is not static: is libc.a installed (build-essential)?", path.display());
            std::fs::write(&out, bytes).expect("OUT_DIR is writable");
        }
        // Elsewhere nothing is embedded, and the program asks for a path to an executable.
        None => std::fs::write(&out, []).expect("OUT_DIR is writable"),
    }
}

/// Runs the nested cargo and returns where the executable lies.
fn build(workspace: &Path, target: &str) -> PathBuf {
    let target_dir = embed_dir();
    let mut cargo = Command::new(required("CARGO"));
    cargo.current_dir(workspace).env_clear();
    for name in KEPT {
        if let Some(value) = env::var_os(name) {
            cargo.env(name, value);
        }
    }
    cargo
        .env("CARGO_ENCODED_RUSTFLAGS", flags(workspace).join("\u{1f}"))
        .args(["build", "--locked", "--quiet", "--profile", "server", "--package", "gimmetime-server"])
        .args(["--bin", "gimmetime-server", "--target", target, "--target-dir"])
        .arg(&target_dir);
    let status = cargo.status().expect("cargo runs: it runs us");
    assert!(status.success(), "building the embedded gimmetime-server failed: {status}");
    target_dir.join(target).join("server/gimmetime-server")
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

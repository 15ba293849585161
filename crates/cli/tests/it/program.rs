//! Executables for tests: a service of a few lines of C that knows nothing of the time, and files that are none.

use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use crate::place::Place;

/// The service, compiled once: static, it listens on `$PORT` and does as `$MODE` says.
pub(crate) fn service() -> &'static [u8] {
    static SERVICE: OnceLock<Vec<u8>> = OnceLock::new();
    SERVICE.get_or_init(|| compile(&["-static"]))
}

/// The same service with another answer: `second`.
pub(crate) fn second_service() -> &'static [u8] {
    static SERVICE: OnceLock<Vec<u8>> = OnceLock::new();
    SERVICE.get_or_init(|| compile(&["-static", "-DGREETING=\"second\""]))
}

/// A service that tells the time, and leaves gently: static, it listens on `$PORT`, and on `$ALSO` if that is set.
pub(crate) fn time_service() -> Vec<u8> {
    compile_source("../ops/tests/it/task.c", &["-static"])
}

/// The service as the compiler makes it of these flags.
pub(crate) fn compile(flags: &[&str]) -> Vec<u8> {
    compile_source("../engine/tests/it/task.c", flags)
}

fn compile_source(source: &str, flags: &[&str]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(source);
    let made = folder.path().join("task");
    let compiled = Command::new("cc").arg("-O1").args(flags).arg("-o").arg(&made).arg(source).status().unwrap();
    assert!(compiled.success(), "a C compiler is part of build-essential");
    std::fs::read(made).unwrap()
}

impl Place {
    /// Puts the service here as `./task`, and settings that run it in this mode.
    pub(crate) fn serve_task(&self, mode: &str) {
        self.file("task", service());
        self.settings(&task_settings(&format!("env = {{ MODE = \"{mode}\" }}")));
    }
}

/// Settings that run `./task`, with more lines of `[service]`.
pub(crate) fn task_settings(more: &str) -> String {
    format!("[service]\nimage = \"./task\"\nhealth = \"/live\"\nprobe = \"/greeting\"\n{more}\n")
}

//! The engine's own processes as a program: `engine supervise --home DIR` and `engine balance --home DIR`.
//!
//! Users have them as hidden commands of `gimmetime`; this is the least that an engine can run from.
#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let words: Vec<&str> = arguments.iter().take(3).filter_map(|argument| argument.to_str()).collect();
    let ended = match (words.as_slice(), arguments.get(3)) {
        (["engine", "supervise", "--home"], Some(home)) => gimmetime_engine::supervise(Path::new(home)),
        (["engine", "balance", "--home"], Some(home)) => gimmetime_engine::balance(Path::new(home)),
        _ => return ExitCode::from(2),
    };
    if ended.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

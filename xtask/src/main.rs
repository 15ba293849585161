//! test, tidy, bench: the project's own tools, behind `cargo xtask`.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a developer's tool speaks to a developer")]

mod bench;
mod parts;
mod run;
mod test;
mod tidy;
mod venv;

use std::process::ExitCode;

const USAGE: &str = "usage: cargo xtask COMMAND

  test            everything that must hold: format, lints, tidy, and all tests with real parts
  tidy            the arrows between rooms, licences, duplicate versions, lengths of files
  bench engine    times of up, deploy and scale, requests lost in rollouts, CPU beside nginx
  bench aws       the verbs on AWS against an emulator: times, own share, memory, requests lost
  bench image     a push of the image into a registry on loopback, beside skopeo, buildah and docker";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let result = match args.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["test"] => test::run(),
        ["tidy"] => tidy::run(),
        ["bench", "engine"] => bench::engine(),
        ["bench", "aws"] => bench::aws(),
        ["bench", "image"] => bench::image(),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

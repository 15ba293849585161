//! From a task in the model to a process: its program, environment, port, secrets and output.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use gimmetime_scheduler::model::{Secret, Task, TaskDefinition, TaskId};

use crate::home::Home;
use crate::logs::Fifos;
use crate::marker::{HOME, PORT, TASK};
use crate::ports::Ports;
use crate::process::{self, Execution, Handle};
use crate::programs::Programs;

/// On which address it listens, if it heeds that: it is then not reached past the balancer.
const HOST: &str = "HOST";
/// Where a task asks about itself, as on Fargate.
const METADATA: &str = "ECS_CONTAINER_METADATA_URI_V4";
/// The longest secret read, in bytes: as AWS Secrets Manager has it.
const LONGEST_SECRET: u64 = 64 << 10;

/// What a task is started with, beside itself.
#[derive(Debug)]
pub(crate) struct Launcher<'a> {
    pub(crate) home: &'a Home,
    pub(crate) programs: &'a mut Programs,
    pub(crate) ports: &'a mut Ports,
    /// Where the metadata endpoint answers.
    pub(crate) api: SocketAddr,
}

/// A task that was started.
#[derive(Debug)]
pub(crate) struct Launched {
    pub(crate) handle: Handle,
    pub(crate) address: SocketAddr,
    pub(crate) fifos: Fifos,
}

impl Launcher<'_> {
    /// Starts a task; why it could not be is said as ECS says it.
    pub(crate) fn launch(&mut self, task: &Task, definition: &TaskDefinition) -> Result<Launched, String> {
        let (program, arguments) = self.programs.prepare(definition)?;
        let mut environment = program.environment.clone();
        // A custom of services, which a definition may overrule.
        environment.insert(HOST.to_owned(), Ipv4Addr::LOCALHOST.to_string());
        environment.extend(definition.environment.clone());
        environment.extend(secrets(&definition.secrets)?);
        let port = self.ports.allocate(&task.id).map_err(|error| refused("find a port", &error))?;
        environment.extend(self.own_variables(&task.id, port));
        let folder = self.home.task(&task.id.0);
        let fifos = Fifos::open(&folder, process::task_user()).map_err(|error| refused("make its FIFOs", &error))?;
        let output = Fifos::writers(&folder).map_err(|error| refused("open its FIFOs", &error))?;
        let execution = Execution {
            folder: &program.folder,
            executable: &program.name,
            arguments: &arguments,
            environment: &environment,
            output,
        };
        let handle =
            process::spawn(execution).map_err(|error| refused(&format!("execute `{}`", program.name), &error))?;
        Ok(Launched { handle, address: (Ipv4Addr::LOCALHOST, port).into(), fifos })
    }

    fn own_variables(&self, task: &TaskId, port: u16) -> BTreeMap<String, String> {
        let metadata = format!("http://{}/v4/{task}-1", self.api);
        let home = self.home.folder().to_string_lossy().into_owned();
        let own = [(PORT, port.to_string()), (METADATA, metadata), (HOME, home), (TASK, task.0.clone())];
        own.map(|(name, value)| (name.to_owned(), value)).into()
    }
}

fn refused(what: &str, error: &std::io::Error) -> String {
    format!("CannotStartContainerError: cannot {what}: {error}")
}

/// The values of secrets, read now. What they are is never said.
fn secrets(secrets: &[Secret]) -> Result<BTreeMap<String, String>, String> {
    let read = secrets.iter().map(|secret| {
        let value = read_secret(&secret.value_from).map_err(|why| {
            let (name, from) = (&secret.name, &secret.value_from);
            format!("ResourceInitializationError: unable to pull secrets: `{name}` from `{from}`: {why}")
        })?;
        Ok((secret.name.clone(), value))
    });
    read.collect()
}

/// Without the line feed that editors and `echo` put at the end.
fn read_secret(from: &str) -> Result<String, String> {
    let path = from.strip_prefix("file:").map(Path::new).filter(|path| path.is_absolute());
    let path = path.ok_or("expected `file:` and an absolute path")?;
    let mut value = String::new();
    let file = File::open(path).map_err(|error| error.to_string())?;
    let length = file.take(LONGEST_SECRET + 1).read_to_string(&mut value).map_err(|error| error.to_string())?;
    if LONGEST_SECRET < length as u64 {
        return Err(format!("it is longer than {LONGEST_SECRET} bytes"));
    }
    if value.ends_with('\n') {
        value.pop();
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_read_from_its_file_and_a_missing_one_named_without_its_value() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "s3cret\n").unwrap();
        let secret = |value_from: String| Secret { name: "TOKEN".into(), value_from };
        let found = secrets(&[secret(format!("file:{}", path.display()))]).unwrap();
        assert_eq!(found["TOKEN"], "s3cret");
        for wrong in ["file:relative", "arn:aws:secretsmanager:x", "file:/nowhere/at/all"] {
            let error = secrets(&[secret(wrong.into())]).unwrap_err();
            assert!(error.starts_with("ResourceInitializationError") && error.contains(wrong), "{error}");
        }
    }
}

//! What the supervisor has: the model, the drivers' state, and the face that the API sees.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use gimmetime_api::{EngineFacts, LogSource, PlaceChange, World};
use gimmetime_clock::{Now, Timestamp, source};
use gimmetime_scheduler::model::{LogConfiguration, Model, Process, Task, TaskId};

use crate::error::{Attempt, EngineError};
use crate::files;
use crate::home::{EngineFile, Home, PlaceSpec};
use crate::launch::{Launched, Launcher};
use crate::listen;
use crate::logs::{Fifos, Logs, Pumps, StreamName};
use crate::metrics::Metrics;
use crate::plane::Plane;
use crate::ports::Ports;
use crate::process::{self, Handle};
use crate::programs::Programs;

/// A task that has a process, or had one until a moment ago.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) handle: Handle,
    pub(super) pumps: Pumps,
}

/// The supervisor's belongings.
pub(super) struct Core {
    pub(super) home: Home,
    pub(super) model: Model,
    pub(super) logs: Arc<Logs>,
    pub(super) metrics: Metrics,
    pub(super) tasks: BTreeMap<TaskId, Live>,
    pub(super) ports: Ports,
    /// A listener that `ModifyPlace` bound, on its way to the data plane.
    pub(super) rebinding: Option<(SocketAddr, OwnedFd)>,
    /// A duplicate of the socket that clients connect to.
    accepting: OwnedFd,
    programs: Programs,
    api: SocketAddr,
    started_at: Timestamp,
    user: String,
}

impl Core {
    pub(super) fn new(
        home: Home,
        model: Model,
        logs: Logs,
        ports: Ports,
        api: SocketAddr,
        plane: &Plane,
    ) -> Result<Self, EngineError> {
        let programs = Programs::new(home.programs(), home.folder().join("images"));
        let mut metrics = Metrics::default();
        if plane.adopted {
            metrics.plane_taken_over();
        }
        let accepting = plane.listener().attempt("hold the listening socket")?;
        Ok(Self {
            home,
            model,
            logs: Arc::new(logs),
            metrics,
            tasks: BTreeMap::new(),
            ports,
            rebinding: None,
            accepting,
            programs,
            api,
            started_at: source::wall(),
            user: login_name(),
        })
    }

    /// Starts the process of a task; why it cannot be is said as ECS says it.
    pub(super) fn start(&mut self, id: &TaskId) -> Result<(Process, SocketAddr), String> {
        let task = self.model.tasks.get(id).ok_or("the task is gone")?;
        let definition = self.model.task_definition(&task.family, task.revision);
        let definition = definition.ok_or("CannotStartContainerError: its task definition is gone")?;
        let name = stream_name(&self.model, task);
        let (home, programs, ports) = (&self.home, &mut self.programs, &mut self.ports);
        let launched = Launcher { home, programs, ports, api: self.api }.launch(task, definition);
        let Launched { handle, address, fifos } = launched?;
        let process = handle.process.clone();
        match self.logs.follow(&id.0, &name, fifos) {
            Ok(pumps) => {
                self.tasks.insert(id.clone(), Live { handle, pumps });
                Ok((process, address))
            }
            Err(error) => {
                handle.signal(rustix::process::Signal::KILL);
                Err(format!("CannotStartContainerError: cannot open its log stream: {error}"))
            }
        }
    }

    /// Takes over a task that an earlier supervisor started, if its process lives.
    pub(super) fn adopt(&mut self, id: &TaskId, process: &Process, address: SocketAddr) -> io::Result<bool> {
        let Some(handle) = Handle::adopt(process)? else { return Ok(false) };
        let Some(task) = self.model.tasks.get(id) else { return Ok(false) };
        let fifos = Fifos::open(&self.home.task(&id.0), process::task_user())?;
        let pumps = self.logs.follow(&id.0, &stream_name(&self.model, task), fifos)?;
        self.ports.adopt(id, address.port())?;
        self.tasks.insert(id.clone(), Live { handle, pumps });
        Ok(true)
    }

    fn rebind(&mut self, address: SocketAddr) -> Result<(), String> {
        let socket = listen::bind_beside(address, &self.accepting).map_err(|failure| failure.to_string())?;
        let held = socket.try_clone().map_err(|error| format!("cannot hold the socket of {address}: {error}"))?;
        self.accepting = held;
        self.rebinding = Some((address, socket));
        Ok(())
    }

    /// The place as it is now is what the next supervisor starts from.
    fn keep_place(&self) -> io::Result<()> {
        let place = &self.model.place;
        files::replace_json(&self.home.place_file(), &PlaceSpec::from(place))?;
        match self.home.engine()? {
            Some(file) => files::replace_json(&self.home.engine_file(), &EngineFile { listen: place.listen, ..file }),
            None => Ok(()),
        }
    }
}

impl World for Core {
    fn model(&mut self) -> &mut Model {
        &mut self.model
    }

    fn now(&self) -> Now {
        source::now()
    }

    fn logs(&self) -> &dyn LogSource {
        &*self.logs
    }

    fn engine(&self) -> EngineFacts {
        let now = source::mono();
        EngineFacts {
            pid: std::process::id(),
            state_directory: self.home.folder().into(),
            listen: self.model.place.listen,
            started_at: self.started_at,
            user: self.user.clone(),
            last_minute: self.metrics.last_minute(now),
            last_hour: self.metrics.last_hour(now),
        }
    }

    fn modify_place(&mut self, change: PlaceChange) -> Result<(), String> {
        if let Some(address) = change.listen.filter(|address| *address != self.model.place.listen) {
            self.rebind(address)?;
            self.model.place.listen = address;
        }
        let place = &mut self.model.place;
        let check = &mut place.health_check;
        check.path = change.health_path.unwrap_or_else(|| check.path.clone());
        check.interval_ms = change.health_interval_ms.unwrap_or(check.interval_ms);
        check.timeout_ms = change.health_timeout_ms.unwrap_or(check.timeout_ms);
        check.healthy_threshold = change.healthy_threshold.unwrap_or(check.healthy_threshold);
        check.unhealthy_threshold = change.unhealthy_threshold.unwrap_or(check.unhealthy_threshold);
        place.deregistration_delay_ms = change.deregistration_delay_ms.unwrap_or(place.deregistration_delay_ms);
        if let Some(algorithm) = change.algorithm.filter(|algorithm| *algorithm != place.algorithm) {
            place.algorithm = algorithm;
            // The same targets under another rule are another table.
            self.model.table_version += 1;
        }
        self.keep_place().map_err(|error| format!("it is done, but cannot be kept for the next start: {error}"))
    }
}

/// What `awslogs` would call a task's stream: `<prefix>/<container>/<task id>`.
fn stream_name(model: &Model, task: &Task) -> StreamName {
    let definition = model.task_definition(&task.family, task.revision);
    let container = definition.map_or("app", |definition| definition.container.as_str());
    let configured = definition.and_then(|definition| definition.log.clone());
    let LogConfiguration { group, stream_prefix } = configured.unwrap_or_else(|| LogConfiguration {
        group: format!("/gimmetime/{}", model.place.name),
        stream_prefix: model.place.name.clone(),
    });
    StreamName { group, stream: format!("{stream_prefix}/{container}/{}", task.id), created_at: task.created_at }
}

/// The login name of this process's user, or its number where there is none.
fn login_name() -> String {
    let uid = rustix::process::geteuid().as_raw().to_string();
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, _, found) = (fields.next()?, fields.next()?, fields.next()?);
        (found == uid).then(|| name.to_owned())
    });
    name.unwrap_or(uid)
}

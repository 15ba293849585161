//! What a task runs, taken out of its image: the executable in a folder of its own, and the arguments.

use std::collections::BTreeMap;
use std::fs::{OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use gimmetime_image::{Digest, Layout, LayoutError, Program, Reference};
use gimmetime_scheduler::model::TaskDefinition;

/// The programs that were taken out of images since this engine started; those before are verified again.
#[derive(Debug)]
pub(crate) struct Programs {
    folder: PathBuf,
    images: PathBuf,
    ready: BTreeMap<Digest, Ready>,
}

/// An executable on disk.
#[derive(Debug, Clone)]
pub(crate) struct Ready {
    /// The folder it lies in, which anybody may enter who has a descriptor of it.
    pub(crate) folder: PathBuf,
    /// Its file name.
    pub(crate) name: String,
    /// Where the image has it.
    path: String,
    args: Vec<String>,
    /// The image's environment.
    pub(crate) environment: BTreeMap<String, String>,
}

impl Programs {
    /// Programs of the images in one folder, to be put below another.
    pub(crate) fn new(folder: PathBuf, images: PathBuf) -> Self {
        Self { folder, images, ready: BTreeMap::new() }
    }

    /// The program of a revision and its arguments; what is wrong is said as ECS says it.
    pub(crate) fn prepare(&mut self, definition: &TaskDefinition) -> Result<(Ready, Vec<String>), String> {
        let image = &definition.image;
        let pull = |why: String| format!("CannotPullContainerError: image `{image}`: {why}");
        let digest = match image.parse::<Reference>() {
            Ok(reference) if !reference.is_local() => {
                return Err(pull("it is not on this machine; expected `localhost/NAME@sha256:…`".into()));
            }
            Ok(Reference { digest: Some(digest), .. }) => digest,
            Ok(_) => return Err(pull("it names no digest; expected `localhost/NAME@sha256:…`".into())),
            Err(error) => return Err(pull(error.to_string())),
        };
        let ready = match self.ready.get(&digest) {
            Some(ready) => ready.clone(),
            None => self.extract(&digest).map_err(|error| error.in_words(image))?,
        };
        let arguments = arguments(&ready, definition)?;
        self.ready.insert(digest, ready.clone());
        Ok((ready, arguments))
    }

    fn extract(&self, digest: &Digest) -> Result<Ready, Unready> {
        let program = Layout::open(&self.images)?.executable(digest)?;
        let name = Path::new(&program.path).file_name().unwrap_or_default().to_string_lossy().into_owned();
        let folder = self.folder.join(digest.hex());
        put(&folder, &name, &program.bytes).map_err(Unready::Disk)?;
        let Program { path, args, env, .. } = program;
        Ok(Ready { folder, name, path, args, environment: env.into_iter().collect() })
    }
}

/// Why a program could not be made ready.
enum Unready {
    Image(LayoutError),
    Disk(io::Error),
}

impl From<LayoutError> for Unready {
    fn from(error: LayoutError) -> Self {
        Self::Image(error)
    }
}

impl Unready {
    /// A container runtime finds an unusable entrypoint when it creates the container, anything else when it pulls.
    fn in_words(&self, image: &str) -> String {
        match self {
            Self::Image(error @ LayoutError::Unrunnable { .. }) => format!("CannotStartContainerError: {error}"),
            Self::Image(error) => format!("CannotPullContainerError: image `{image}`: {error}"),
            Self::Disk(error) => format!("CannotStartContainerError: cannot unpack `{image}`: {error}"),
        }
    }
}

/// As Docker has it: an entrypoint of the revision's own drops the image's arguments.
fn arguments(ready: &Ready, definition: &TaskDefinition) -> Result<Vec<String>, String> {
    let (mut arguments, default) = match definition.entry_point.as_deref() {
        None | Some([]) => (Vec::new(), ready.args.clone()),
        Some([path, rest @ ..]) if *path == ready.path => (rest.to_vec(), Vec::new()),
        Some([path, ..]) => {
            let own = &ready.path;
            return Err(format!(
                "CannotStartContainerError: entry point `{path}` is not the image's executable `{own}`"
            ));
        }
    };
    arguments.extend(definition.command.clone().unwrap_or(default));
    Ok(arguments)
}

/// Puts an executable into its folder whole, for all to execute.
fn put(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    std::fs::set_permissions(folder, Permissions::from_mode(0o755))?;
    let (path, beside) = (folder.join(name), folder.join(".new"));
    if std::fs::read(&path).is_ok_and(|found| found == bytes) {
        return std::fs::set_permissions(&path, Permissions::from_mode(0o755));
    }
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o755).open(&beside)?;
    file.write_all(bytes)?;
    file.set_permissions(Permissions::from_mode(0o755))?;
    file.sync_all()?;
    // Closed before anything is started: a file open for writing cannot be executed.
    drop(file);
    std::fs::rename(beside, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ready() -> Ready {
        let args = vec!["--from-image".into()];
        Ready { folder: PathBuf::new(), name: "app".into(), path: "/app".into(), args, environment: BTreeMap::new() }
    }

    fn definition(entry_point: Option<&[&str]>, command: Option<&[&str]>) -> TaskDefinition {
        let strings = |list: &[&str]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
        TaskDefinition {
            family: "f".into(),
            revision: 1,
            status: gimmetime_scheduler::model::RevisionStatus::Active,
            container: "app".into(),
            image: "localhost/app@sha256:0000000000000000000000000000000000000000000000000000000000000000".into(),
            entry_point: entry_point.map(strings),
            command: command.map(strings),
            container_port: None,
            environment: BTreeMap::new(),
            secrets: Vec::new(),
            docker_labels: BTreeMap::new(),
            cpu: None,
            memory: None,
            stop_timeout: None,
            log: None,
            as_registered: serde_json::Value::Null,
            tags: BTreeMap::new(),
            registered_at: gimmetime_clock::Timestamp::from_nanos(0),
            deregistered_at: None,
        }
    }

    #[test]
    fn entry_point_and_command_combine_as_docker_combines_them() {
        let of = |entry_point, command| arguments(&ready(), &definition(entry_point, command));
        assert_eq!(of(None, None).unwrap(), ["--from-image"]);
        assert_eq!(of(None, Some(&["a"])).unwrap(), ["a"]);
        assert_eq!(of(Some(&["/app", "x"]), None).unwrap(), ["x"]);
        assert_eq!(of(Some(&["/app", "x"]), Some(&["y"])).unwrap(), ["x", "y"]);
        let error = of(Some(&["/bin/sh"]), None).unwrap_err();
        assert_eq!(error, "CannotStartContainerError: entry point `/bin/sh` is not the image's executable `/app`");
    }

    #[test]
    fn an_image_that_is_not_there_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let images = folder.path().join("images");
        Layout::create(&images).unwrap();
        let mut programs = Programs::new(folder.path().join("programs"), images);
        for (image, expected) in [
            ("docker.io/library/nginx:1", "it is not on this machine"),
            ("localhost/app:1", "it names no digest"),
            ("nginx", "names no host"),
            (definition(None, None).image.as_str(), "CannotPullContainerError: image `localhost/app@sha256:0"),
        ] {
            let wanted = TaskDefinition { image: image.into(), ..definition(None, None) };
            let error = programs.prepare(&wanted).unwrap_err();
            assert!(error.starts_with("CannotPullContainerError") && error.contains(expected), "{error}");
        }
    }

    #[test]
    fn an_executable_is_put_whole_and_for_all_to_execute() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("abc");
        put(&place, "app", b"one").unwrap();
        put(&place, "app", b"two").unwrap();
        assert_eq!(std::fs::read(place.join("app")).unwrap(), b"two");
        assert_eq!(std::fs::metadata(place.join("app")).unwrap().permissions().mode() & 0o777, 0o755);
        assert_eq!(std::fs::read_dir(&place).unwrap().count(), 1);
    }
}

//! Out of the terminal, the session and the descriptors of whoever started us.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::RawFd;

use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Makes this process its own: leader of a session, parent of its descendants' orphans, with no descriptor but the
/// three standard ones. To be called before anything is opened.
pub(super) fn detach() -> io::Result<()> {
    close_inherited()?;
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
    raise_descriptor_limit();
    match rustix::process::setsid() {
        // It leads a group already: started by a shell or a service manager in the foreground.
        Ok(_) | Err(Errno::PERM) => {}
        Err(error) => return Err(error.into()),
    }
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    // The folder we were started in may be removed, or its disk unmounted.
    std::env::set_current_dir("/")
}

/// A pipe of the caller's, held by a process that lives for weeks, would never end.
fn close_inherited() -> io::Result<()> {
    const STANDARD: RawFd = 2;
    let entries = fs::read_dir("/proc/self/fd")?.flatten();
    let open: Vec<RawFd> = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    for descriptor in open.into_iter().filter(|descriptor| STANDARD < *descriptor) {
        // The listing's own descriptor is in the list, and closed by now.
        let _ = nix::unistd::close(descriptor);
    }
    Ok(())
}

/// Each task costs five descriptors (process, two FIFOs, port lock, stream): a shell's 1,024 end at 200 tasks.
fn raise_descriptor_limit() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // Refused only where it is as high as it may be.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}

/// Lets go of the pipe that the caller waits on.
pub(super) fn release_stdout() -> io::Result<()> {
    let null = OpenOptions::new().write(true).open("/dev/null")?;
    Ok(rustix::stdio::dup2_stdout(&null)?)
}

/// Sends what is written to standard error (a panic's words) to a file.
pub(super) fn redirect_stderr(file: &File) -> io::Result<()> {
    Ok(rustix::stdio::dup2_stderr(file)?)
}

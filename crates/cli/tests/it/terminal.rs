//! A terminal of a test's own: on the one side the program, on the other what a person would see of it and type.
//!
//! The kernel's own terminal, so that keys are what they are: Ctrl-C is a signal, Ctrl-D an end of input. What is drawn on
//! it is kept twice, as it came and as a screen shows it.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::num::NonZeroU16;
use std::os::fd::OwnedFd;
use std::process::{Child, Command};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{LocalModes, Termios, Winsize, tcgetattr, tcsetwinsize};

use crate::place::{PATIENCE, now};

/// Lines that were scrolled out of the screen and are kept.
const SCROLLBACK: usize = 1000;

/// How much of what was written a failure shows, in characters.
const LAST: usize = 2000;

/// Keys as a terminal sends them.
pub(crate) const ENTER: &str = "\r";
pub(crate) const CTRL_C: &str = "\u{3}";
pub(crate) const CTRL_D: &str = "\u{4}";

/// How large a terminal is, in characters.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    pub(crate) rows: u16,
    pub(crate) columns: u16,
}

impl Size {
    /// As terminals open.
    pub(crate) const USUAL: Self = Self { rows: 24, columns: 80 };
}

/// A program at a terminal.
pub(crate) struct Terminal {
    child: Child,
    person: File,
    /// Held open, so that its settings can be read when the program is gone.
    device: OwnedFd,
    before: Termios,
    screen: vt100::Parser,
    written: String,
    /// How much of what was written was waited for already.
    read: usize,
}

impl Terminal {
    /// Starts a command at a new terminal, which is its controlling one.
    pub(crate) fn start(command: &Command, size: Size) -> Self {
        let person = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&person).unwrap();
        unlockpt(&person).unwrap();
        let device =
            ioctl_tiocgptpeer(&person, OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        let Size { rows, columns } = size;
        tcsetwinsize(&device, Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
        let before = tcgetattr(&device).unwrap();
        let child = at_terminal(command, &device).spawn().unwrap();
        let (rows, columns) = (NonZeroU16::new(rows).unwrap(), NonZeroU16::new(columns).unwrap());
        let screen = vt100::Parser::new(rows, columns, SCROLLBACK);
        Self { child, person: person.into(), device, before, screen, written: String::new(), read: 0 }
    }

    /// Returns once it wrote these words, after those that were waited for before.
    #[track_caller]
    pub(crate) fn says(&mut self, words: &str) -> &mut Self {
        let at = self.wait(&format!("`{words}`"), |terminal| terminal.written[terminal.read..].find(words));
        self.read += at + words.len();
        self
    }

    /// Returns once the screen shows what is looked for.
    #[track_caller]
    pub(crate) fn shows(&mut self, what: &str, look: impl Fn(&str) -> bool) -> &mut Self {
        self.wait(what, |terminal| look(&terminal.shown()).then_some(()));
        self
    }

    /// Types. A line ends with [`ENTER`].
    pub(crate) fn types(&mut self, keys: &str) -> &mut Self {
        self.person.write_all(keys.as_bytes()).unwrap();
        self
    }

    /// Another size, of which the program is told by a signal.
    pub(crate) fn becomes(&mut self, size: Size) {
        let Size { rows, columns } = size;
        self.screen.screen_mut().set_size(NonZeroU16::new(rows).unwrap(), NonZeroU16::new(columns).unwrap());
        tcsetwinsize(&self.device, Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
    }

    /// What the screen shows, a row a line.
    pub(crate) fn shown(&self) -> String {
        self.screen.screen().contents()
    }

    /// How many lines were scrolled out of the screen.
    pub(crate) fn scrolled(&self) -> usize {
        self.screen.screen().scrollback_len()
    }

    /// Whether nothing of what was written is an escape code.
    pub(crate) fn is_without_escapes(&self) -> bool {
        !self.written.contains('\u{1b}')
    }

    /// Waits for the end with this code, and sees that the terminal is left as it was found.
    #[track_caller]
    pub(crate) fn ends(&mut self, code: i32) -> &mut Self {
        let status = self.wait("its end", |terminal| terminal.child.try_wait().unwrap());
        while self.reads(Timespec::default()) {}
        assert_eq!(status.code(), Some(code), "{self:?}");
        let screen = self.screen.screen();
        assert!(!screen.hide_cursor() && !screen.alternate_screen(), "the cursor or the screen is gone: {self:?}");
        assert_eq!(screen.fgcolor(), vt100::Color::Default, "a colour stays: {self:?}");
        let after = tcgetattr(&self.device).unwrap();
        assert_eq!(after.local_modes, self.before.local_modes, "{self:?}");
        assert!(after.local_modes.contains(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG));
        self
    }

    /// Reads on until something is there, for [`PATIENCE`] at most.
    #[track_caller]
    fn wait<T>(&mut self, what: &str, mut look: impl FnMut(&mut Self) -> Option<T>) -> T {
        let start = now();
        loop {
            if let Some(found) = look(self) {
                return found;
            }
            assert!(start.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what} at {self:?}");
            // A while in which the program may end without a word.
            self.reads(Timespec { tv_sec: 0, tv_nsec: 10_000_000 });
        }
    }

    /// Reads what was written meanwhile; false if nothing was.
    fn reads(&mut self, patience: Timespec) -> bool {
        let ready = poll(&mut [PollFd::new(&self.person, PollFlags::IN)], Some(&patience)).unwrap();
        if ready == 0 {
            return false;
        }
        let mut bytes = [0; 4096];
        let length = self.person.read(&mut bytes).unwrap();
        self.screen.process(&bytes[..length]);
        // A character that two reads share is lost here, but not on the screen.
        self.written.push_str(&String::from_utf8_lossy(&bytes[..length]));
        true
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // One that a failing test leaves behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl std::fmt::Debug for Terminal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let last = self.written.char_indices().nth_back(LAST).map_or(0, |(start, _)| start);
        write!(f, "… {:?}\n--- it shows ---\n{}\n---", &self.written[last..], self.shown())
    }
}

/// The same command with the terminal for all three streams, in a session of its own.
fn at_terminal(command: &Command, device: &OwnedFd) -> Command {
    let mut at_terminal = Command::new("setsid");
    at_terminal.args(["--ctty", "--wait"]).arg(command.get_program()).args(command.get_args());
    at_terminal.current_dir(command.get_current_dir().unwrap()).env("TERM", "xterm").env_remove("NO_COLOR");
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => at_terminal.env(name, value),
            None => at_terminal.env_remove(name),
        };
    }
    let stream = || device.try_clone().unwrap();
    at_terminal.stdin(stream()).stdout(stream()).stderr(stream());
    at_terminal
}

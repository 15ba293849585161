//! Asks on the terminal, and reads one line from it. A question that nobody waits for any more takes no line away from the
//! next one.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use rustix::termios::{QueueSelector, tcflush};
use tokio::signal::unix::Signal;

use crate::render::Printer;

/// Longest line that is read; Linux has none that is longer (`N_TTY_BUF_SIZE`).
const LINE: usize = 4096;

/// How often it is looked whether a line was typed: nobody notices so short a while.
const LOOK: Duration = Duration::from_millis(50);

/// What is answered, without the blanks around it and in small letters; None if Ctrl-C or the end of input comes instead.
/// What was typed before the question is no answer to it.
///
/// Once a signal was listened for it ends nothing by itself any more, so whoever reads must listen, too.
pub(crate) async fn ask(question: &str, interrupt: &mut Signal, printer: &mut Printer) -> Option<String> {
    let terminal = terminal();
    if let Ok(terminal) = &terminal {
        // A terminal that keeps what was typed is still one.
        let _ = tcflush(terminal, QueueSelector::IFlush);
    }
    printer.note(question);
    tokio::select! {
        line = line(terminal.ok()?) => Some(line.ok()??.trim().to_lowercase()),
        _ = interrupt.recv() => None,
    }
}

/// The terminal, opened once more: to be asked without waiting then changes nothing for those who share standard input.
fn terminal() -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    Ok(open("/dev/tty", flags, Mode::empty())?)
}

/// The next line; None at the end of input.
async fn line(terminal: OwnedFd) -> io::Result<Option<String>> {
    let mut line = vec![0; LINE];
    loop {
        match rustix::io::read(&terminal, &mut line) {
            Err(Errno::AGAIN | Errno::INTR) => tokio::time::sleep(LOOK).await,
            read => {
                let length = read?;
                return Ok((0 < length).then(|| String::from_utf8_lossy(&line[..length]).into_owned()));
            }
        }
    }
}

//! The one place that writes: data to standard output, progress to standard error.
//!
//! On a terminal progress is one live line, rewritten in place; elsewhere it is plain lines, and nothing is said twice.

use std::fmt::Display;
use std::io::{self, IsTerminal as _, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd};

use serde::Serialize;

use super::fit;
use crate::args::{Common, Output};
use crate::exit::Failure;

/// How far the second line of a folded one is indented.
const HANG: usize = 2;
/// Where the words behind a label begin.
const LABELLED: usize = 11;

/// Writes for a person or a program, in colour or not.
#[derive(Debug)]
pub(crate) struct Printer {
    json: bool,
    colour: bool,
    live: bool,
    /// The target, as it was typed: ` --target production`.
    target: String,
    /// The other flags that a printed command needs to mean this place: ` --name time`.
    place: String,
    /// The flag that those need, too, which push and pull.
    registry: String,
    /// What the live line shows now.
    shown: String,
    /// The lines of the picture that is being made.
    picture: Option<Vec<String>>,
    drawn: Drawing,
}

/// What was drawn of something that is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Drawing {
    /// Nothing is: it is no terminal, or one that knows no places.
    Impossible,
    Nothing,
    Picture,
}

/// How a word is meant. Colour repeats what a sign or the word itself says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    Good,
    Bad,
    Warn,
    Dim,
    Strong,
}

impl Printer {
    /// For what was typed, and the terminal there is. `no_color` is whether `$NO_COLOR` is set and not empty.
    pub(crate) fn new(common: &Common, no_color: bool, dumb: bool) -> Self {
        let json = common.output == Some(Output::Json);
        Self {
            json,
            colour: !common.no_color && !no_color && !dumb && io::stdout().is_terminal(),
            live: !dumb && io::stderr().is_terminal(),
            target: String::new(),
            place: String::new(),
            registry: String::new(),
            shown: String::new(),
            picture: None,
            drawn: if json || dumb || !io::stdout().is_terminal() { Drawing::Impossible } else { Drawing::Nothing },
        }
    }

    /// From now on, commands that are printed bear these flags, as they were typed: ` --name time`. `registry` is for those
    /// that push and pull.
    pub(crate) fn name_place(&mut self, target: &str, flags: &str, registry: &str) {
        target.clone_into(&mut self.target);
        flags.clone_into(&mut self.place);
        registry.clone_into(&mut self.registry);
    }

    /// Words in which each command of ours means this place; one that names a target of its own keeps that one.
    pub(crate) fn placed(&self, words: &str) -> String {
        const PUBLISHING: [&str; 3] = ["up", "plan", "deploy"];
        const OTHERS: [&str; 10] =
            ["rollback", "releases", "scale", "status", "logs", "why", "down", "image", "iam", "template"];
        let place = |words: String, verb: &str, flags: &str| {
            words.replace(&format!("gimmetime {verb}"), &format!("gimmetime{flags} {verb}"))
        };
        let target = if words.contains(" --target ") { "" } else { &self.target };
        let others = format!("{target}{}", self.place);
        let publishing = format!("{others}{}", self.registry);
        let placed = PUBLISHING.into_iter().fold(words.to_owned(), |words, verb| place(words, verb, &publishing));
        OTHERS.into_iter().fold(placed, |words, verb| place(words, verb, &others))
    }

    /// Whether standard output bears JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Whether there is somebody to ask: a terminal on both ends.
    pub(crate) fn can_ask(&self) -> bool {
        self.live && io::stdin().is_terminal()
    }

    /// A word in its tone.
    pub(crate) fn paint(&self, tone: Tone, words: impl Display) -> String {
        if !self.colour {
            return words.to_string();
        }
        let code = match tone {
            Tone::Good => "32",
            Tone::Bad => "31",
            Tone::Warn => "33",
            Tone::Dim => "2",
            Tone::Strong => "1",
        };
        format!("\u{1b}[{code}m{words}\u{1b}[0m")
    }

    /// A line of data for a person; nothing when a program reads.
    ///
    /// # Errors
    /// When standard output is gone: the caller should end quietly.
    pub(crate) fn text(&mut self, line: impl Display) -> io::Result<()> {
        if self.json {
            return Ok(());
        }
        let line = self.placed(&line.to_string());
        self.data(line)
    }

    /// A line of data, whoever reads.
    pub(crate) fn data(&mut self, line: impl Display) -> io::Result<()> {
        if let Some(picture) = &mut self.picture {
            picture.extend(line.to_string().lines().map(str::to_owned));
            return Ok(());
        }
        self.clear();
        let mut out = io::stdout().lock();
        writeln!(out, "{line}")?;
        out.flush()
    }

    /// The whole result as one JSON object; nothing when a person reads.
    pub(crate) fn json(&mut self, value: &impl Serialize) -> io::Result<()> {
        if !self.json {
            return Ok(());
        }
        let mut out = io::stdout().lock();
        serde_json::to_writer_pretty(&mut out, value)?;
        writeln!(out)?;
        out.flush()
    }

    /// Where it is: the `whole` of it as the live line on a terminal, elsewhere only what is `news`, on a line of its own.
    pub(crate) fn progress(&mut self, whole: &str, news: &str) {
        let words = if self.live { whole } else { news };
        if words.is_empty() || words == self.shown {
            return;
        }
        let mut err = io::stderr().lock();
        // Nobody who watches is no reason to fail. A line that wraps could not be taken away again.
        let _ = if self.live {
            let fitting = fit::cut(words, self.note_columns().unwrap_or(usize::MAX));
            write!(err, "{}{fitting}", self.blank())
        } else {
            writeln!(err, "{words}")
        };
        let _ = err.flush();
        words.clone_into(&mut self.shown);
    }

    /// A remark that stays.
    pub(crate) fn note(&mut self, words: impl Display) {
        self.clear();
        let words = self.placed(&words.to_string());
        // A terminal shows Ctrl-C where it was typed: it is written over.
        let words = if self.live { format!("\r{words}") } else { fit::colourless(&words) };
        let _ = writeln!(io::stderr().lock(), "{words}");
    }

    /// A remark that says where it is; what stands between ` · ` is not torn apart.
    pub(crate) fn heading(&mut self, words: &str) {
        self.note_folded(words, " · ");
    }

    /// A remark that may be broken where `joint` stands.
    pub(crate) fn note_folded(&mut self, words: &str, joint: &str) {
        for line in fit::fold(words, joint, self.note_columns().unwrap_or(usize::MAX), HANG) {
            self.note(line);
        }
    }

    /// A line of data for a person that may be broken where `joint` stands.
    ///
    /// # Errors
    /// When standard output is gone: the caller should end quietly.
    pub(crate) fn folded(&mut self, words: &str, joint: &str) -> io::Result<()> {
        self.lines(words, joint, HANG)
    }

    /// The same behind a label, broken at blanks; what does not fit stands below the words.
    ///
    /// # Errors
    /// When standard output is gone: the caller should end quietly.
    pub(crate) fn labelled(&mut self, label: &str, words: &str) -> io::Result<()> {
        self.lines(&format!("{label:<LABELLED$}{words}"), " ", LABELLED)
    }

    fn lines(&mut self, words: &str, joint: &str, hang: usize) -> io::Result<()> {
        let columns = self.data_columns().unwrap_or(usize::MAX);
        fit::fold(&self.placed(words), joint, columns, hang).into_iter().try_for_each(|line| self.text(line))
    }

    /// Takes the live line away.
    pub(crate) fn clear(&mut self) {
        if self.live && !self.shown.is_empty() {
            let mut err = io::stderr().lock();
            let _ = write!(err, "{}", self.blank());
            let _ = err.flush();
        }
        self.shown.clear();
    }

    /// A failure: what was attempted and got, then what to do next.
    pub(crate) fn failure(&mut self, failure: &Failure) {
        let mut lines = failure.words.lines();
        self.note(format!("{} {}", self.paint(Tone::Bad, "error:"), lines.next().unwrap_or_default()));
        for line in lines {
            self.note(format!("  {line}"));
        }
        for line in failure.hint.iter().flat_map(|hint| hint.lines()) {
            self.note(format!("{} {line}", self.paint(Tone::Strong, "hint:")));
        }
    }

    /// Lines of data make a picture from now on, which is shown as a whole by [`Self::end_picture`].
    pub(crate) fn begin_picture(&mut self) {
        self.picture = Some(Vec::new());
    }

    /// Shows a picture over the one before on a terminal, as much of it as fits; elsewhere as it is.
    ///
    /// # Errors
    /// When standard output is gone: the caller should end quietly.
    pub(crate) fn end_picture(&mut self) -> io::Result<()> {
        let lines = self.picture.take().unwrap_or_default();
        let mut out = io::stdout().lock();
        match terminal_size(io::stdout().as_fd()).filter(|_| self.drawn != Drawing::Impossible) {
            Some((rows, columns)) => {
                // The screen is cleared once; after that each line takes the place of the one before, without a flicker.
                let clear = if self.drawn == Drawing::Nothing { "\u{1b}[2J" } else { "" };
                write!(out, "\u{1b}[H{clear}")?;
                for line in fit::picture(&lines, rows, columns) {
                    writeln!(out, "{line}\u{1b}[K")?;
                }
                write!(out, "\u{1b}[J")?;
                self.drawn = Drawing::Picture;
            }
            None => lines.iter().try_for_each(|line| writeln!(out, "{line}"))?,
        }
        out.flush()
    }

    /// Ends the watching: what comes next begins on a line of its own, whatever was typed.
    pub(crate) fn leave_picture(&mut self) {
        if self.drawn == Drawing::Picture {
            let _ = writeln!(io::stderr().lock());
        }
    }

    /// How many characters a line of data may have; None where it may have any number.
    pub(crate) fn data_columns(&self) -> Option<usize> {
        columns(io::stdout().as_fd()).filter(|_| !self.json)
    }

    /// How many characters a remark may have; None where it may have any number.
    pub(crate) fn note_columns(&self) -> Option<usize> {
        columns(io::stderr().as_fd()).filter(|_| self.live)
    }

    /// Takes the live line away, with what was typed behind it. Blanks do: who wants no colours may have a terminal that
    /// knows no escape codes.
    fn blank(&self) -> String {
        let columns = self.note_columns().unwrap_or_else(|| fit::width(&self.shown));
        format!("\r{}\r", " ".repeat(columns))
    }
}

/// How many rows and columns a terminal has; None if there is none, or it does not tell.
fn terminal_size(stream: BorrowedFd<'_>) -> Option<(usize, usize)> {
    let size = rustix::termios::tcgetwinsize(stream).ok()?;
    let size = (usize::from(size.ws_row), usize::from(size.ws_col));
    (0 < size.0 && 0 < size.1).then_some(size)
}

/// How many characters fit in a line of a terminal. The last column stays free: some begin a new line there already.
fn columns(stream: BorrowedFd<'_>) -> Option<usize> {
    terminal_size(stream).map(|(_, columns)| columns - 1)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[test]
    fn a_printed_command_means_the_same_place_unless_it_names_another() {
        let common = crate::args::Cli::try_parse_from(["gimmetime", "ls"]).unwrap().common;
        let mut printer = Printer::new(&common, true, true);
        printer.name_place(" --target local", " --name time", " --registry h:1/r");
        assert_eq!(printer.placed("gimmetime why"), "gimmetime --target local --name time why");
        assert_eq!(
            printer.placed("gimmetime plan --target production"),
            "gimmetime --name time --registry h:1/r plan --target production"
        );
    }
}

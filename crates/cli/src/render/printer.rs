//! The one place that writes: data to standard output, progress to standard error.
//!
//! On a terminal progress is one live line, rewritten in place; elsewhere it is plain lines, and nothing is said twice.

use std::fmt::Display;
use std::io::{self, IsTerminal as _, Write as _};

use serde::Serialize;

use crate::args::{Common, Output};
use crate::exit::Failure;

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
        words.clone_into(&mut self.shown);
        let mut err = io::stderr().lock();
        // Nobody who watches is no reason to fail. A line that wraps could not be taken away again.
        let words = if self.live { cut(words, columns()) } else { words };
        let _ = if self.live { write!(err, "\r\u{1b}[2K{words}") } else { writeln!(err, "{words}") };
        let _ = err.flush();
    }

    /// A remark that stays.
    pub(crate) fn note(&mut self, words: impl Display) {
        self.clear();
        let _ = writeln!(io::stderr().lock(), "{}", self.placed(&words.to_string()));
    }

    /// Takes the live line away.
    pub(crate) fn clear(&mut self) {
        if self.live && !self.shown.is_empty() {
            let mut err = io::stderr().lock();
            let _ = write!(err, "\r\u{1b}[2K");
            let _ = err.flush();
        }
        self.shown.clear();
    }

    /// A failure: what was attempted and got, then what to do next.
    pub(crate) fn failure(&mut self, failure: &Failure) {
        self.clear();
        let colour = self.colour;
        self.colour = colour && self.live;
        let mut lines = failure.words.lines();
        self.note(format!("{} {}", self.paint(Tone::Bad, "error:"), lines.next().unwrap_or_default()));
        for line in lines {
            self.note(format!("  {line}"));
        }
        for line in failure.hint.iter().flat_map(|hint| hint.lines()) {
            self.note(format!("{} {line}", self.paint(Tone::Strong, "hint:")));
        }
        self.colour = colour;
    }

    /// Clears the screen for the next picture of something that is watched, when it is a terminal.
    pub(crate) fn next_picture(&mut self) -> io::Result<()> {
        if !self.json && io::stdout().is_terminal() {
            let mut out = io::stdout().lock();
            write!(out, "\u{1b}[H\u{1b}[2J")?;
            return out.flush();
        }
        Ok(())
    }
}

/// How wide the terminal of the live line is, in characters; None if it does not tell.
fn columns() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(rustix::stdio::stderr()).ok()?;
    Some(usize::from(size.ws_col)).filter(|columns| 0 < *columns)
}

/// As much of the words as leaves the last column free, where some terminals begin a new line already.
fn cut(words: &str, columns: Option<usize>) -> &str {
    let Some(columns) = columns else { return words };
    words.char_indices().nth(columns.saturating_sub(1)).map_or(words, |(end, _)| &words[..end])
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

    #[test]
    fn a_live_line_is_cut_to_the_terminal_in_characters() {
        assert_eq!(cut("r1 → r2 ±3", Some(6)), "r1 → ");
        assert_eq!(cut("r1 → r2", Some(8)), "r1 → r2");
        assert_eq!(cut("r1 → r2", Some(1)), "");
        assert_eq!(cut("r1 → r2", None), "r1 → r2");
    }
}

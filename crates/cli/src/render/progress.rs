//! Events of a rollout as one line that grows: `r13 → r14 · started 2 of 2 · healthy 1 of 2`.

use gimmetime_ops::{Event, Operation};

use super::Printer;
use super::units::{counted, span};
use super::words::shorten;

/// What the line says so far.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    head: String,
    parts: Vec<(Part, String)>,
}

/// What a part of the line is about: a newer word on it takes the older one's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Started,
    Healthy,
    Serves,
    Draining,
    Waiting,
}

impl Progress {
    /// Shows one more event.
    pub(crate) fn show(&mut self, event: &Event, printer: &mut Printer) {
        match event {
            Event::ClusterCreated { .. }
            | Event::Deleted
            | Event::Completed { .. }
            | Event::RolledBack { .. }
            // The report that follows says it in full.
            | Event::Failed { .. } => return,
            Event::Registered { release, version, digest, .. } => {
                self.head = format!("r{release} {version} {}", short(digest));
            }
            Event::Attached(busy) => {
                self.head.clone_from(&busy.what);
                return printer.note(format!("following {} by {}", busy.what, busy.who));
            }
            Event::Changing { operation, from, to, count } => {
                self.parts.clear();
                self.head = head(*operation, *from, *to, *count);
            }
            Event::Started { n, of } => self.set(Part::Started, format!("started {n} of {of}")),
            Event::Healthy { n, of } => self.set(Part::Healthy, format!("healthy {n} of {of}")),
            Event::ServesEveryone { after } => {
                self.set(Part::Serves, format!("serves everyone after {}", span(*after)));
            }
            Event::ServesNobody { after } => {
                self.set(Part::Serves, format!("serves nobody after {}", span(*after)));
            }
            Event::Draining { n } => self.set(Part::Draining, format!("draining {n}")),
            Event::Waiting { what } => self.set(Part::Waiting, format!("waiting: {what}")),
            Event::TaskFailed { task, reason } => return printer.note(format!("  task {task}: {}", shorten(reason))),
            Event::RollingBack { to, reason } => {
                let to = to.map_or_else(String::new, |to| format!(" to r{to}"));
                self.parts.clear();
                return printer.note_folded(&format!("  rolling back{to}: {}", shorten(reason)), " ");
            }
        }
        let newest = self.parts.last().map(|(_, words)| words.as_str());
        let news = std::iter::once(self.head.as_str()).chain(newest).collect::<Vec<_>>().join(" · ");
        printer.progress(&self.whole(), &news);
    }

    /// Draws the line once more where it was taken away for a question.
    pub(crate) fn again(&self, printer: &mut Printer) {
        printer.progress(&self.whole(), "");
    }

    fn whole(&self) -> String {
        let parts = self.parts.iter().map(|(_, words)| words.as_str());
        std::iter::once(self.head.as_str()).chain(parts).collect::<Vec<_>>().join(" · ")
    }

    fn set(&mut self, part: Part, words: String) {
        self.parts.retain(|(other, _)| *other != part);
        self.parts.push((part, words));
    }
}

fn head(operation: Operation, from: Option<u32>, to: u32, count: u32) -> String {
    match (operation, from) {
        (Operation::Scale, _) => format!("r{to} → {}", counted(count as usize, "task")),
        (_, Some(from)) if from != to => format!("r{from} → r{to}"),
        _ => format!("r{to}"),
    }
}

/// The first digits of a digest.
pub(crate) fn short(digest: &str) -> String {
    let (algorithm, hex) = digest.split_once(':').unwrap_or(("", digest));
    let hex: String = hex.chars().take(8).collect();
    if algorithm.is_empty() { format!("{hex}…") } else { format!("{algorithm}:{hex}…") }
}

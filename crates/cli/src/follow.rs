//! Follows a change while it happens: shows its events, and asks what Ctrl-C shall mean.

use std::future::Future;
use std::pin::{Pin, pin};

use gimmetime_ops::{Canceller, Event, OpsError, Run, cancellation};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::exit::Failure;
use crate::question;
use crate::render::Printer;
use crate::render::progress::Progress;

/// One change: what it is given, and what is kept to follow it.
pub(crate) struct Follow {
    run: Run,
    events: UnboundedReceiver<Event>,
    canceller: Canceller,
}

/// How following ended.
#[derive(Debug)]
pub(crate) enum Followed<T> {
    /// It came to its own end (a detached one too).
    Ended(Result<T, OpsError>),
    /// The user wants back what was before; the change was left alone.
    RollBack {
        /// The release that served before.
        to: u32,
    },
}

impl Follow {
    /// A change asked for by `who`.
    pub(crate) fn new(who: &str) -> Self {
        let (sender, events) = unbounded_channel();
        let (canceller, cancel) = cancellation();
        Self { run: Run { who: who.to_owned(), pushed: None, events: sender, cancel }, events, canceller }
    }

    /// What the change is given.
    pub(crate) fn run(&self) -> Run {
        self.run.clone()
    }

    /// Stops waiting as soon as the change was asked for: `--detach`.
    pub(crate) fn detach(&self) {
        self.canceller.cancel();
    }

    /// Shows events until the change ends. Ctrl-C asks on a terminal, and detaches elsewhere; so does SIGTERM.
    pub(crate) async fn until_end<T>(
        mut self,
        change: impl Future<Output = Result<T, OpsError>>,
        printer: &mut Printer,
    ) -> Result<Followed<T>, Failure> {
        let mut change = pin!(change);
        let (mut interrupt, mut terminate) = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
        let mut progress = Progress::default();
        let mut before = None;
        loop {
            tokio::select! {
                biased;
                Some(event) = self.events.recv() => {
                    if let Event::Changing { from: Some(from), to, .. } = &event && from != to {
                        before = Some(*from);
                    }
                    progress.show(&event, printer);
                }
                ended = &mut change => {
                    while let Ok(event) = self.events.try_recv() {
                        progress.show(&event, printer);
                    }
                    printer.clear();
                    return Ok(Followed::Ended(ended));
                }
                _ = terminate.recv() => self.canceller.cancel(),
                _ = interrupt.recv() => {
                    if !printer.can_ask() {
                        self.canceller.cancel();
                        continue;
                    }
                    match meanwhile(change.as_mut(), ask(printer, "it goes on", before, &mut interrupt)).await {
                        Meanwhile::Ended(ended) => {
                            printer.note("it ended meanwhile");
                            return Ok(Followed::Ended(ended));
                        }
                        Meanwhile::Answered(Choice::KeepWaiting) => progress.again(printer),
                        Meanwhile::Answered(Choice::RollBack { to }) => {
                            self.canceller.cancel();
                            // Its probe and its label are its own to put away.
                            let _ = change.await;
                            return Ok(Followed::RollBack { to });
                        }
                        Meanwhile::Answered(Choice::Detach) => self.canceller.cancel(),
                    }
                }
            }
        }
    }
}

/// What an interrupted user wants.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    Detach,
    RollBack {
        /// The release that served before.
        to: u32,
    },
    KeepWaiting,
}

impl Choice {
    /// What was typed, if it is one of those offered; the end of input and a second Ctrl-C mean: detach.
    fn of(answer: Option<&str>, before: Option<u32>) -> Option<Self> {
        match (answer, before) {
            (Some("r" | "roll back" | "rollback"), Some(to)) => Some(Self::RollBack { to }),
            (Some("k" | "keep" | "keep waiting"), _) => Some(Self::KeepWaiting),
            (None | Some("d" | "detach"), _) => Some(Self::Detach),
            (Some(_), _) => None,
        }
    }
}

/// Asks on the terminal, until one of those is answered that are offered.
pub(crate) async fn ask(printer: &mut Printer, detached: &str, before: Option<u32>, interrupt: &mut Signal) -> Choice {
    let back = before.map_or_else(String::new, |before| format!(", [r]oll back to r{before}"));
    let mut question = format!("interrupted: [d]etach ({detached}){back}, [k]eep waiting?");
    loop {
        if let Some(choice) = Choice::of(question::ask(&question, interrupt, printer).await.as_deref(), before) {
            return choice;
        }
        (if before.is_some() { "answer d, r or k" } else { "answer d or k" }).clone_into(&mut question);
    }
}

/// What came first while somebody was asked.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Meanwhile<T, A> {
    /// The change came to its end.
    Ended(T),
    Answered(A),
}

/// Goes on with a change while somebody is asked: what watches it must not stand still as long as nobody answers.
pub(crate) async fn meanwhile<T, A>(
    change: Pin<&mut impl Future<Output = T>>,
    answer: impl Future<Output = A>,
) -> Meanwhile<T, A> {
    tokio::select! {
        biased;
        ended = change => Meanwhile::Ended(ended),
        answer = answer => Meanwhile::Answered(answer),
    }
}

/// Signals that ask for the end. They are listened for from the first moment on, so that none is lost on the way there.
pub(crate) struct Told {
    pub(crate) terminate: Signal,
    pub(crate) interrupt: Signal,
}

impl Told {
    pub(crate) fn listen() -> Result<Self, Failure> {
        Ok(Self { terminate: listen(SignalKind::terminate())?, interrupt: listen(SignalKind::interrupt())? })
    }

    /// Forgets a Ctrl-C that came until now.
    pub(crate) fn without_interrupt(self) -> Result<Self, Failure> {
        Ok(Self { interrupt: listen(SignalKind::interrupt())?, ..self })
    }

    /// Returns once one has come.
    pub(crate) async fn comes(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// Whether one has come until now.
    pub(crate) async fn has_come(&mut self) -> bool {
        tokio::select! {
            biased;
            () = self.comes() => true,
            () = std::future::ready(()) => false,
        }
    }
}

/// Waits for `work`, or for Ctrl-C or SIGTERM; then `work` is dropped, and the failure says `how_it_stands`.
pub(crate) async fn unless_interrupted<T>(work: impl Future<Output = T>, how_it_stands: &str) -> Result<T, Failure> {
    let mut told = Told::listen()?;
    tokio::select! {
        done = work => Ok(done),
        () = told.comes() => Err(Failure::unsure(how_it_stands)),
    }
}

/// A signal, heard from now on.
pub(crate) fn listen(kind: SignalKind) -> Result<Signal, Failure> {
    signal(kind).map_err(|error| Failure::unsure(format!("could not listen for signals: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_change_goes_on_while_somebody_is_asked() {
        let steps = async {
            for _ in 0..3 {
                tokio::task::yield_now().await;
            }
            "done"
        };
        let mut change = pin!(steps);
        let nobody_answers = std::future::pending::<Choice>();
        assert_eq!(meanwhile(change.as_mut(), nobody_answers).await, Meanwhile::Ended("done"));
        let mut endless = pin!(std::future::pending::<&str>());
        let answered = meanwhile(endless.as_mut(), std::future::ready(Choice::KeepWaiting)).await;
        assert_eq!(answered, Meanwhile::Answered(Choice::KeepWaiting));
    }

    #[test]
    fn only_what_is_offered_is_an_answer() {
        assert_eq!(Choice::of(Some("r"), Some(4)), Some(Choice::RollBack { to: 4 }));
        assert_eq!(Choice::of(Some("r"), None), None);
        assert_eq!(Choice::of(Some("yes"), Some(4)), None);
        assert_eq!(Choice::of(Some(""), None), None);
        assert_eq!(Choice::of(Some("k"), None), Some(Choice::KeepWaiting));
        assert_eq!(Choice::of(None, Some(4)), Some(Choice::Detach));
    }
}

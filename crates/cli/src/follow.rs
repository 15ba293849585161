//! Follows a change while it happens: shows its events, and asks what Ctrl-C shall mean.

use std::future::Future;
use std::pin::pin;

use gimmetime_ops::{Canceller, Event, OpsError, Run, cancellation};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::exit::Failure;
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
                    match (ask(printer, before, &mut interrupt).await, before) {
                        (Choice::KeepWaiting, _) => {}
                        (Choice::RollBack, Some(to)) => {
                            self.canceller.cancel();
                            // Its probe and its label are its own to put away.
                            let _ = change.await;
                            return Ok(Followed::RollBack { to });
                        }
                        (Choice::Detach | Choice::RollBack, _) => self.canceller.cancel(),
                    }
                }
            }
        }
    }
}

enum Choice {
    Detach,
    RollBack,
    KeepWaiting,
}

/// Asks on the terminal. A second Ctrl-C while it asks means: detach.
async fn ask(printer: &mut Printer, before: Option<u32>, interrupt: &mut Signal) -> Choice {
    let back = before.map_or_else(String::new, |before| format!(", [r]oll back to r{before}"));
    loop {
        printer.note(format!("interrupted: [d]etach (it goes on){back}, [k]eep waiting?"));
        match answer(interrupt).await.as_deref() {
            Some("r" | "roll back" | "rollback") if before.is_some() => return Choice::RollBack,
            Some("k" | "keep" | "keep waiting") => return Choice::KeepWaiting,
            None | Some("d" | "detach") => return Choice::Detach,
            Some(_) => {}
        }
    }
}

/// What is typed on the terminal; None if Ctrl-C or the end of input comes instead. Once a signal was listened for it
/// ends nothing by itself any more, so whoever reads must listen, too.
pub(crate) async fn answer(interrupt: &mut Signal) -> Option<String> {
    let line = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).map(|length| (0 < length).then_some(line))
    });
    tokio::select! {
        line = line => Some(line.ok()?.ok()??.trim().to_lowercase()),
        _ = interrupt.recv() => None,
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

/// A signal, heard from now on.
pub(crate) fn listen(kind: SignalKind) -> Result<Signal, Failure> {
    signal(kind).map_err(|error| Failure::unsure(format!("could not listen for signals: {error}")))
}

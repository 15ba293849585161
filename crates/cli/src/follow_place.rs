//! Follows a change of the place while it happens: shows its events, and asks what Ctrl-C shall mean.

use std::future::Future;
use std::pin::pin;

use gimmetime_aws::PlaceEvent;
use gimmetime_aws::stack::{Pace, PlaceRun};
use gimmetime_ops::{Canceller, cancellation};
use tokio::signal::unix::SignalKind;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::args::Common;
use crate::exit::Failure;
use crate::follow::{Choice, Meanwhile, ask, listen, meanwhile};
use crate::render::Printer;
use crate::render::place::PlaceProgress;

/// One change of the place: what it is given, and what is kept to follow it.
pub(crate) struct PlaceFollow {
    run: PlaceRun,
    events: UnboundedReceiver<PlaceEvent>,
    canceller: Canceller,
    progress: PlaceProgress,
}

impl PlaceFollow {
    /// A change of so many resources; 0 if that is not known. `--timeout` is how long it is watched.
    pub(crate) fn new(resources: usize, common: &Common) -> Self {
        let (sender, events) = unbounded_channel();
        let (canceller, cancel) = cancellation();
        let pace = Pace { patience: common.timeout.unwrap_or(Pace::AWS.patience), ..Pace::AWS };
        let run = PlaceRun { events: sender, cancel, pace };
        Self { run, events, canceller, progress: PlaceProgress::of(resources) }
    }

    /// What the change is given.
    pub(crate) fn run(&self) -> PlaceRun {
        self.run.clone()
    }

    /// Stops waiting as soon as the change was begun: `--detach`.
    pub(crate) fn detach(&self) {
        self.canceller.cancel();
    }

    /// Shows events until the change ends; `heard` learns of each. Ctrl-C asks on a terminal, and detaches elsewhere; so
    /// does SIGTERM.
    pub(crate) async fn until_end<T>(
        mut self,
        change: impl Future<Output = T>,
        mut heard: impl FnMut(&PlaceEvent),
        printer: &mut Printer,
    ) -> Result<T, Failure> {
        let mut change = pin!(change);
        let (mut interrupt, mut terminate) = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
        loop {
            tokio::select! {
                biased;
                Some(event) = self.events.recv() => {
                    heard(&event);
                    self.progress.show(&event, printer);
                }
                ended = &mut change => {
                    while let Ok(event) = self.events.try_recv() {
                        self.progress.show(&event, printer);
                    }
                    printer.clear();
                    return Ok(ended);
                }
                _ = terminate.recv() => self.canceller.cancel(),
                _ = interrupt.recv() => {
                    if !printer.can_ask() {
                        self.canceller.cancel();
                        continue;
                    }
                    match meanwhile(change.as_mut(), ask(printer, "it goes on on AWS", None, &mut interrupt)).await {
                        Meanwhile::Ended(ended) => {
                            printer.note("it ended meanwhile");
                            while let Ok(event) = self.events.try_recv() {
                                heard(&event);
                            }
                            return Ok(ended);
                        }
                        Meanwhile::Answered(Choice::KeepWaiting) => self.progress.again(printer),
                        Meanwhile::Answered(Choice::Detach | Choice::RollBack { .. }) => self.canceller.cancel(),
                    }
                }
            }
        }
    }
}

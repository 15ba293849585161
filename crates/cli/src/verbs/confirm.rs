//! Asks before something is made, changed or removed. No terminal never means yes.
//!
//! How long an answer was waited for is returned: it is no part of what the work took.

use std::time::Duration;

use gimmetime_clock::source;
use tokio::signal::unix::SignalKind;

use crate::exit::Failure;
use crate::follow::listen;
use crate::question;
use crate::render::Printer;

/// Goes on after a yes.
pub(crate) async fn yes(question: &str, printer: &mut Printer) -> Result<Duration, Failure> {
    must_ask(printer, "pass --yes")?;
    let mut interrupt = listen(SignalKind::interrupt())?;
    let asked = source::mono();
    match question::ask(&format!("{question} [y]es, [n]o"), &mut interrupt, printer).await.as_deref() {
        Some("y" | "yes") => Ok(source::mono().since(asked)),
        _ => Err(Failure::unsure("nothing was changed")),
    }
}

/// Goes on after the name was typed.
pub(crate) async fn name(name: &str, printer: &mut Printer) -> Result<Duration, Failure> {
    must_ask(printer, &format!("pass --yes --name {name}"))?;
    let mut interrupt = listen(SignalKind::interrupt())?;
    let asked = source::mono();
    match question::ask(&format!("type the name: {name}"), &mut interrupt, printer).await {
        Some(typed) if typed == name.to_lowercase() => Ok(source::mono().since(asked)),
        _ => Err(Failure::unsure("nothing was deleted: that is not its name")),
    }
}

fn must_ask(printer: &Printer, hint: &str) -> Result<(), Failure> {
    if printer.can_ask() {
        return Ok(());
    }
    Err(Failure::unsure("nobody can be asked here: there is no terminal, and that is not a yes").hint(hint))
}

//! `man` and `completions`: made from the definition of the command line, so that they cannot drift from it.

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::args::Cli;
use crate::exit::{Exit, Failure};
use crate::render::Printer;
use crate::verbs::said;

/// Prints the manual page, every verb in it.
pub(crate) fn man(printer: &mut Printer) -> Result<Exit, Failure> {
    let mut command = Cli::command();
    command.build();
    let mut page = Vec::new();
    let rendered = clap_mangen::Man::new(command.clone()).render(&mut page).and_then(|()| {
        command.get_subcommands().filter(|verb| !verb.is_hide_set() && verb.get_name() != "help").try_for_each(|verb| {
            let man = clap_mangen::Man::new(verb.clone());
            page.extend_from_slice(format!(".SH \"{}\"\n", verb.get_name().to_uppercase()).as_bytes());
            man.render_synopsis_section(&mut page)?;
            man.render_description_section(&mut page)
        })
    });
    rendered.map_err(|error| Failure::unsure(format!("could not render the manual page: {error}")))?;
    said(printer.data(String::from_utf8_lossy(&page).trim_end()))
}

/// Prints a completion script.
pub(crate) fn completions(shell: Shell, printer: &mut Printer) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "gimmetime", &mut script);
    said(printer.data(String::from_utf8_lossy(&script).trim_end()))
}

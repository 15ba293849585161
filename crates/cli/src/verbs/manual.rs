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
    let man = clap_mangen::Man::new(command.clone());
    let rendered = man
        .render_title(&mut page)
        .and_then(|()| man.render_name_section(&mut page))
        .and_then(|()| man.render_synopsis_section(&mut page))
        .and_then(|()| man.render_options_section(&mut page))
        .and_then(|()| {
            let verbs = command.get_subcommands().filter(|verb| !verb.is_hide_set() && verb.get_name() != "help");
            verbs.into_iter().try_for_each(|verb| render_verb(verb, &mut page))
        })
        .and_then(|()| man.render_extra_section(&mut page));
    rendered.map_err(|error| Failure::unsure(format!("could not render the manual page: {error}")))?;
    said(printer.data(String::from_utf8_lossy(&page).trim_end()))
}

/// One verb: what it does, and the options that only it has.
fn render_verb(verb: &clap::Command, page: &mut Vec<u8>) -> std::io::Result<()> {
    let own =
        verb.get_arguments().filter(|argument| argument.is_global_set()).map(|argument| argument.get_id().clone());
    let own: Vec<_> = own.collect();
    let mut verb = verb.clone();
    for id in own {
        verb = verb.mut_arg(id, |argument| argument.hide(true));
    }
    let man = clap_mangen::Man::new(verb.clone());
    page.extend_from_slice(format!(".SH \"{}\"\n", verb.get_name().to_uppercase()).as_bytes());
    if let Some(about) = verb.get_about() {
        page.extend_from_slice(format!("{about}\n").as_bytes());
    }
    let mut options = Vec::new();
    man.render_options_section(&mut options)?;
    // A subsection here, where clap_mangen makes a section.
    page.extend_from_slice(String::from_utf8_lossy(&options).replace(".SH", ".SS").as_bytes());
    Ok(())
}

/// Prints a completion script.
pub(crate) fn completions(shell: Shell, printer: &mut Printer) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "gimmetime", &mut script);
    said(printer.data(String::from_utf8_lossy(&script).trim_end()))
}

//! `up`: makes the place and the service, or brings both up to the settings; ends with a service that was checked.

mod aws;
mod local;

use gimmetime_check::{CheckError, Options, Report, Url, Verdict};
use gimmetime_ops::{Outcome, Release, UpAction, UpReport};

use crate::args::Up;
use crate::exit::{Exit, Failure};
use crate::release::Packed;
use crate::render::progress::short;
use crate::render::{Printer, Tone, rollout};
use crate::settings::{ImageSource, Place, Settings};
use crate::verbs::{Context, check, said};

/// A command that reads the service is shown beside another one if it is no longer than this.
const READ_WIDTH: usize = 50;

/// Brings everything up; with `--foreground`, stays and takes it down at the end.
pub(crate) async fn run(context: &Context, args: &Up, printer: &mut Printer) -> Result<Exit, Failure> {
    let settings = wanted(&context.settings, args);
    match &settings.place {
        Place::Local { .. } => Box::pin(local::run(context, &settings, args, printer)).await,
        Place::Aws(place) => Box::pin(aws::run(context, &settings, place, args, printer)).await,
    }
}

/// The settings with what was typed for this verb.
fn wanted(settings: &Settings, args: &Up) -> Settings {
    let mut wanted = settings.clone();
    if let Some(image) = &args.image {
        wanted.service.image = ImageSource::parse(image);
    }
    if let (Place::Local { listen }, Some(typed)) = (&mut wanted.place, args.listen) {
        *listen = Some(typed);
    }
    wanted.count = args.count.or(wanted.count);
    wanted
}

/// What a service that serves says of its clocks; None when there is nobody to ask.
async fn examine(
    context: &Context,
    settings: &Settings,
    url: &Url,
    up: &UpReport,
) -> Option<Result<Report, CheckError>> {
    if up.rollout.outcome != Outcome::Done || up.rollout.count == 0 {
        return None;
    }
    // Only the built-in service is known to name its instances.
    let builtin = settings.service.image == ImageSource::Builtin;
    let expected_instances = builtin.then_some(up.rollout.count as usize);
    let connect_to = context.common.connect_to.clone();
    let options = Options { expected_instances, connect_to, ..Options::default() };
    Some(gimmetime_check::check(url, &options).await)
}

/// `builtin 0.1.0 sha256:9c1f…`
fn named(release: &Release, settings: &Settings, packed: &Packed) -> String {
    let digest = release.digest.as_deref().unwrap_or_default();
    let is_builtin = settings.service.image == ImageSource::Builtin && digest == packed.digest;
    let builtin = if is_builtin { "builtin " } else { "" };
    format!("{builtin}{} {}", release.version.as_deref().unwrap_or_default(), short(digest))
}

/// The verdict on the service's clock. A service that tells no time has none.
fn clock(checked: Option<&Result<Report, CheckError>>, printer: &Printer) -> (String, Exit) {
    match checked {
        Some(Ok(report)) => {
            let (verdict, words) = check::brief(report);
            let (tone, sign, exit) = match verdict {
                Verdict::Ok => (Tone::Good, "✔", Exit::Done),
                Verdict::Wrong => (Tone::Bad, "✘", Exit::Failed),
                Verdict::Undecided => (Tone::Warn, "?", Exit::Done),
            };
            (format!("{} {words}", printer.paint(tone, sign)), exit)
        }
        Some(Err(CheckError::NotNumber { .. })) => (format!("{} answers", printer.paint(Tone::Good, "✔")), Exit::Done),
        Some(Err(error)) => (format!("{} {error}", printer.paint(Tone::Bad, "✘")), Exit::Failed),
        None => (String::new(), Exit::Done),
    }
}

/// `✔ 2 of 2 healthy   ✔ clock within ±0.10 ms of this machine`, or that there is nobody to say so of.
fn serving(count: u32, clock: &str, printer: &Printer) -> String {
    if count == 0 {
        return format!("{} {}", printer.paint(Tone::Warn, "?"), rollout::nobody(printer));
    }
    format!("{} {count} of {count} healthy   {clock}", printer.paint(Tone::Good, "✔"))
}

fn tell_changes(up: &UpReport, printer: &mut Printer) -> Result<Exit, Failure> {
    for change in &up.changes {
        said(printer.text(format!("  changed  {}: {}", change.setting, change.words)))?;
    }
    match up.rollout.tally.as_ref() {
        Some(tally) if up.action == UpAction::Changed || 0 < tally.failed => {
            said(printer.text(format!("  probed   {}", rollout::probe(tally))))
        }
        _ => Ok(Exit::Done),
    }
}

/// Says so when what runs is not the image that was asked for.
fn tell_other_image(running: Option<&Release>, packed: &Packed, printer: &mut Printer) -> Result<Exit, Failure> {
    if running.is_some_and(|release| release.digest.as_deref() != Some(packed.digest.as_str())) {
        let words = format!("  note   {} is not what runs; to roll it out: gimmetime deploy", short(&packed.digest));
        return said(printer.text(words));
    }
    Ok(Exit::Done)
}

/// How to read it, watch it, scale it, delete it: two to a line where they fit.
fn success_info(settings: &Settings, place: &gimmetime_ops::Place, printer: &mut Printer) -> Result<Exit, Failure> {
    let elsewhere = place.connect_to.as_ref().map_or_else(String::new, |there| format!(" --connect-to ::{there}"));
    let curl = format!("curl -s{elsewhere} http://{}{}", place.url.authority(), place.url.path);
    let reads_time = settings.service.probe == "/now";
    let read = if reads_time { format!("date -d @$({curl})") } else { curl };
    let [watch, scale, delete] =
        ["gimmetime status --watch", "gimmetime scale 4", "gimmetime down"].map(|command| printer.placed(command));
    let pairs = [
        format!("  read   {read:<READ_WIDTH$} watch   {watch}"),
        format!("  scale  {scale:<READ_WIDTH$} delete  {delete}"),
    ];
    let columns = printer.data_columns().unwrap_or(usize::MAX);
    if [&read, &scale].into_iter().all(|left| left.len() <= READ_WIDTH)
        && pairs.iter().all(|pair| pair.len() <= columns)
    {
        return said(pairs.into_iter().try_for_each(|pair| printer.text(pair)));
    }
    said(printer.text(format!("  read    {read}\n  watch   {watch}\n  scale   {scale}\n  delete  {delete}")))
}

fn changes_json(up: &UpReport) -> serde_json::Value {
    let changes = up.changes.iter();
    changes.map(|change| serde_json::json!({ "setting": change.setting, "change": change.words })).collect()
}

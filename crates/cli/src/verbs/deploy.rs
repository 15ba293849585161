//! `deploy`, `rollback` and `scale`: one change each, followed to its end.

use gimmetime_ops::{DeployMode, Deployed, RolloutReport, deploy as roll_out, rollback as roll_back, scale as rescale};
use serde_json::json;

use crate::args::{Deploy, Rollback, Scale, Smoke};
use crate::exit::{Exit, Failure};
use crate::release::{ARCHITECTURE, pack};
use crate::render::units::counted;
use crate::render::{Printer, Tone, rollout};
use crate::settings::ImageSource;
use crate::target::{self, Published, Reached, engine_failed};
use crate::verbs::change::{self, Changed};
use crate::verbs::{Context, said};

/// Rolls a new release out.
pub(crate) async fn deploy(context: &Context, args: &Deploy, printer: &mut Printer) -> Result<Exit, Failure> {
    let settings = &context.settings;
    let source = args.image.as_deref().map_or_else(|| settings.service.image.clone(), ImageSource::parse);
    let mut reached = context.connect(printer).await?;
    let context = &context.asked_by(&reached);
    if let Reached::Aws(cloud) = &reached
        && let Some(note) = target::path_not_brought(cloud, &settings.service.health).await?
    {
        printer.note(note);
    }
    let published = publish(context, &mut reached, &source, &args.smoke, printer).await?;
    let Published { repository, packed, pushed, .. } = published;
    let spec = target::service_spec(settings, &settings.service.image, &repository, packed.clone());
    let mode = if args.force { DeployMode::Force } else { DeployMode::WhenChanged };
    let place = reached.place();
    let change = async |mut run: gimmetime_ops::Run| {
        run.pushed = pushed;
        roll_out(place, &spec, mode, &run).await
    };
    match Box::pin(change::make(context, &args.busy, place, printer, change)).await? {
        Changed::Own(Deployed::Unchanged { release, healthy, desired }) => {
            unchanged(release, healthy, desired, printer)
        }
        Changed::Own(Deployed::Rolled(mut report)) => {
            if let (Some(cause), Some(image)) = (&mut report.cause, &args.image)
                && cause.fix == "gimmetime deploy"
            {
                // What is mended is what was deployed, not what the settings name.
                cause.fix = format!("gimmetime deploy {image}");
            }
            let heading = rollout::heading(&report, Some(&packed.digest), packed.git.as_deref(), &context.who);
            end(context, &report, &heading, printer)
        }
        Changed::Other(report) => {
            let heading = rollout::heading(&report, None, None, &context.who);
            end(context, &report, &heading, printer).map(|exit| change::undone(&report, exit))
        }
    }
}

/// Nothing had to change. That is no success where what should run does not serve.
fn unchanged(release: u32, healthy: u32, desired: u32, printer: &mut Printer) -> Result<Exit, Failure> {
    said(printer.json(&json!({
        "operation": "deploy", "outcome": "unchanged", "release": release, "healthy": healthy, "desired": desired,
    })))?;
    if desired == 0 {
        let words = format!("r{release} has this digest and these settings already; {}", rollout::nobody(printer));
        return said(printer.folded(&words, "; "));
    }
    if desired <= healthy {
        let words = format!("r{release} runs this digest with these settings already; --force rolls it anyway");
        return said(printer.folded(&words, "; "));
    }
    let cross = printer.paint(Tone::Bad, "✘");
    let words = format!("{cross} r{release} is what should run, and {healthy} of {desired} are healthy: gimmetime why");
    said(printer.text(words))?;
    Ok(if healthy == 0 { Exit::Unhealthy } else { Exit::Failed })
}

/// Brings the image to where the tasks of the place take it from.
async fn publish(
    context: &Context,
    reached: &mut Reached,
    source: &ImageSource,
    smoke: &Smoke,
    printer: &mut Printer,
) -> Result<Published, Failure> {
    match reached {
        Reached::Local(_) => {
            let layout = target::home(&context.settings).layout().map_err(engine_failed)?;
            let packed = pack(&context.settings, source, &layout)?;
            let (repository, architecture) = (target::repository(&context.settings), ARCHITECTURE.to_owned());
            Ok(Published { repository, packed, architecture, pushed: None })
        }
        Reached::Aws(cloud) => cloud.publish(context, source, smoke, printer).await,
    }
}

/// Returns to an earlier release.
pub(crate) async fn rollback(context: &Context, args: &Rollback, printer: &mut Printer) -> Result<Exit, Failure> {
    let reached = context.connect(printer).await?;
    let context = &context.asked_by(&reached);
    let place = reached.place();
    let change = async |run| roll_back(place, args.release, &run).await;
    let changed = Box::pin(change::make(context, &args.busy, place, printer, change)).await?;
    let report = changed.into_report();
    let heading = rollout::heading(&report, None, None, &context.who);
    end(context, &report, &heading, printer)
}

/// Runs another number of tasks.
pub(crate) async fn scale(context: &Context, args: &Scale, printer: &mut Printer) -> Result<Exit, Failure> {
    let reached = context.connect(printer).await?;
    let context = &context.asked_by(&reached);
    let place = reached.place();
    let change = async |run| rescale(place, args.count, &run).await;
    let changed = Box::pin(change::make(context, &args.busy, place, printer, change)).await?;
    let report = changed.into_report();
    let heading = format!("r{} · {}", report.to, counted(report.count as usize, "task"));
    end(context, &report, &heading, printer)
}

fn end(context: &Context, report: &RolloutReport, heading: &str, printer: &mut Printer) -> Result<Exit, Failure> {
    said(printer.json(&rollout::as_json(report)))?;
    said(printer.text(heading))?;
    change::end(context, report, printer)
}

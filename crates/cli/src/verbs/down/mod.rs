//! `down`: everything drained, stopped and removed, and said what is left. Done twice it does nothing.

mod aws;
mod local;

use crate::exit::{Exit, Failure};
use crate::render::Printer;
use crate::settings::Place;
use crate::verbs::Context;

pub(crate) use local::stop;

/// Takes everything down, whatever it is doing.
pub(crate) async fn run(context: &Context, printer: &mut Printer) -> Result<Exit, Failure> {
    match &context.settings.place {
        Place::Local { .. } => local::run(context, printer).await,
        Place::Aws(place) => Box::pin(aws::run(context, place, printer)).await,
    }
}

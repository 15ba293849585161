//! `template`: the place and what runs in it as one CloudFormation template, to leave with.

use gimmetime_aws::template::whole;

use crate::exit::{Exit, Failure};
use crate::release::named_by_settings;
use crate::render::Printer;
use crate::target;
use crate::verbs::{Context, said};

/// Prints it; asks nobody.
pub(crate) fn run(context: &Context, printer: &mut Printer) -> Result<Exit, Failure> {
    let settings = &context.settings;
    let place = context.on_aws("template")?;
    let region = target::region(place)?;
    let spec = target::aws_spec(settings, place, region);
    let (packed, architecture) = named_by_settings(settings)?;
    let repository = match &context.common.registry {
        Some(repository) => repository.to_string(),
        None => target::repository_uri(settings, place, region),
    };
    let service = target::service_spec(settings, &settings.service.image, &repository, packed);
    let text = whole(&spec, &service, architecture).map_err(|error| target::template_failed(&error))?;
    said(printer.data(text.trim_end()))
}

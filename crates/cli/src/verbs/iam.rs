//! `iam`: the policies that the verbs need, as documents to be pasted.

use gimmetime_aws::iam::{GitHub, Level, Policy, Provider, Scope, github, policies};
use serde_json::{Value, json};

use crate::args::Iam;
use crate::exit::{Exit, Failure};
use crate::render::Printer;
use crate::settings::AwsPlace;
use crate::target;
use crate::verbs::{Context, said};

/// Prints them; asks nobody.
pub(crate) fn run(context: &Context, args: &Iam, printer: &mut Printer) -> Result<Exit, Failure> {
    let place = context.on_aws(&match args {
        Iam::Up => "iam up".to_owned(),
        Iam::Deploy => "iam deploy".to_owned(),
        Iam::Read => "iam read".to_owned(),
        Iam::Github { repository, branch, provider } => {
            let provider = provider.as_ref().map_or_else(String::new, |arn| format!(" --provider-arn {arn}"));
            format!("iam github {repository} --branch {branch}{provider}")
        }
    })?;
    let spec = target::aws_spec(&context.settings, place, target::region(place)?);
    let scope = Scope::of(&spec, place.account.as_deref().unwrap_or("*"));
    let level = match args {
        Iam::Up => Level::Up,
        Iam::Deploy => Level::Deploy,
        Iam::Read => Level::Read,
        Iam::Github { repository, branch, provider } => {
            if repository.split('/').filter(|part| !part.is_empty()).count() != 2 {
                let words = format!("expected a repository as OWNER/NAME, but found `{repository}`");
                return Err(Failure::unsure(words));
            }
            let provider = provider_of(provider.as_deref(), place)?;
            let from = GitHub { repository: repository.clone(), branch: branch.clone(), provider };
            return said(printer.data(github(&scope, &from).trim_end()));
        }
    };
    show(&policies(level, &scope), printer)
}

/// Who vouches for GitHub's tokens. A role trusts only a provider of its own account.
fn provider_of(arn: Option<&str>, place: &AwsPlace) -> Result<Provider, Failure> {
    let Some(arn) = arn else { return Ok(Provider::Made) };
    match (&place.account, arn.split(':').nth(4)) {
        (Some(account), Some(other)) if account != other => {
            let words = format!("the provider is in account {other}, and the target's account is {account}");
            Err(Failure::unsure(words).hint("aws iam list-open-id-connect-providers, with the target's credentials"))
        }
        _ => Ok(Provider::Existing(arn.to_owned())),
    }
}

/// Documents alone on standard output, so that one can be piped on; their names beside it.
fn show(policies: &[Policy], printer: &mut Printer) -> Result<Exit, Failure> {
    let objects: Vec<Value> = policies
        .iter()
        .map(|Policy { name, document }| json!({ "name": name, "document": parsed(document) }))
        .collect();
    said(printer.json(&json!({ "policies": objects })))?;
    if 1 < policies.len() {
        printer.note(format!("{} policies, since IAM limits the size of one: attach all of them", policies.len()));
    }
    for Policy { name, document } in policies {
        printer.note(format!("{name}:"));
        said(printer.text(document.trim_end()))?;
    }
    Ok(Exit::Done)
}

fn parsed(document: &str) -> Value {
    serde_json::from_str(document).unwrap_or_else(|_| Value::String(document.to_owned()))
}

//! The keys of `gimmetime.toml`, as they were written: nothing is defaulted here.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use toml_edit::Document;

use super::parse_duration;
use super::reader::{Mistake, Mistakes, Pair, Reader, syntax};
use super::target_file::TargetFile;

/// A settings file.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct File {
    /// `name`
    pub(crate) name: Option<String>,
    /// `target`
    pub(crate) target: Option<String>,
    /// `[service]`
    pub(crate) service: ServiceFile,
    /// Keys of a target that stand at the top: for every target that does not say otherwise.
    pub(crate) top: TargetFile,
    /// `[targets.NAME]`
    pub(crate) targets: BTreeMap<String, TargetFile>,
}

/// `[service]`
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct ServiceFile {
    pub(crate) image: Option<String>,
    pub(crate) command: Option<Vec<String>>,
    pub(crate) port: Option<u16>,
    pub(crate) health: Option<String>,
    pub(crate) probe: Option<String>,
    pub(crate) cpu: Option<u32>,
    pub(crate) memory: Option<u32>,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) secrets: Vec<Pair>,
    /// Where `size` stands, counted from 1.
    pub(crate) size_line: Option<usize>,
    pub(crate) min_healthy_percent: Option<u32>,
    pub(crate) max_percent: Option<u32>,
    pub(crate) failures: Option<u32>,
    pub(crate) stop_timeout: Option<Duration>,
    pub(crate) probe_rate: Option<f64>,
}

impl File {
    /// Reads a file, and what is wrong in it.
    ///
    /// # Errors
    /// If nothing can be read of it.
    pub(crate) fn read(path: &Path) -> Result<(Self, Mistakes), Mistakes> {
        let mut mistakes = Mistakes::of(Some(path));
        match std::fs::read_to_string(path) {
            Ok(source) => Self::parse(&source, mistakes),
            Err(error) => {
                let words = format!("could not read the settings file {}: {error}", path.display());
                mistakes.add(Mistake::plain(words).hint("name another with --config FILE"));
                Err(mistakes)
            }
        }
    }

    /// Reads a file's text, and what is wrong in it.
    ///
    /// # Errors
    /// If its syntax is wrong.
    pub(crate) fn parse(source: &str, mut mistakes: Mistakes) -> Result<(Self, Mistakes), Mistakes> {
        let document = match Document::parse(source) {
            Ok(document) => document,
            Err(error) => {
                mistakes.add(syntax(source, &error));
                return Err(mistakes);
            }
        };
        let mut top = Reader::new(source, document.as_table());
        let mut file = Self {
            name: top.string("name", &mut mistakes),
            target: top.string("target", &mut mistakes),
            ..Self::default()
        };
        if let Some(service) = top.table("service", &mut mistakes) {
            file.service = read_service(service, &mut mistakes);
        }
        file.top = TargetFile::read(&mut top, &mut mistakes);
        if let Some(mut targets) = top.table("targets", &mut mistakes) {
            for (name, target) in targets.named_tables(&mut mistakes) {
                let target = TargetFile::read_own(&name, target, &file.top, &mut mistakes);
                file.targets.insert(name, target);
            }
        }
        top.finish(&mut mistakes);
        Ok((file, mistakes))
    }
}

fn read_service(mut reader: Reader<'_>, mistakes: &mut Mistakes) -> ServiceFile {
    let mut service = ServiceFile {
        image: reader.string("image", mistakes),
        command: reader.strings("command", mistakes),
        port: reader.integer("port", 1..65536, mistakes).map(|port| port as u16),
        health: reader.parsed("health", mistakes, url_path),
        probe: reader.parsed("probe", mistakes, url_path),
        env: variables(&mut reader, "env", mistakes),
        secrets: secrets(&mut reader, mistakes),
        size_line: reader.line("size"),
        ..ServiceFile::default()
    };
    if let Some(mut size) = reader.table("size", mistakes) {
        service.cpu = size.integer("cpu", 1..16385, mistakes);
        service.memory = size.integer("memory", 1..122_881, mistakes);
        size.finish(mistakes);
    }
    if let Some(mut rollout) = reader.table("rollout", mistakes) {
        service.min_healthy_percent = rollout.integer("min_healthy_percent", 0..101, mistakes);
        service.max_percent = rollout.integer("max_percent", 100..401, mistakes);
        service.failures = rollout.integer("failures", 1..201, mistakes);
        service.stop_timeout = rollout.parsed("stop_timeout", mistakes, stop_timeout);
        service.probe_rate = rollout.positive("probe_rate", mistakes);
        if (service.min_healthy_percent, service.max_percent) == (Some(100), Some(100)) {
            let words =
                "`service.rollout`: min_healthy_percent 100 and max_percent 100 leave no room to replace a task";
            mistakes.add(Mistake::plain(words).hint("lower the one or raise the other"));
        }
        rollout.finish(mistakes);
    }
    reader.finish(mistakes);
    service
}

/// Plain environment variables.
fn variables(reader: &mut Reader<'_>, key: &'static str, mistakes: &mut Mistakes) -> BTreeMap<String, String> {
    let pairs = reader.pairs(key, mistakes);
    check_names(key, &pairs, mistakes);
    pairs.into_iter().map(|pair| (pair.name, pair.value)).collect()
}

/// Variables whose values are kept elsewhere: what stands here is where.
fn secrets(reader: &mut Reader<'_>, mistakes: &mut Mistakes) -> Vec<Pair> {
    let pairs = reader.pairs("secrets", mistakes);
    check_names("secrets", &pairs, mistakes);
    let is_reference = |text: &str| ["file:/", "ssm:", "secretsmanager:"].iter().any(|scheme| text.starts_with(scheme));
    for Pair { name, line, .. } in pairs.iter().filter(|pair| !is_reference(&pair.value)) {
        let mistake = Mistake::plain(format!("secret `{name}` must be a reference, not a value")).at(*line);
        mistakes.add(mistake.hint("file: and an absolute path here; ssm:NAME or secretsmanager:NAME on AWS"));
    }
    pairs
}

/// A name that no shell could set is a mistake, and so is one the engine sets itself.
fn check_names(key: &str, pairs: &[Pair], mistakes: &mut Mistakes) {
    for Pair { name, line, .. } in pairs {
        let starts_well = name.starts_with(|first: char| first == '_' || first.is_ascii_alphabetic());
        if !starts_well || !name.bytes().all(|byte| byte == b'_' || byte.is_ascii_alphanumeric()) {
            let words = format!("`service.{key}`: `{name}` is no name of an environment variable");
            mistakes.add(Mistake::plain(words).at(*line));
        }
        if name == "PORT" {
            let words = format!("`service.{key}`: PORT is set by the engine");
            mistakes.add(Mistake::plain(words).at(*line).hint("set service.port"));
        }
    }
}

fn url_path(text: &str) -> Result<String, String> {
    let fits = text.starts_with('/') && text.bytes().all(|byte| byte.is_ascii_graphic());
    if fits { Ok(text.to_owned()) } else { Err(format!("expected a path as /live, but found `{text}`")) }
}

/// ECS takes whole seconds, 0 to 120 on Fargate.
fn stop_timeout(text: &str) -> Result<Duration, String> {
    let time = parse_duration(text)?;
    if time.subsec_nanos() == 0 && time <= Duration::from_mins(2) {
        Ok(time)
    } else {
        Err(format!("expected whole seconds up to 120s, but found `{text}`"))
    }
}

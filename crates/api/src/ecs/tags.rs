//! Labels on resources.

use gimmetime_scheduler::commands::MAX_TAGS;
use gimmetime_scheduler::model::{Model, Tags};
use serde_json::{Value, json};

use crate::ApiError;
use crate::parameters::Parameters;

/// Longest key, in characters.
const KEY_LIMIT: usize = 128;
/// Longest value, in characters.
const VALUE_LIMIT: usize = 256;

pub(super) fn tag(model: &mut Model, mut parameters: Parameters<'_>) -> Result<Value, ApiError> {
    let arn = parameters.required_text("resourceArn")?;
    let labels = read(&mut parameters)?;
    if labels.is_empty() {
        return Err(parameters.missing("tags"));
    }
    parameters.finish()?;
    model.tag_resource(arn, labels)?;
    Ok(json!({}))
}

pub(super) fn untag(model: &mut Model, mut parameters: Parameters<'_>) -> Result<Value, ApiError> {
    let arn = parameters.required_text("resourceArn")?;
    let keys = parameters.texts("tagKeys")?;
    if keys.is_empty() {
        return Err(parameters.missing("tagKeys"));
    }
    parameters.finish()?;
    model.untag_resource(arn, &keys)?;
    Ok(json!({}))
}

pub(super) fn list(model: &Model, mut parameters: Parameters<'_>) -> Result<Value, ApiError> {
    let arn = parameters.required_text("resourceArn")?;
    parameters.finish()?;
    Ok(json!({"tags": view(model.tags_of(arn)?)}))
}

/// Reads `tags` of any call.
pub(super) fn read(parameters: &mut Parameters<'_>) -> Result<Tags, ApiError> {
    let mut labels = Tags::new();
    for mut tag in parameters.objects("tags")? {
        let key = tag.required_text("key")?;
        let value = tag.text("value")?.unwrap_or_default();
        if KEY_LIMIT < key.chars().count() || VALUE_LIMIT < value.chars().count() {
            return Err(tag.invalid("key", "a key is at most 128 characters long, a value 256"));
        }
        if key.to_ascii_lowercase().starts_with("aws:") {
            return Err(tag.invalid("key", "the prefix `aws:` is reserved"));
        }
        if labels.insert(key.to_owned(), value.to_owned()).is_some() {
            return Err(tag.invalid("key", &format!("`{key}` is given twice")));
        }
        tag.finish()?;
    }
    if MAX_TAGS < labels.len() {
        return Err(parameters.invalid("tags", &format!("{} tags, expected at most {MAX_TAGS}", labels.len())));
    }
    Ok(labels)
}

/// `[{key, value}]`
pub(super) fn view(labels: &Tags) -> Value {
    labels.iter().map(|(key, value)| json!({"key": key, "value": value})).collect()
}

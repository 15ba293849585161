//! A call's parameters: read by name and type, and nothing left over unread.
//!
//! What is read is validated here; what nobody read is refused by [`Parameters::finish`], by name, so that a parameter that
//! would change behaviour is never ignored in silence. Names in messages are paths: `containerDefinitions[0].healthCheck`.

use serde_json::{Map, Value};

use crate::{ApiError, Service};

/// Most names on one list parameter (`services`, `tasks`, …): the API's limit.
pub(crate) const LIST_LIMIT: usize = 100;

/// The members of one structure of a call, to be read by name.
#[derive(Debug)]
pub(crate) struct Parameters<'a> {
    service: Service,
    path: String,
    given: &'a Map<String, Value>,
    taken: Vec<&'static str>,
}

impl<'a> Parameters<'a> {
    /// The top of a call.
    pub(crate) fn new(service: Service, parameters: &'a Value) -> Result<Self, ApiError> {
        let given = parameters
            .as_object()
            .ok_or_else(|| ApiError::serialization("expected the parameters of the call as one JSON object"))?;
        Ok(Self { service, path: String::new(), given, taken: Vec::new() })
    }

    /// The value as given, for what is kept and reported back.
    pub(crate) fn value(&mut self, name: &'static str) -> Option<&'a Value> {
        self.taken.push(name);
        self.given.get(name).filter(|value| !value.is_null())
    }

    /// A string.
    pub(crate) fn text(&mut self, name: &'static str) -> Result<Option<&'a str>, ApiError> {
        let Some(value) = self.value(name) else { return Ok(None) };
        value.as_str().map(Some).ok_or_else(|| self.wrong_type(name, "a string", value))
    }

    /// A string that must be there, and not be empty.
    pub(crate) fn required_text(&mut self, name: &'static str) -> Result<&'a str, ApiError> {
        self.text(name)?.filter(|text| !text.is_empty()).ok_or_else(|| self.missing(name))
    }

    /// A whole number within a range.
    pub(crate) fn integer(&mut self, name: &'static str, range: (i64, i64)) -> Result<Option<i64>, ApiError> {
        let Some(value) = self.value(name) else { return Ok(None) };
        let number = match value {
            Value::String(digits) if self.service.is_query() => digits.parse().ok(),
            _ => value.as_i64(),
        };
        let number = number.ok_or_else(|| self.wrong_type(name, "a whole number", value))?;
        if range.0 <= number && number <= range.1 {
            Ok(Some(number))
        } else {
            Err(self.invalid(name, &format!("{number} is not within {} and {}", range.0, range.1)))
        }
    }

    /// A number of seconds since the epoch, whole or not.
    pub(crate) fn seconds(&mut self, name: &'static str) -> Result<Option<f64>, ApiError> {
        let Some(value) = self.value(name) else { return Ok(None) };
        value.as_f64().map(Some).ok_or_else(|| self.wrong_type(name, "a number of seconds", value))
    }

    /// True or false.
    pub(crate) fn boolean(&mut self, name: &'static str) -> Result<Option<bool>, ApiError> {
        let Some(value) = self.value(name) else { return Ok(None) };
        value.as_bool().map(Some).ok_or_else(|| self.wrong_type(name, "true or false", value))
    }

    /// A list of strings; empty if it is not there.
    pub(crate) fn texts(&mut self, name: &'static str) -> Result<Vec<String>, ApiError> {
        let items = self.list(name)?;
        if LIST_LIMIT < items.len() {
            return Err(self.invalid(name, &format!("{} items, expected at most {LIST_LIMIT}", items.len())));
        }
        let text = |item: &Value| item.as_str().map(str::to_owned);
        items.iter().map(|item| text(item).ok_or_else(|| self.wrong_type(name, "strings", item))).collect()
    }

    /// A structure.
    pub(crate) fn object(&mut self, name: &'static str) -> Result<Option<Parameters<'a>>, ApiError> {
        let Some(value) = self.value(name) else { return Ok(None) };
        self.nested(value, self.path_of(name)).map(Some)
    }

    /// A list of structures; empty if it is not there.
    pub(crate) fn objects(&mut self, name: &'static str) -> Result<Vec<Parameters<'a>>, ApiError> {
        let nested = |(index, item)| self.nested(item, format!("{}[{index}]", self.path_of(name)));
        let items = self.list_untaken(name)?;
        let objects = items.iter().enumerate().map(nested).collect();
        self.taken.push(name);
        objects
    }

    /// String values by string names; empty if it is not there.
    pub(crate) fn text_map(&mut self, name: &'static str) -> Result<Vec<(String, String)>, ApiError> {
        let Some(value) = self.value(name) else { return Ok(Vec::new()) };
        let map = value.as_object().ok_or_else(|| self.wrong_type(name, "a map", value))?;
        let entry = |(key, item): (&String, &Value)| {
            let text = item.as_str().ok_or_else(|| self.wrong_type(name, "strings", item))?;
            Ok((key.clone(), text.to_owned()))
        };
        map.iter().map(entry).collect()
    }

    /// Refuses whatever was given and not read. Null, false, and what is empty ask for nothing, and pass.
    pub(crate) fn finish(self) -> Result<(), ApiError> {
        let asks_nothing = |value: &Value| match value {
            Value::Null | Value::Bool(false) => true,
            Value::String(text) => text.is_empty(),
            Value::Array(items) => items.is_empty(),
            Value::Object(members) => members.is_empty(),
            Value::Bool(true) | Value::Number(_) => false,
        };
        let left =
            self.given.iter().filter(|(name, value)| !self.taken.contains(&name.as_str()) && !asks_nothing(value));
        let names: Vec<String> = left.map(|(name, _)| format!("`{}`", self.path_of(name))).collect();
        if names.is_empty() {
            return Ok(());
        }
        Err(self.refusal(format!("{} is not supported by this engine: leave it out", names.join(", "))))
    }

    /// A refusal of one parameter, with its reason.
    pub(crate) fn invalid(&self, name: &str, reason: &str) -> ApiError {
        self.refusal(format!("`{}`: {reason}", self.path_of(name)))
    }

    /// A refusal for want of a parameter.
    pub(crate) fn missing(&self, name: &str) -> ApiError {
        self.refusal(format!("`{}` is required and must not be empty", self.path_of(name)))
    }

    /// A refusal in this service's own code for bad parameters.
    pub(crate) fn refusal(&self, message: String) -> ApiError {
        ApiError::new(if self.service.is_query() { "ValidationError" } else { "InvalidParameterException" }, message)
    }

    fn nested(&self, value: &'a Value, path: String) -> Result<Parameters<'a>, ApiError> {
        let wrong = || ApiError::serialization(format!("`{path}`: expected a structure, found {}", kind(value)));
        let given = value.as_object().ok_or_else(wrong)?;
        Ok(Parameters { service: self.service, path, given, taken: Vec::new() })
    }

    fn list(&mut self, name: &'static str) -> Result<&'a [Value], ApiError> {
        self.taken.push(name);
        self.list_untaken(name)
    }

    fn list_untaken(&self, name: &'static str) -> Result<&'a [Value], ApiError> {
        match self.given.get(name) {
            None | Some(Value::Null) => Ok(&[]),
            // Over Query an empty list is an empty string.
            Some(Value::String(text)) if self.service.is_query() && text.is_empty() => Ok(&[]),
            Some(Value::Array(items)) => Ok(items),
            Some(other) => Err(self.wrong_type(name, "a list", other)),
        }
    }

    fn wrong_type(&self, name: &str, wanted: &str, found: &Value) -> ApiError {
        let message = format!("`{}`: expected {wanted}, found {}", self.path_of(name), kind(found));
        if self.service.is_query() { self.refusal(message) } else { ApiError::serialization(message) }
    }

    fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "a structure",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn refused(given: &Value, read: impl Fn(&mut Parameters<'_>) -> Result<(), ApiError>) -> ApiError {
        let mut parameters = Parameters::new(Service::Ecs, given).unwrap();
        read(&mut parameters).and_then(|()| parameters.finish()).unwrap_err()
    }

    #[test]
    fn what_nobody_read_is_refused_by_name_and_what_asks_for_nothing_passes() {
        let given = json!({"volumes": [], "pidMode": null, "enableFaultInjection": false, "proxyConfiguration": {"type": "APPMESH"}});
        let error = refused(&given, |_| Ok(()));
        assert_eq!(error.code, "InvalidParameterException");
        assert_eq!(error.message, "`proxyConfiguration` is not supported by this engine: leave it out");
    }

    #[test]
    fn a_nested_parameter_is_named_by_its_path() {
        let given = json!({"containerDefinitions": [{"name": "app", "links": ["db"]}]});
        let error = refused(&given, |top| {
            let mut containers = top.objects("containerDefinitions")?;
            let mut container = containers.remove(0);
            container.required_text("name")?;
            container.finish()
        });
        assert_eq!(error.message, "`containerDefinitions[0].links` is not supported by this engine: leave it out");
    }

    #[test]
    fn a_wrong_type_is_a_serialization_error_and_a_missing_value_is_not() {
        assert_eq!(
            refused(&json!({"service": 1}), |top| top.required_text("service").map(drop)).code,
            "SerializationException"
        );
        assert_eq!(refused(&json!({}), |top| top.required_text("service").map(drop)).code, "InvalidParameterException");
        assert_eq!(
            refused(&json!({"n": 101}), |top| top.integer("n", (1, 100)).map(drop)).code,
            "InvalidParameterException"
        );
        assert_eq!(
            refused(&json!({"n": "1"}), |top| top.integer("n", (1, 100)).map(drop)).code,
            "SerializationException"
        );
    }
}

//! The Query protocol's output: the JSON shape, written as XML.

use std::fmt::Write;

use serde_json::Value;

use crate::{ApiError, Service};

/// The reply to a call that worked.
pub(crate) fn reply(service: Service, operation: &str, value: &Value, request_id: &str) -> String {
    let mut xml = format!("<{operation}Response xmlns=\"{}\"><{operation}Result>", service.namespace());
    write_value(&mut xml, value);
    let _ = write!(
        xml,
        "</{operation}Result><ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></{operation}Response>"
    );
    xml
}

/// The reply to a call that did not.
pub(crate) fn error(service: Option<Service>, error: &ApiError, request_id: &str) -> String {
    let namespace = service.map_or("http://webservices.amazon.com/AWSFault/2005-15-09", Service::namespace);
    let fault = if error.status.is_server_error() { "Receiver" } else { "Sender" };
    let (code, message) = (error.code, escape(&error.message));
    format!(
        "<ErrorResponse xmlns=\"{namespace}\"><Error><Type>{fault}</Type><Code>{code}</Code><Message>{message}</Message></Error><RequestId>{request_id}</RequestId></ErrorResponse>"
    )
}

fn write_value(xml: &mut String, value: &Value) {
    match value {
        Value::Null => {}
        Value::Object(members) => members.iter().for_each(|(name, member)| write_element(xml, name, member)),
        Value::Array(items) => items.iter().for_each(|item| write_element(xml, "member", item)),
        Value::String(text) => xml.push_str(&escape(text)),
        Value::Bool(_) | Value::Number(_) => xml.push_str(&value.to_string()),
    }
}

/// Member names are the API's own and need no escaping.
fn write_element(xml: &mut String, name: &str, value: &Value) {
    let _ = write!(xml, "<{name}>");
    write_value(xml, value);
    let _ = write!(xml, "</{name}>");
}

/// Text that any XML 1.0 parser takes: control characters have no escape there, and become U+FFFD.
fn escape(text: &str) -> String {
    let legal =
        |c: char| matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
    let text: String = text.chars().map(|c| if legal(c) { c } else { '\u{fffd}' }).collect();
    quick_xml::escape::escape(text.as_str()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use quick_xml::Reader;
    use quick_xml::events::Event;
    use serde_json::json;

    #[test]
    fn lists_have_members_and_text_is_escaped() {
        let value = json!({"Names": ["a<b", "c&d"], "Empty": [], "Port": 80, "Enabled": true});
        let xml = reply(Service::Elbv2, "Do", &value, "id");
        let inner = xml.split("<DoResult>").nth(1).unwrap().split("</DoResult>").next().unwrap();
        let expected = "<Empty></Empty><Enabled>true</Enabled><Names><member>a&lt;b</member><member>c&amp;d</member></Names><Port>80</Port>";
        assert_eq!(inner, expected);
    }

    proptest! {
        #[test]
        fn any_message_gives_well_formed_xml(message in any::<String>()) {
            let xml = error(None, &ApiError::new("ValidationError", message), "id");
            let mut reader = Reader::from_str(&xml);
            loop {
                match reader.read_event() {
                    Ok(Event::Eof) => break,
                    Ok(Event::Text(text)) => prop_assert!(!text.bytes().any(|byte| byte < 32 && !b"\t\n\r".contains(&byte))),
                    Ok(_) => {}
                    Err(error) => return Err(TestCaseError::fail(error.to_string())),
                }
            }
        }
    }
}

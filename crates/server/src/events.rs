//! One JSON line per event on stdout, never per request: access logging is the load balancer's.

use std::fmt::Write as _;
use std::io::Write as _;

use gimmetime_clock::{Timestamp, iso};

/// A value in an event.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Number(u64),
    Text(String),
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

/// Tells an event. A reader that is gone stops nobody from serving.
pub(crate) fn tell(now: Timestamp, event: &str, fields: &[(&str, Value)]) {
    let line = line(now, event, fields);
    let mut stdout = std::io::stdout().lock();
    let _ = stdout.write_all(line.as_bytes()).and_then(|()| stdout.flush());
}

fn line(now: Timestamp, event: &str, fields: &[(&str, Value)]) -> String {
    let mut line = format!("{{\"time\":\"{}\",\"event\":", iso::format(now));
    quote(event, &mut line);
    for (name, value) in fields {
        line.push(',');
        quote(name, &mut line);
        line.push(':');
        match value {
            Value::Number(number) => line.push_str(&number.to_string()),
            Value::Text(text) => quote(text, &mut line),
        }
    }
    line.push_str("}\n");
    line
}

/// Appends a JSON string (RFC 8259 §7).
fn quote(text: &str, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            control if control.is_control() => {
                for unit in control.encode_utf16(&mut [0; 2]) {
                    write!(out, "\\u{unit:04x}").expect("a string takes all");
                }
            }
            plain => out.push(plain),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line_of_json_whatever_it_says() {
        let fields = [("count", Value::from(3)), ("text", Value::from("a \"b\"\\\n\u{1b}é"))];
        let wanted = "{\"time\":\"1970-01-01T00:00:00.000Z\",\"event\":\"odd\",\"count\":3,\
            \"text\":\"a \\\"b\\\"\\\\\\u000a\\u001bé\"}\n";
        assert_eq!(line(Timestamp::EPOCH, "odd", &fields), wanted);
    }
}

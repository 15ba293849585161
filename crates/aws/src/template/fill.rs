//! How values get into a fragment: `«name»` stands for one. A text becomes a quoted scalar, so nothing in it can change
//! what the YAML around it means.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// What stands for a name.
#[derive(Debug, Clone)]
enum Value {
    /// YAML written by this program, put in as it is.
    Yaml(String),
    /// Lines of it. The name must stand alone in its line; no lines take that line away.
    Lines(Vec<String>),
}

/// Values by the name that stands for them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Values(BTreeMap<&'static str, Value>);

impl Values {
    /// Any text, as a quoted scalar.
    pub(crate) fn text(self, name: &'static str, text: &str) -> Self {
        self.yaml(name, scalar(text))
    }

    /// YAML within a line: a number, a reference, a list of references.
    pub(crate) fn yaml(mut self, name: &'static str, yaml: impl Into<String>) -> Self {
        self.0.insert(name, Value::Yaml(yaml.into()));
        self
    }

    /// Whole lines of YAML, indented as the name is.
    pub(crate) fn lines(mut self, name: &'static str, lines: Vec<String>) -> Self {
        self.0.insert(name, Value::Lines(lines));
        self
    }

    fn get(&self, name: &str) -> &Value {
        self.0.get(name).unwrap_or_else(|| panic!("a fragment has the name `{name}`, which nobody fills"))
    }
}

/// The fragment with every name replaced by its value.
pub(crate) fn fill(fragment: &str, values: &Values) -> String {
    let mut filled = String::new();
    for line in fragment.lines() {
        let text = line.trim_start();
        let indent = &line[..line.len() - text.len()];
        match text.strip_prefix('«').and_then(|text| text.strip_suffix('»')).map(|name| values.get(name)) {
            Some(Value::Lines(lines)) => lines.iter().for_each(|line| push(&mut filled, &[indent, line])),
            _ => push(&mut filled, &[&fill_line(line, values)]),
        }
    }
    filled
}

fn push(text: &mut String, parts: &[&str]) {
    text.extend(parts.iter().copied().chain(["\n"]));
}

fn fill_line(line: &str, values: &Values) -> String {
    let mut filled = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('«') {
        let (name, after) = after.split_once('»').expect("every « in a fragment has its »");
        filled.push_str(before);
        match values.get(name) {
            Value::Yaml(yaml) => filled.push_str(yaml),
            Value::Lines(_) => panic!("lines stand within the line `{line}`"),
        }
        rest = after;
    }
    filled + rest
}

/// A YAML double-quoted scalar (YAML 1.2, 7.3.1) in printable ASCII: parsers of YAML 1.1 and 1.2 read the same text.
pub(super) fn scalar(text: &str) -> String {
    let mut quoted = String::from('"');
    for char in text.chars() {
        match char {
            '"' | '\\' => quoted.extend(['\\', char]),
            ' '..='~' => quoted.push(char),
            // Writing to a string cannot fail.
            _ => write!(quoted, "\\U{:08X}", u32::from(char)).expect("a string takes all"),
        }
    }
    quoted + "\""
}

/// A `!Sub` of parts that are meant (`${AWS::Region}`) and parts that are literal, in which `${` means nothing.
pub(super) fn sub(meant: &str, literal: &str) -> String {
    format!("!Sub {}", scalar(&format!("{meant}{}", literal.replace("${", "${!"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values() -> Values {
        Values::default()
            .text("name", "a \"b\"")
            .yaml("port", "80")
            .lines("tags", vec!["- x".to_owned(), "- y".to_owned()])
    }

    #[test]
    fn texts_are_quoted_and_yaml_is_put_in_as_it_is() {
        assert_eq!(fill("Name: «name» # «port»", &values()), "Name: \"a \\\"b\\\"\" # 80\n");
    }

    #[test]
    fn lines_take_the_indentation_of_their_name() {
        assert_eq!(fill("Tags:\n    «tags»\nend", &values()), "Tags:\n    - x\n    - y\nend\n");
    }

    #[test]
    fn no_lines_leave_no_line() {
        assert_eq!(fill("a\n  «none»\nb", &Values::default().lines("none", Vec::new())), "a\nb\n");
    }

    #[test]
    fn a_value_is_not_searched_for_names() {
        assert_eq!(fill("«name»", &Values::default().yaml("name", "«other»")), "«other»\n");
    }

    #[test]
    #[should_panic(expected = "`nobody`")]
    fn a_name_that_nobody_fills_is_a_fault_of_this_program() {
        fill("«nobody»", &values());
    }

    #[test]
    fn a_literal_dollar_brace_stays_one() {
        assert_eq!(sub("${AWS::Region}:", "a${b}"), r#"!Sub "${AWS::Region}:a${!b}""#);
    }
}

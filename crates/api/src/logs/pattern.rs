//! Filter patterns: the plain-term part of CloudWatch's language.
//!
//! `a b` both · `"a b"` as it stands · `?a ?b` any · `-a` not. Everything else (JSON, fields, regular expressions, wildcards) is
//! refused: a pattern that means something else there must not match something here.

/// Longest pattern, in characters.
const LENGTH_LIMIT: usize = 1024;

/// Which lines are wanted. Terms are looked for anywhere in a line, in the case they are written in.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Pattern {
    all: Vec<String>,
    any: Vec<String>,
    none: Vec<String>,
}

impl Pattern {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if LENGTH_LIMIT < text.chars().count() {
            return Err(format!("longer than {LENGTH_LIMIT} characters"));
        }
        let mut pattern = Self::default();
        let mut rest = text.trim_start();
        while !rest.is_empty() {
            let (terms, tail) = match rest.as_bytes()[0] {
                b'?' => (&mut pattern.any, &rest[1..]),
                b'-' => (&mut pattern.none, &rest[1..]),
                _ => (&mut pattern.all, rest),
            };
            let (term, tail) = split_term(tail)?;
            terms.push(term.to_owned());
            rest = tail.trim_start();
        }
        let others = pattern.all.len() + pattern.none.len();
        if !pattern.any.is_empty() && 0 < others {
            return Err("`?terms` cannot be combined with others: CloudWatch ignores them then".to_owned());
        }
        Ok(pattern)
    }

    pub(super) fn matches(&self, line: &str) -> bool {
        let has = |term: &String| line.contains(term.as_str());
        self.all.iter().all(has) && !self.none.iter().any(has) && (self.any.is_empty() || self.any.iter().any(has))
    }
}

/// One term, quoted or plain, and what follows.
fn split_term(text: &str) -> Result<(&str, &str), String> {
    if let Some(quoted) = text.strip_prefix('"') {
        let (term, rest) = quoted.split_once('"').ok_or("a quotation mark that is never closed")?;
        if term.is_empty() || term.contains('\\') {
            return Err("an empty term, or one with a backslash, is not supported by this engine".to_owned());
        }
        return match rest.chars().next() {
            Some(next) if !next.is_whitespace() => Err(format!("`{next}` right after a quoted term")),
            _ => Ok((term, rest)),
        };
    }
    let (term, rest) = text.find(char::is_whitespace).map_or((text, ""), |at| text.split_at(at));
    let plain = |c: char| c.is_alphanumeric() || "_-.:/@#'".contains(c);
    if term.is_empty() || !term.chars().all(plain) {
        let message = "only plain terms, \"quoted terms\", ?any and -not are supported by this engine";
        return Err(format!("`{term}`: {message}"));
    }
    Ok((term, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(pattern: &str, line: &str, expected: bool) {
        assert_eq!(Pattern::parse(pattern).unwrap().matches(line), expected, "{pattern} on {line}");
    }

    #[test]
    fn terms_must_all_be_there_in_their_case() {
        check("", "anything", true);
        check("error disk", "disk error", true);
        check("error disk", "error", false);
        check("ERROR", "error", false);
        check("\"disk error\"", "disk error", true);
        check("\"disk error\"", "error disk", false);
    }

    #[test]
    fn any_and_not_are_what_their_marks_say() {
        check("?warn ?error", "an error", true);
        check("?warn ?error", "fine", false);
        check("error -retried", "error", true);
        check("error -retried", "error, retried", false);
        check("-\"GET /\"", "GET /now", false);
    }

    #[test]
    fn what_is_more_than_plain_terms_is_refused() {
        for pattern in
            ["{ $.level = 1 }", "[ip, user]", "%ERR[0-9]%", "err*", "\"open", "?a b", "-", "?", "\"\"", "\"a\"b"]
        {
            assert!(Pattern::parse(pattern).is_err(), "{pattern}");
        }
    }

    proptest! {
        #[test]
        fn a_quoted_line_finds_itself(line in "[^\"\\\\]{1,60}") {
            let (pattern, around) = (format!("\"{line}\""), format!("before {line} after"));
            prop_assert!(Pattern::parse(&pattern).unwrap().matches(&around));
        }

        #[test]
        fn no_pattern_makes_it_panic(pattern in "\\PC{0,60}") {
            let _ = Pattern::parse(&pattern);
        }
    }
}

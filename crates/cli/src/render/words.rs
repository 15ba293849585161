//! The API's sentences, shortened for people: a resource's name for its ARN, twelve digits of an id.

/// Digits of an id that are shown.
const SHORT: usize = 12;

/// A sentence without ARNs and long ids.
pub(crate) fn shorten(sentence: &str) -> String {
    sentence.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

/// One word of it, with whatever stands around it.
fn word(word: &str) -> String {
    let core = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    let shorter = match core.strip_prefix("arn:") {
        // The part after the type is the name: `…:targetgroup/NAME/SUFFIX`.
        Some(arn) => arn.split('/').nth(1).unwrap_or(arn),
        None if core.len() == 32 && core.bytes().all(|byte| byte.is_ascii_hexdigit()) => &core[..SHORT],
        None => return word.to_owned(),
    };
    word.replace(core, shorter)
}

/// What a task said, without the power to paint or move what others said: control characters are shown, not obeyed.
pub(crate) fn plain(text: &str) -> String {
    let shown = |c: char| if c.is_control() && c != '\t' { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(shown).collect()
}

/// A value as one word of a shell.
pub(crate) fn quoted(value: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"%+,-./:=@_".contains(&byte);
    if value.bytes().all(is_plain) { value.to_owned() } else { format!("'{}'", value.replace('\'', r"'\''")) }
}

/// Each of a list's items whose words are new, in order, and how often these words are in it.
pub(crate) fn once<T>(items: &[T], words: impl Fn(&T) -> &str) -> Vec<(&T, usize)> {
    let mut told: Vec<(&T, usize)> = Vec::new();
    for item in items {
        match told.iter_mut().find(|(first, _)| words(first) == words(item)) {
            Some((_, times)) => *times += 1,
            None => told.push((item, 1)),
        }
    }
    told
}

/// ` (10 times)`; nothing for once.
pub(crate) fn times(count: usize) -> String {
    if count < 2 { String::new() } else { format!(" ({count} times)") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_again_is_said_once_with_how_often() {
        let failures = [(1, "answered 502"), (2, "reset"), (3, "answered 502")];
        let told = once(&failures, |(_, words)| words);
        assert_eq!(told, [(&(1, "answered 502"), 2), (&(2, "reset"), 1)]);
        assert_eq!((times(2).as_str(), times(1).as_str()), (" (2 times)", ""));
    }

    #[test]
    fn arns_and_ids_are_shortened_and_all_else_stays() {
        let sentence = "(service x) registered 1 targets in (target-group arn:aws:elasticloadbalancing:local:000000000000:\
                        targetgroup/gimmetime/ed31fa2cfd380985) (task c4e3eeecf99b1fc4a0e7b6a3a0b0c0d0).";
        assert_eq!(
            shorten(sentence),
            "(service x) registered 1 targets in (target-group gimmetime) (task c4e3eeecf99b)."
        );
        assert_eq!(shorten("tasks failed to start."), "tasks failed to start.");
    }

    #[test]
    fn a_value_is_one_word_of_a_shell_whatever_is_in_it() {
        assert_eq!((quoted("acme-prod").as_str(), quoted("it's a b").as_str()), ("acme-prod", r"'it'\''s a b'"));
    }

    #[test]
    fn a_task_cannot_paint_the_terminal() {
        assert_eq!(plain("\u{1b}[31mred\ttab\r"), "\\u{1b}[31mred\ttab\\r");
    }
}

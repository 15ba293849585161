//! Walks a TOML table and collects every mistake in it, with its line and the nearest right name.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml_edit::{Item, TableLike, Value};

/// How alike a name must be to be suggested: below this a suggestion is noise (Jaro-Winkler, 0 to 1).
const ALIKE: f64 = 0.75;

/// What to do about mistakes in general.
const ADVICE: &str = "gimmetime.toml is described in the README; without a file every setting has a default";

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mistake {
    /// Where, counted from 1; None when it was not written in the file.
    line: Option<usize>,
    /// What.
    words: String,
    /// What to do.
    hint: Option<String>,
}

impl Mistake {
    /// One that has no line.
    pub(crate) fn plain(words: impl Into<String>) -> Self {
        Self { line: None, words: words.into(), hint: None }
    }

    /// Says where.
    pub(crate) fn at(self, line: Option<usize>) -> Self {
        Self { line, ..self }
    }

    /// Says what to do.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// A name that is not among the known ones; the nearest of them is suggested.
    pub(crate) fn unknown(kind: &str, name: &str, known: &[&str]) -> Self {
        let mistake = Self::plain(format!("unknown {kind} `{name}`"));
        match nearest(name, known) {
            Some(nearest) => mistake.hint(format!("did you mean `{nearest}`?")),
            None if known.is_empty() => mistake,
            None => mistake.hint(format!("known here: {}", known.join(", "))),
        }
    }
}

/// Everything that is wrong, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mistakes {
    file: Option<PathBuf>,
    list: Vec<Mistake>,
    /// What to do about all of it.
    advice: String,
}

impl Mistakes {
    /// None yet, in this file.
    pub(crate) fn of(file: Option<&Path>) -> Self {
        Self { file: file.map(Path::to_path_buf), list: Vec::new(), advice: ADVICE.to_owned() }
    }

    /// What to do about all of it.
    pub(crate) fn advice(&self) -> &str {
        &self.advice
    }

    /// Says what to do about all of it, instead of the usual.
    pub(crate) fn advise(&mut self, advice: String) {
        self.advice = advice;
    }

    /// One more.
    pub(crate) fn add(&mut self, mistake: Mistake) {
        self.list.push(mistake);
    }

    /// An error if there is any.
    pub(crate) fn into_result(mut self) -> Result<(), Self> {
        self.list.sort_by_key(|mistake| mistake.line);
        if self.list.is_empty() { Ok(()) } else { Err(self) }
    }
}

impl std::error::Error for Mistakes {}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file.as_deref().map_or_else(|| "settings".to_owned(), |file| file.display().to_string());
        for (index, Mistake { line, words, hint }) in self.list.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            match line {
                Some(line) => write!(f, "{file}:{line}: {words}")?,
                None => write!(f, "{words}")?,
            }
            if let Some(hint) = hint {
                write!(f, " ({hint})")?;
            }
        }
        Ok(())
    }
}

/// A name and a string, in a table of which the user chooses the names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) name: String,
    pub(crate) value: String,
    /// Where it stands, counted from 1.
    pub(crate) line: Option<usize>,
}

/// A table being read: each key is asked for by name, and what nobody asked for is a mistake.
pub(crate) struct Reader<'a> {
    source: &'a str,
    path: String,
    table: &'a dyn TableLike,
    /// Where it stands, if it stands in one place.
    span: Option<Range<usize>>,
    asked: Vec<&'static str>,
}

impl<'a> Reader<'a> {
    /// Reads a whole file.
    pub(crate) fn new(source: &'a str, table: &'a dyn TableLike) -> Self {
        Self { source, path: String::new(), table, span: None, asked: Vec::new() }
    }

    /// Reads a table in this one.
    fn inner(&self, key: &str, item: &'a Item, table: &'a dyn TableLike) -> Self {
        Self { source: self.source, path: self.full(key), table, span: item.span(), asked: Vec::new() }
    }

    /// A string.
    pub(crate) fn string(&mut self, key: &'static str, mistakes: &mut Mistakes) -> Option<String> {
        self.value(key, "a string", mistakes, |value| value.as_str().map(str::to_owned))
    }

    /// A string in a form of its own.
    pub(crate) fn parsed<T>(
        &mut self,
        key: &'static str,
        mistakes: &mut Mistakes,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let item = self.item(key)?;
        let parsed = match item.as_str() {
            Some(text) => parse(text),
            None => Err(format!("expected a string, but found {}", kind(item))),
        };
        parsed.map_err(|why| self.wrong(item.span(), key, &why, mistakes)).ok()
    }

    /// A whole number in a range.
    pub(crate) fn integer(&mut self, key: &'static str, range: Range<u32>, mistakes: &mut Mistakes) -> Option<u32> {
        let what = format!("a whole number from {} to {}", range.start, range.end - 1);
        self.value(key, &what, mistakes, |value| {
            u32::try_from(value.as_integer()?).ok().filter(|number| range.contains(number))
        })
    }

    /// A number above zero, whole or not.
    pub(crate) fn positive(&mut self, key: &'static str, mistakes: &mut Mistakes) -> Option<f64> {
        self.value(key, "a number above 0, up to 1000", mistakes, |value| {
            let number = value.as_float().or_else(|| value.as_integer().map(|whole| whole as f64))?;
            (0.0 < number && number <= 1000.0).then_some(number)
        })
    }

    /// A list of strings.
    pub(crate) fn strings(&mut self, key: &'static str, mistakes: &mut Mistakes) -> Option<Vec<String>> {
        self.value(key, "a list of strings", mistakes, |value| {
            value.as_array()?.iter().map(|item| item.as_str().map(str::to_owned)).collect()
        })
    }

    /// Yes or no.
    pub(crate) fn boolean(&mut self, key: &'static str, mistakes: &mut Mistakes) -> Option<bool> {
        self.value(key, "true or false", mistakes, Value::as_bool)
    }

    /// One of a few words.
    pub(crate) fn choice<T: Copy>(
        &mut self,
        key: &'static str,
        words: &[(&str, T)],
        mistakes: &mut Mistakes,
    ) -> Option<T> {
        self.parsed(key, mistakes, |text| {
            let names: Vec<&str> = words.iter().map(|(name, _)| *name).collect();
            let found = words.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
            found.ok_or_else(|| {
                let near = nearest(text, &names).map_or_else(String::new, |near| format!(" (did you mean `{near}`?)"));
                let (last, others) = names.split_last().expect("a choice has words");
                format!("expected {} or {last}, but found `{text}`{near}", others.join(", "))
            })
        })
    }

    /// Strings in a form of their own; each that is wrong is a mistake, and leaves none.
    pub(crate) fn parsed_strings(
        &mut self,
        key: &'static str,
        mistakes: &mut Mistakes,
        parse: impl Fn(&str) -> Result<String, String>,
    ) -> Option<Vec<String>> {
        let item = self.item(key)?;
        let Some(array) = item.as_array() else {
            self.wrong(item.span(), key, &format!("expected a list of strings, but found {}", kind(item)), mistakes);
            return None;
        };
        let read = |value: &Value| {
            let parsed = match value.as_str() {
                Some(text) => parse(text),
                None => Err(format!("expected a list of strings, but one of them is {}", value.type_name())),
            };
            parsed.map_err(|why| self.wrong(value.span(), key, &why, mistakes)).ok()
        };
        // Every one of them is read, so that every mistake is found.
        let read: Vec<Option<String>> = array.iter().map(read).collect();
        read.into_iter().collect()
    }

    /// A key that a later version will know: refused now, in one sentence.
    pub(crate) fn later(&mut self, key: &'static str, mistakes: &mut Mistakes) {
        if let Some(item) = self.item(key) {
            self.wrong(item.span(), key, "not in this version; remove it", mistakes);
        }
    }

    /// A mistake in the value of a key that is there.
    pub(crate) fn refuse(&self, key: &str, why: &str, mistakes: &mut Mistakes) {
        let span = self.table.get(key).and_then(Item::span);
        self.wrong(span, key, why, mistakes);
    }

    /// A mistake in the table itself; `hint` is what to do.
    pub(crate) fn refuse_all(&self, why: &str, hint: &str, mistakes: &mut Mistakes) {
        let first = || self.table.iter().find_map(|(_, item)| item.span());
        let line = self.span.clone().or_else(first).map(|span| line_of(self.source, span.start));
        mistakes.add(Mistake::plain(format!("`{}`: {why}", self.path)).at(line).hint(hint));
    }

    /// The line of a key that is there, counted from 1.
    pub(crate) fn line(&self, key: &str) -> Option<usize> {
        Some(line_of(self.source, self.table.get(key)?.span()?.start))
    }

    /// Pairs of a name and a string, in the order of the file. What is wrong with a value is told without it: it may be a
    /// secret.
    pub(crate) fn pairs(&mut self, key: &'static str, mistakes: &mut Mistakes) -> Vec<Pair> {
        let Some(table) = self.table(key, mistakes) else { return Vec::new() };
        let mut pairs = Vec::new();
        for (name, item) in table.table.iter() {
            match item.as_str() {
                Some(text) => {
                    let line = item.span().map(|span| line_of(self.source, span.start));
                    pairs.push(Pair { name: name.to_owned(), value: text.to_owned(), line });
                }
                None => {
                    table.wrong(
                        item.span(),
                        name,
                        &format!("expected a string, but found {}", item.type_name()),
                        mistakes,
                    );
                }
            }
        }
        pairs
    }

    /// A table, inline or not.
    pub(crate) fn table(&mut self, key: &'static str, mistakes: &mut Mistakes) -> Option<Reader<'a>> {
        let item = self.item(key)?;
        let Some(table) = item.as_table_like() else {
            self.wrong(item.span(), key, &format!("expected a table, but found {}", item.type_name()), mistakes);
            return None;
        };
        Some(self.inner(key, item, table))
    }

    /// Every table in this one, by the name the user gave it.
    pub(crate) fn named_tables(&mut self, mistakes: &mut Mistakes) -> Vec<(String, Reader<'a>)> {
        let mut tables = Vec::new();
        for (name, item) in self.table.iter() {
            match item.as_table_like() {
                Some(table) => tables.push((name.to_owned(), self.inner(name, item, table))),
                None => self.wrong(item.span(), name, &format!("expected a table, but found {}", kind(item)), mistakes),
            }
        }
        tables
    }

    /// Whether a key is there. It still has to be asked for by what it is.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Ends the reading: what nobody asked for is unknown.
    pub(crate) fn finish(self, mistakes: &mut Mistakes) {
        for (key, item) in self.table.iter().filter(|(key, _)| !self.asked.contains(key)) {
            // The nearest name is looked for without the path that all of them share.
            let mut mistake = Mistake::unknown("key", key, &self.asked);
            mistake.words = format!("unknown key `{}`", self.full(key));
            let written = self.table.get_key_value(key).and_then(|(key, _)| key.span()).or_else(|| item.span());
            mistake.line = written.map(|span| line_of(self.source, span.start));
            mistakes.add(mistake);
        }
    }

    fn value<T>(
        &mut self,
        key: &'static str,
        what: &str,
        mistakes: &mut Mistakes,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Option<T> {
        let item = self.item(key)?;
        let value = item.as_value().and_then(read);
        if value.is_none() {
            self.wrong(item.span(), key, &format!("expected {what}, but found {}", kind(item)), mistakes);
        }
        value
    }

    fn item(&mut self, key: &'static str) -> Option<&'a Item> {
        self.asked.push(key);
        self.table.get(key)
    }

    fn wrong(&self, span: Option<Range<usize>>, key: &str, why: &str, mistakes: &mut Mistakes) {
        let mut mistake = Mistake::plain(format!("`{}`: {why}", self.full(key)));
        mistake.line = span.map(|span| line_of(self.source, span.start));
        mistakes.add(mistake);
    }

    fn full(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }
}

/// The known name that is most like this one, if any is like it.
pub(crate) fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let near = known.iter().map(|known| (strsim::jaro_winkler(name, known), *known));
    let alike = near.filter(|(score, _)| ALIKE <= *score);
    alike.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, nearest)| nearest)
}

/// What an item is, with its value when that is short.
fn kind(item: &Item) -> String {
    match item.as_value() {
        Some(Value::String(text)) => format!("the string \"{}\"", text.value()),
        Some(Value::Integer(number)) => format!("the number {}", number.value()),
        Some(Value::Float(number)) => format!("the number {}", number.value()),
        Some(value) => value.type_name().to_owned(),
        None => item.type_name().to_owned(),
    }
}

/// The line of a byte, counted from 1.
pub(crate) fn line_of(source: &str, byte: usize) -> usize {
    source.as_bytes().iter().take(byte).filter(|byte| **byte == b'\n').count() + 1
}

/// A mistake of the syntax itself, which ends the reading.
pub(crate) fn syntax(source: &str, error: &toml_edit::TomlError) -> Mistake {
    let line = error.span().map(|span| line_of(source, span.start));
    Mistake { line, words: error.message().trim().replace('\n', ", "), hint: None }
}

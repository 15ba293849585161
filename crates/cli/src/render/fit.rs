//! Lines as a terminal takes them: measured, cut, folded. What wraps by itself is no longer a table, and moves all below it.
//!
//! Colours take no room: an escape sequence is never counted and never cut.

use unicode_width::UnicodeWidthChar as _;

/// What ends a line that was cut.
const MORE: &str = "…";

/// One stretch of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece<'a> {
    Words(&'a str),
    /// An escape sequence that sets a colour: it ends with `m` (ECMA-48, "SGR").
    Colour(&'a str),
}

/// The stretches of a line, in order.
fn pieces(line: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = line;
    std::iter::from_fn(move || {
        let colour = rest.find('\u{1b}').unwrap_or(rest.len());
        let (piece, length) = match rest {
            "" => return None,
            _ if 0 < colour => (Piece::Words(&rest[..colour]), colour),
            _ => {
                let end = rest.find('m').map_or(rest.len(), |last| last + 1);
                (Piece::Colour(&rest[..end]), end)
            }
        };
        rest = &rest[length..];
        Some(piece)
    })
}

/// The same line without colours.
pub(crate) fn colourless(line: &str) -> String {
    let words = pieces(line).map(|piece| match piece {
        Piece::Words(words) => words,
        Piece::Colour(_) => "",
    });
    words.collect()
}

/// How many columns a line takes: a Chinese character two, an accent of its own none.
pub(crate) fn width(line: &str) -> usize {
    colourless(line).chars().filter_map(char::width).sum()
}

/// As many of these words' characters as fit.
fn fitting(words: &str, columns: usize) -> &str {
    let mut width = 0;
    let mut begins = words.char_indices().map(|(start, character)| {
        width += character.width().unwrap_or_default();
        (start, width)
    });
    begins.find(|(_, width)| columns < *width).map_or(words, |(end, _)| &words[..end])
}

/// As much of a line as fits; what was cut ends with `…`. Colours that began in it end in it.
pub(crate) fn cut(line: &str, columns: usize) -> String {
    if width(line) <= columns {
        return line.to_owned();
    }
    let mut left = columns.saturating_sub(1);
    let mut kept = String::new();
    for piece in pieces(line) {
        match piece {
            Piece::Colour(colour) => kept.push_str(colour),
            Piece::Words(words) => {
                let fitting = fitting(words, left);
                kept.push_str(fitting);
                // What follows a wide one that was left out is left out, too.
                left = if fitting == words { left - width(words) } else { 0 };
            }
        }
    }
    if 0 < columns && !colourless(&kept).ends_with(MORE) {
        kept.push_str(MORE);
    }
    kept
}

/// The lines of a text that is broken only where `joint` stands; those after the first are indented by `hang`. A part that
/// is wider than a line has a line of its own.
pub(crate) fn fold(text: &str, joint: &str, columns: usize, hang: usize) -> Vec<String> {
    let end = joint.trim_end();
    let mut lines = Vec::new();
    let mut parts = text.split(joint);
    let mut line = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        if width(&line) + width(joint) + width(part) + width(end) <= columns {
            line = line + joint + part;
        } else {
            lines.push((line + end).trim_end().to_owned());
            line = " ".repeat(hang) + part;
        }
    }
    lines.push(line);
    lines
}

/// The lines of a picture that a terminal of this size can show; what is left out is counted in the last one. One row stays
/// free, for the cursor and for what is typed.
pub(crate) fn picture(lines: &[String], rows: usize, columns: usize) -> Vec<String> {
    let room = rows.saturating_sub(1).max(1);
    let columns = columns.saturating_sub(1);
    let shown = if lines.len() <= room { lines.len() } else { room - 1 };
    let mut picture: Vec<String> = lines[..shown].iter().map(|line| cut(line, columns)).collect();
    if shown < lines.len() {
        let left = super::units::counted(lines.len() - shown, "more line");
        picture.push(cut(&format!("{MORE} {left}"), columns));
    }
    picture
}

#[cfg(test)]
mod tests {
    use super::*;

    const GREEN: &str = "a \u{1b}[32mgood\u{1b}[0m end";

    #[test]
    fn a_line_is_cut_in_characters_and_its_colours_end() {
        assert_eq!(cut("r1 → r2 ±3", 6), "r1 → …");
        assert_eq!(cut("r1 → r2", 7), "r1 → r2");
        assert_eq!(cut("r1", 1), "…");
        assert_eq!(cut("r1", 0), "");
        assert_eq!(cut("sha256:77ab… git", 13), "sha256:77ab…");
        assert_eq!(cut(GREEN, 5), "a \u{1b}[32mgo\u{1b}[0m…");
        assert_eq!((width(GREEN), colourless(GREEN).as_str()), (10, "a good end"));
    }

    #[test]
    fn a_wide_character_takes_two_columns_and_is_never_halved() {
        assert_eq!((width("山田 r1"), width("e\u{301}")), (7, 1));
        assert_eq!(cut("山田太郎", 8), "山田太郎");
        assert_eq!(cut("山田太郎", 7), "山田太…");
        assert_eq!(cut("山田太郎", 6), "山田…");
        assert_eq!(cut("e\u{301}toile", 3), "e\u{301}t…");
        assert_eq!(fold("山田 太郎", " ", 8, 2), ["山田", "  太郎"]);
    }

    #[test]
    fn a_text_is_folded_at_its_joints() {
        assert_eq!(fold("one two three", " ", 9, 2), ["one two", "  three"]);
        assert_eq!(fold("one two three", " ", 80, 2), ["one two three"]);
        assert_eq!(fold("unbreakable x", " ", 4, 2), ["unbreakable", "  x"]);
        assert_eq!(fold("local · OK · 4 of 4", " · ", 12, 2), ["local · OK ·", "  4 of 4"]);
        assert_eq!(fold("", " ", 10, 2), [""]);
        assert_eq!(fold("one  two", " ", 4, 0), ["one", "two"]);
    }

    #[test]
    fn a_picture_leaves_a_row_for_the_cursor_and_counts_what_it_leaves_out() {
        let lines: Vec<String> = (1..=5).map(|number| format!("line {number}")).collect();
        assert_eq!(picture(&lines, 6, 80), lines);
        assert_eq!(picture(&lines, 5, 80), ["line 1", "line 2", "line 3", "… 2 more lines"]);
        assert_eq!(picture(&lines, 2, 10), ["… 5 more…"]);
        assert_eq!(picture(&lines, 0, 0), [""]);
    }
}

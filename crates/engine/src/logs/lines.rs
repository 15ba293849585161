//! Bytes of a task's output into lines. Pure.

/// The longest line kept whole, in bytes; a longer one becomes several records, as the awslogs driver does at 256 KiB.
/// 16 KiB is where Docker cuts: few lines are longer, and a record then fits every reader's buffer.
pub(crate) const LONGEST: usize = 16 * 1024;

/// Cuts a stream of bytes at line feeds, and at [`LONGEST`].
#[derive(Debug, Default)]
pub(crate) struct Lines {
    rest: Vec<u8>,
}

impl Lines {
    /// The lines that are complete with these bytes.
    pub(crate) fn push(&mut self, mut bytes: &[u8], mut each: impl FnMut(String)) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            self.extend(&bytes[..end], &mut each);
            each(text(&self.rest));
            self.rest.clear();
            bytes = &bytes[end + 1..];
        }
        self.extend(bytes, &mut each);
    }

    /// What is left when the stream ends.
    pub(crate) fn finish(&mut self, mut each: impl FnMut(String)) {
        if !self.rest.is_empty() {
            each(text(&self.rest));
            self.rest.clear();
        }
    }

    fn extend(&mut self, mut bytes: &[u8], each: &mut impl FnMut(String)) {
        while LONGEST < self.rest.len() + bytes.len() {
            let (head, tail) = bytes.split_at(LONGEST - self.rest.len());
            self.rest.extend_from_slice(head);
            each(text(&self.rest));
            self.rest.clear();
            bytes = tail;
        }
        self.rest.extend_from_slice(bytes);
    }
}

fn text(line: &[u8]) -> String {
    String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line)).into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lines<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Vec<String> {
        let (mut lines, mut out) = (Lines::default(), Vec::new());
        for chunk in chunks {
            lines.push(chunk, |line| out.push(line));
        }
        lines.finish(|line| out.push(line));
        out
    }

    #[test]
    fn a_long_line_becomes_several_and_loses_nothing() {
        let long = vec![b'x'; 2 * LONGEST + 5];
        let found = lines([&long[..], b"\nshort\n"]);
        assert_eq!(found.iter().map(String::len).collect::<Vec<_>>(), [LONGEST, LONGEST, 5, 5]);
    }

    #[test]
    fn a_line_of_exactly_the_longest_is_one_line() {
        let mut line = vec![b'x'; LONGEST];
        line.push(b'\n');
        assert_eq!(lines([&line[..]]).len(), 1);
    }

    proptest! {
        #[test]
        fn lines_do_not_depend_on_how_the_bytes_arrive(text in "[a-c\n]{0,200}", size in 1usize..20) {
            let whole = lines([text.as_bytes()]);
            prop_assert_eq!(&whole, &lines(text.as_bytes().chunks(size)));
            let expected: Vec<&str> = text.strip_suffix('\n').unwrap_or(&text).split('\n').collect();
            prop_assert!(text.is_empty() || whole == expected);
        }
    }
}

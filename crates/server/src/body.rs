//! Request bodies: nobody here wants one, so they are counted, checked and thrown away.

/// What a body may take, framing included.
pub(crate) const MAX_BODY: u64 = 64 * 1024;

/// How a request says where its body ends (RFC 9112 §6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    None,
    /// `Content-Length`, at least one byte.
    Length(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
}

/// What is left of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Drain {
    Length(u64),
    Chunked { at: Chunk, budget: u64 },
}

/// Where in a chunked body (RFC 9112 §7.1) the next byte is. Lines end in CRLF and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Chunk {
    Size { value: u64, digits: u8 },
    Extension { value: u64 },
    SizeLf { value: u64 },
    Data { left: u64 },
    DataCr,
    DataLf,
    TrailerStart,
    Trailer,
    TrailerLf,
    LastLf,
    End,
}

/// What became of the bytes a drain was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// All were taken; the body goes on.
    More,
    /// The body is over; that many bytes were its.
    Done(usize),
    Malformed,
    TooLarge,
}

impl Drain {
    /// Nothing taken yet; `None` if there is no body.
    pub(crate) fn of(framing: Framing) -> Option<Self> {
        match framing {
            Framing::None => None,
            Framing::Length(length) => Some(Self::Length(length)),
            Framing::Chunked => Some(Self::Chunked { at: Chunk::Size { value: 0, digits: 0 }, budget: MAX_BODY }),
        }
    }

    /// Takes what belongs to the body from the front of `bytes`.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Progress {
        match self {
            Self::Length(left) if *left <= bytes.len() as u64 => Progress::Done(*left as usize),
            Self::Length(left) => {
                *left -= bytes.len() as u64;
                Progress::More
            }
            Self::Chunked { at, budget } => {
                for (index, &byte) in bytes.iter().enumerate() {
                    let Some(left) = budget.checked_sub(1) else { return Progress::TooLarge };
                    *budget = left;
                    match at.next(byte) {
                        None => return Progress::Malformed,
                        Some(Chunk::End) => return Progress::Done(index + 1),
                        Some(Chunk::Data { left }) if MAX_BODY < left => return Progress::TooLarge,
                        Some(next) => *at = next,
                    }
                }
                Progress::More
            }
        }
    }
}

impl Chunk {
    /// Where the byte after `byte` is; `None` if `byte` may not be here.
    fn next(self, byte: u8) -> Option<Self> {
        match (self, byte) {
            (Self::Size { value, digits }, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') if digits < 15 => {
                let digit = u64::from(char::from(byte).to_digit(16)?);
                Some(Self::Size { value: value * 16 + digit, digits: digits + 1 })
            }
            (Self::Size { value, digits: 1.. } | Self::Extension { value }, b'\r') => Some(Self::SizeLf { value }),
            (Self::Size { value, digits: 1.. }, b';' | b' ' | b'\t')
            | (Self::Extension { value }, b'\t' | b' '..=b'~' | 0x80..) => Some(Self::Extension { value }),
            (Self::SizeLf { value: 0 } | Self::TrailerLf, b'\n') => Some(Self::TrailerStart),
            (Self::SizeLf { value }, b'\n') => Some(Self::Data { left: value }),
            (Self::Data { left: 0..=1 }, _) => Some(Self::DataCr),
            (Self::Data { left }, _) => Some(Self::Data { left: left - 1 }),
            (Self::DataCr, b'\r') => Some(Self::DataLf),
            (Self::DataLf, b'\n') => Some(Self::Size { value: 0, digits: 0 }),
            (Self::TrailerStart, b'\r') => Some(Self::LastLf),
            (Self::Trailer, b'\r') => Some(Self::TrailerLf),
            (Self::TrailerStart | Self::Trailer, b'\t' | b' '..=b'~' | 0x80..) => Some(Self::Trailer),
            (Self::LastLf, b'\n') => Some(Self::End),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn chunked(bytes: &[u8]) -> Progress {
        Drain::of(Framing::Chunked).unwrap().take(bytes)
    }

    #[test]
    fn a_chunked_body_ends_where_it_says() {
        assert_eq!(chunked(b"0\r\n\r\nGET"), Progress::Done(5));
        assert_eq!(
            chunked(b"5\r\nhello\r\n00A;name=value\r\n0123456789\r\n0\r\nTrailer: yes\r\n\r\n"),
            Progress::Done(57)
        );
        assert_eq!(chunked(b"5\r\nhel"), Progress::More);
    }

    #[test]
    fn what_two_parsers_could_read_in_two_ways_is_malformed() {
        for body in
            ["\r\n", "5\nhello", "5\r\nhello0\r\n", "-5\r\n", "+5\r\n", "0x5\r\n", " 5\r\n", "0\r\n\n", "5\r\rhello"]
        {
            assert_eq!(chunked(body.as_bytes()), Progress::Malformed, "{body:?}");
        }
        assert_eq!(chunked(b"10000000000000005\r\n"), Progress::Malformed);
    }

    #[test]
    fn neither_data_nor_framing_may_be_endless() {
        assert_eq!(chunked(b"10001\r\n"), Progress::TooLarge);
        assert_eq!(chunked(format!("1;{}", "x".repeat(70_000)).as_bytes()), Progress::TooLarge);
        assert_eq!(chunked(format!("0\r\n{}", "a: b\r\n".repeat(20_000)).as_bytes()), Progress::TooLarge);
        assert_eq!(chunked("1\r\na\r\n".repeat(20_000).as_bytes()), Progress::TooLarge);
    }

    proptest! {
        #[test]
        fn any_split_of_a_body_ends_at_the_same_byte(
            chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..5),
            cuts in prop::collection::vec(0_usize..300, 0..6),
        ) {
            let mut body = Vec::new();
            for chunk in &chunks {
                body.extend(format!("{:x}\r\n", chunk.len()).bytes().chain(chunk.iter().copied()).chain(*b"\r\n"));
            }
            body.extend(b"0\r\n\r\n");
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % body.len()).chain([0, body.len()]).collect();
            cuts.sort_unstable();
            let mut drain = Drain::of(Framing::Chunked).unwrap();
            for pair in cuts.windows(2) {
                let progress = drain.take(&body[pair[0]..pair[1]]);
                let wanted = if pair[1] == body.len() && pair[0] < pair[1] { Progress::Done(pair[1] - pair[0]) } else { Progress::More };
                if pair[0] < pair[1] { prop_assert_eq!(progress, wanted); }
            }
        }
    }
}

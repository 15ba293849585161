//! Where a reply's body ends (RFC 9112 §6), and its bytes up to a limit. Pure: fed with bytes, asks for nothing.

use super::Fault;

/// How the end of a body is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// That many bytes; 0 for replies that have none.
    Length(u64),
    /// Chunks, then trailer fields, then an empty line.
    Chunked,
    /// All until the connection closes.
    UntilClose,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Plain { left: u64 },
    Endless,
    ChunkSize,
    ChunkData { left: u64 },
    ChunkEnd,
    Trailer { seen: usize },
    Done,
}

/// A chunk-size line or a trailer longer than this is an attack or a mistake.
const MAX_LINE: usize = 4096;

/// Takes a body apart from its framing.
#[derive(Debug)]
pub(super) struct BodyReader {
    state: State,
    limit: usize,
    /// The body so far, at most `limit` bytes.
    pub(super) body: Vec<u8>,
    /// Whether the body was longer than the limit.
    pub(super) cut: bool,
}

impl BodyReader {
    pub(super) fn new(framing: Framing, limit: usize) -> Self {
        let state = match framing {
            Framing::Length(0) => State::Done,
            Framing::Length(left) => State::Plain { left },
            Framing::Chunked => State::ChunkSize,
            Framing::UntilClose => State::Endless,
        };
        Self { state, limit, body: Vec::new(), cut: false }
    }

    /// Whether nothing more is wanted: the body has ended, or its limit has.
    pub(super) fn is_done(&self) -> bool {
        self.state == State::Done || self.cut
    }

    /// Whether the end of the connection is a proper end of this body.
    pub(super) fn may_end_here(&self) -> bool {
        matches!(self.state, State::Endless | State::Done) || self.cut
    }

    /// Takes what it can from `input` and says how many bytes that was; the rest must be offered again, with more behind it.
    pub(super) fn feed(&mut self, input: &[u8]) -> Result<usize, Fault> {
        let mut used = 0;
        while !self.is_done() {
            let step = self.step(&input[used..])?;
            if step == 0 {
                break;
            }
            used += step;
        }
        Ok(used)
    }

    fn step(&mut self, input: &[u8]) -> Result<usize, Fault> {
        match self.state {
            State::Done => Ok(0),
            State::Endless => Ok(self.keep(input)),
            State::Plain { left } => {
                let taken = self.keep(&input[..within(input, left)]);
                let left = left - taken as u64;
                self.state = if left == 0 { State::Done } else { State::Plain { left } };
                Ok(taken)
            }
            State::ChunkData { left } => {
                let taken = self.keep(&input[..within(input, left)]);
                let left = left - taken as u64;
                self.state = if left == 0 { State::ChunkEnd } else { State::ChunkData { left } };
                Ok(taken)
            }
            State::ChunkSize => self.chunk_size(input),
            State::ChunkEnd => match input {
                [b'\r', b'\n', ..] => {
                    self.state = State::ChunkSize;
                    Ok(2)
                }
                [] | [b'\r'] => Ok(0),
                _ => Err(Fault::Malformed("a chunk does not end where it says".to_owned())),
            },
            State::Trailer { seen } => self.trailer(input, seen),
        }
    }

    fn chunk_size(&mut self, input: &[u8]) -> Result<usize, Fault> {
        match httparse::parse_chunk_size(input) {
            Ok(httparse::Status::Complete((used, size))) => {
                self.state = if size == 0 { State::Trailer { seen: 0 } } else { State::ChunkData { left: size } };
                Ok(used)
            }
            Ok(httparse::Status::Partial) if input.len() <= MAX_LINE => Ok(0),
            _ => Err(Fault::Malformed("a chunk has no readable size".to_owned())),
        }
    }

    /// Skips one trailer field; the empty line is the end of the body.
    fn trailer(&mut self, input: &[u8], seen: usize) -> Result<usize, Fault> {
        let line = input.windows(2).position(|pair| pair == b"\r\n");
        if MAX_LINE < seen + line.unwrap_or(input.len()) {
            return Err(Fault::Malformed(format!("more than {MAX_LINE} bytes of trailer fields")));
        }
        let Some(length) = line else { return Ok(0) };
        self.state = if length == 0 { State::Done } else { State::Trailer { seen: seen + length + 2 } };
        Ok(length + 2)
    }

    /// Keeps what the limit allows; the rest is counted as taken, for the caller stops at `cut`.
    fn keep(&mut self, bytes: &[u8]) -> usize {
        let room = self.limit - self.body.len();
        self.cut = room < bytes.len();
        self.body.extend_from_slice(&bytes[..room.min(bytes.len())]);
        bytes.len()
    }
}

fn within(input: &[u8], left: u64) -> usize {
    usize::try_from(left).map_or(input.len(), |left| left.min(input.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Feeds `wire` in pieces of the given sizes, as a network would; returns the reader and the bytes behind the body.
    fn read(framing: Framing, limit: usize, wire: &[u8], pieces: &[usize]) -> Result<(BodyReader, usize), Fault> {
        let mut reader = BodyReader::new(framing, limit);
        let (mut buffer, mut at) = (Vec::new(), 0);
        for piece in pieces.iter().copied().chain([wire.len()]) {
            let end = (at + piece).min(wire.len());
            buffer.extend_from_slice(&wire[at..end]);
            at = end;
            let used = reader.feed(&buffer)?;
            buffer.drain(..used);
        }
        Ok((reader, buffer.len()))
    }

    fn chunked(parts: &[Vec<u8>]) -> Vec<u8> {
        let mut wire = Vec::new();
        for part in parts {
            wire.extend_from_slice(format!("{:x};ext=1\r\n", part.len()).as_bytes());
            wire.extend_from_slice(part);
            wire.extend_from_slice(b"\r\n");
        }
        wire.extend_from_slice(b"0\r\nServer-Timing: a\r\n\r\n");
        wire
    }

    proptest! {
        #[test]
        fn chunks_are_put_together_however_the_network_cuts_them(
            parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..6),
            pieces in prop::collection::vec(0_usize..9, 0..60),
        ) {
            let mut wire = chunked(&parts);
            wire.extend_from_slice(b"HTTP/1.1 200");
            let (reader, surplus) = read(Framing::Chunked, 1 << 16, &wire, &pieces).unwrap();
            prop_assert!(reader.is_done() && !reader.cut);
            prop_assert_eq!(reader.body, parts.concat());
            prop_assert_eq!(surplus, b"HTTP/1.1 200".len());
        }

        #[test]
        fn no_bytes_whatever_make_it_panic_or_keep_more_than_its_limit(
            wire in prop::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'0'), Just(b'f'), any::<u8>()], 0..200),
            pieces in prop::collection::vec(0_usize..9, 0..40),
            limit in 0_usize..50,
        ) {
            for framing in [Framing::Chunked, Framing::Length(60), Framing::Length(u64::MAX), Framing::UntilClose] {
                if let Ok((reader, _)) = read(framing, limit, &wire, &pieces) {
                    prop_assert!(reader.body.len() <= limit);
                }
            }
        }
    }

    #[test]
    fn a_length_leaves_what_is_behind_it() {
        let (reader, surplus) = read(Framing::Length(3), 10, b"abcdef", &[2]).unwrap();
        assert_eq!((reader.body.as_slice(), surplus, reader.is_done()), (&b"abc"[..], 3, true));
    }

    #[test]
    fn a_body_longer_than_its_limit_is_cut_and_says_so() {
        let (reader, _) = read(Framing::UntilClose, 4, b"abcdef", &[]).unwrap();
        assert_eq!((reader.body.as_slice(), reader.cut, reader.is_done()), (&b"abcd"[..], true, true));
    }

    #[test]
    fn only_a_body_that_ends_with_the_connection_may_end_there() {
        assert!(BodyReader::new(Framing::UntilClose, 9).may_end_here());
        assert!(!BodyReader::new(Framing::Length(1), 9).may_end_here());
        assert!(!BodyReader::new(Framing::Chunked, 9).may_end_here());
    }

    #[test]
    fn a_chunk_that_lies_about_its_size_is_malformed() {
        for wire in [&b"2\r\nabc\r\n"[..], b"zz\r\n", b"fffffffffffffffff\r\n"] {
            assert!(matches!(read(Framing::Chunked, 99, wire, &[]), Err(Fault::Malformed(_))), "{wire:?}");
        }
        let endless = [b"0\r\n".as_slice(), &vec![b'x'; 5000]].concat();
        assert!(matches!(read(Framing::Chunked, 99, &endless, &[]), Err(Fault::Malformed(_))));
    }
}

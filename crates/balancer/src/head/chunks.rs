//! Where a chunked body ends (RFC 9112 §7.1), read strictly: what passes here reads the same in every parser.

/// Longest chunk size in hexadecimal digits: 2^60 bytes, which no counter overflows.
const SIZE_DIGITS_LIMIT: usize = 15;
/// All chunk extensions of one body in bytes, and apart from that all its trailer fields.
const EXTRAS_LIMIT: usize = 8 * 1024;

/// How far into some bytes a body reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Scan {
    /// So many of the bytes belong to it.
    pub(crate) taken: usize,
    /// It ends with them.
    pub(crate) done: bool,
}

/// Follows one chunked body while its bytes arrive.
#[derive(Debug, Default)]
pub(crate) struct Chunks {
    state: State,
    size: u64,
    digits: usize,
    extensions: usize,
    trailers: usize,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Size,
    Extension,
    SizeEnd,
    Data,
    DataCr,
    DataLf,
    TrailerStart,
    TrailerName,
    TrailerValue,
    TrailerLf,
    LastLf,
}

impl Chunks {
    /// How many of `bytes`, which follow those of the call before, belong to the body; `None` if it is malformed.
    pub(crate) fn scan(&mut self, bytes: &[u8]) -> Option<Scan> {
        let mut at = 0;
        while at < bytes.len() {
            if self.state == State::Data {
                let step = (bytes.len() - at).min(usize::try_from(self.size).unwrap_or(usize::MAX));
                at += step;
                self.size -= step as u64;
                if self.size == 0 {
                    self.state = State::DataCr;
                }
                continue;
            }
            let ended = self.state == State::LastLf;
            self.state = self.step(bytes[at])?;
            at += 1;
            if ended {
                return Some(Scan { taken: at, done: true });
            }
        }
        Some(Scan { taken: at, done: false })
    }

    fn step(&mut self, byte: u8) -> Option<State> {
        match (self.state, byte) {
            (State::Size, _) if byte.is_ascii_hexdigit() => self.size_digit(byte),
            (State::Size, b';') if 0 < self.digits => Some(State::Extension),
            (State::Size, b'\r') if 0 < self.digits => Some(State::SizeEnd),
            (State::Extension, b'\r') => Some(State::SizeEnd),
            (State::Extension, _) if is_text(byte) => Self::bounded(&mut self.extensions, State::Extension),
            (State::SizeEnd, b'\n') => {
                self.digits = 0;
                Some(if self.size == 0 { State::TrailerStart } else { State::Data })
            }
            (State::DataCr, b'\r') => Some(State::DataLf),
            (State::DataLf, b'\n') => Some(State::Size),
            (State::TrailerName, b':') => Self::bounded(&mut self.trailers, State::TrailerValue),
            (State::TrailerStart | State::TrailerName, _) if is_name(byte) => {
                Self::bounded(&mut self.trailers, State::TrailerName)
            }
            (State::TrailerValue, b'\r') => Some(State::TrailerLf),
            (State::TrailerValue, _) if is_text(byte) => Self::bounded(&mut self.trailers, State::TrailerValue),
            (State::TrailerLf, b'\n') => Some(State::TrailerStart),
            (State::TrailerStart, b'\r') | (State::LastLf, b'\n') => Some(State::LastLf),
            _ => None,
        }
    }

    fn size_digit(&mut self, byte: u8) -> Option<State> {
        self.digits += 1;
        if SIZE_DIGITS_LIMIT < self.digits {
            return None;
        }
        self.size = self.size * 16 + u64::from(char::from(byte).to_digit(16)?);
        Some(State::Size)
    }

    fn bounded(count: &mut usize, state: State) -> Option<State> {
        *count += 1;
        (*count <= EXTRAS_LIMIT).then_some(state)
    }
}

fn is_text(byte: u8) -> bool {
    byte == b'\t' || (b' ' <= byte && byte != 0x7f)
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

//! The access log: a line per request in the ALB's format, written off the request path to a file that is bounded.
//!
//! Lines wait in memory and are written by a thread a few times a second. What does not fit is dropped and counted: a slow
//! disk must not slow a request. (Entries are rendered at once, because what they hold pins the buffers it was read into.)

use std::fmt::{self, Display, Formatter, Write as _};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use gimmetime_clock::{Mono, Now, iso};
use http::{HeaderValue, Method, Uri, Version};

/// Most bytes of lines that wait: some twenty thousand requests.
const WAITING_LIMIT: usize = 8 << 20;
/// A file as long as this is put aside.
const FILE_LIMIT: u64 = 16 << 20;
/// How many files put aside are kept.
const FILES_KEPT: usize = 4;
/// What of a client is longer is cut, as the user agent is in the ALB's log.
const SHOWN_LIMIT: usize = 8 * 1024;

/// What is told of one request.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) connection: u64,
    pub(crate) client: SocketAddr,
    pub(crate) local: SocketAddr,
    pub(crate) began: Now,
    pub(crate) ended: Now,
    /// When it was sent to the target that answered, and when that began its answer.
    pub(crate) dispatched: Option<Mono>,
    pub(crate) answered: Option<Mono>,
    pub(crate) target: Option<SocketAddr>,
    pub(crate) status: u16,
    pub(crate) target_status: Option<u16>,
    pub(crate) received: u64,
    pub(crate) sent: u64,
    /// `None` if the request was not understood.
    pub(crate) request: Option<(Method, Uri, Version)>,
    pub(crate) host: Option<HeaderValue>,
    pub(crate) agent: Option<HeaderValue>,
    pub(crate) trace: Option<HeaderValue>,
}

/// What the log calls the load balancer and its targets.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    pub(crate) load_balancer: String,
    pub(crate) target_group: String,
}

/// Lines that wait to be written.
#[derive(Debug)]
pub(crate) struct Queue {
    names: Names,
    waiting: Mutex<Waiting>,
}

/// Whole lines, and how many found no room.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    pub(crate) text: String,
    pub(crate) dropped: u64,
}

impl Queue {
    pub(crate) fn new(names: Names) -> Self {
        Self { names, waiting: Mutex::default() }
    }

    /// Takes one in, unless too many wait.
    pub(crate) fn push(&self, entry: &Entry) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.text.len() < WAITING_LIMIT {
            line(entry, &self.names, &mut waiting.text);
        } else {
            waiting.dropped += 1;
        }
    }

    /// All that waits.
    pub(crate) fn take(&self) -> Waiting {
        std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The file, and those put aside: `PATH`, `PATH.1` (newer) to `PATH.4` (older).
#[derive(Debug)]
pub(crate) struct Files {
    path: PathBuf,
    file: File,
    length: u64,
}

impl Files {
    /// Goes on where the file ends.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        let length = file.metadata()?.len();
        Ok(Self { path: path.to_owned(), file, length })
    }

    /// Writes whole lines.
    pub(crate) fn write(&mut self, lines: &str) -> io::Result<()> {
        if FILE_LIMIT <= self.length {
            self.put_aside()?;
        }
        self.file.write_all(lines.as_bytes())?;
        self.length += lines.len() as u64;
        Ok(())
    }

    fn put_aside(&mut self) -> io::Result<()> {
        let name = |number: usize| {
            let mut name = self.path.clone().into_os_string();
            name.push(format!(".{number}"));
            name
        };
        for number in (1..FILES_KEPT).rev() {
            match fs::rename(name(number), name(number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        fs::rename(&self.path, name(1))?;
        *self = Self::open(&self.path)?;
        Ok(())
    }
}

/// Appends the line, with its end; the order of fields is that of the ALB's access log.
fn line(entry: &Entry, names: &Names, text: &mut String) {
    let Entry { status, received, sent, connection, .. } = entry;
    let (target, target_status) = (OrDash(entry.target), OrDash(entry.target_status));
    let since = |from: Option<Mono>, to: Option<Mono>| Seconds(from.zip(to).map(|(from, to)| to.since(from)));
    let understood = entry.request.is_some();
    let _ = writeln!(
        text,
        "http {time} {elb} {client} {target} {request_time} {target_time} {response_time} {status} {target_status} \
         {received} {sent} \"{request}\" \"{agent}\" - - {group} \"{trace}\" \"-\" \"-\" {rule} {creation} \"{action}\" \
         \"-\" \"-\" \"{target}\" \"{target_status}\" \"-\" \"-\" TID_{connection:016x}",
        time = iso::format_micros(entry.ended.wall),
        elb = names.load_balancer,
        client = entry.client,
        request_time = since(Some(entry.began.mono), entry.dispatched),
        target_time = since(entry.dispatched, entry.answered),
        response_time = since(entry.answered, Some(entry.ended.mono)),
        request = RequestLine(entry),
        agent = escaped(entry.agent.as_ref()),
        group = names.target_group,
        trace = escaped(entry.trace.as_ref()),
        rule = if understood { "0" } else { "-1" },
        creation = iso::format_micros(entry.began.wall),
        action = if understood { "forward" } else { "-" },
    );
}

fn escaped(value: Option<&HeaderValue>) -> OrDash<Escaped<&[u8]>> {
    OrDash(value.map(|value| Escaped(value.as_bytes())))
}

/// A value, or `-` where there is none.
struct OrDash<T>(Option<T>);

impl<T: Display> Display for OrDash<T> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(value) => value.fmt(out),
            None => out.write_str("-"),
        }
    }
}

/// Seconds to the millisecond, or `-1` for what did not happen.
struct Seconds(Option<Duration>);

impl Display for Seconds {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let Some(took) = self.0 else { return out.write_str("-1") };
        let rounded = took + Duration::from_micros(500);
        write!(out, "{}.{:03}", rounded.as_secs(), rounded.subsec_millis())
    }
}

/// The request as the log shows it: method, whole URL, version.
struct RequestLine<'a>(&'a Entry);

impl Display for RequestLine<'_> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let local = self.0.local;
        let Some((method, uri, version)) = &self.0.request else {
            return write!(out, "- http://{}:{}- -", local.ip(), local.port());
        };
        write!(out, "{method} http://")?;
        let host = self.0.host.as_ref().map(HeaderValue::as_bytes);
        match host {
            Some(host) => Escaped(host).fmt(out)?,
            None => local.ip().fmt(out)?,
        }
        if !host.is_some_and(has_port) {
            write!(out, ":{}", local.port())?;
        }
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        write!(out, "{} {version:?}", Escaped(path))
    }
}

fn has_port(host: &[u8]) -> bool {
    let last = host.rsplitn(2, |byte| *byte == b':').next().unwrap_or_default();
    last.len() < host.len() && last.iter().all(u8::is_ascii_digit)
}

/// Printable and without quotes, so that a line stays one line of its fields.
struct Escaped<T>(T);

impl<T: AsRef<[u8]>> Display for Escaped<T> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let is_plain = |byte: &u8| matches!(byte, b' ' | b'!' | b'#'..=b'[' | b']'..=b'~');
        let bytes = self.0.as_ref();
        let shown = &bytes[..bytes.len().min(SHOWN_LIMIT)];
        for part in shown.split_inclusive(|byte| !is_plain(byte)) {
            let (plain, odd) = match part {
                [plain @ .., odd] if !is_plain(odd) => (plain, Some(odd)),
                plain => (plain, None),
            };
            out.write_str(str::from_utf8(plain).expect("plain bytes are ASCII"))?;
            odd.map_or(Ok(()), |odd| write!(out, "\\x{odd:02X}"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use gimmetime_clock::Timestamp;

    use super::*;

    fn entry() -> Entry {
        let began = Now { wall: Timestamp::from_nanos(1_530_571_400_186_641_000), mono: Mono::from_nanos(0) };
        let after = |millis| began.mono.plus(Duration::from_millis(millis));
        Entry {
            connection: 0xabc,
            client: "192.168.131.39:2817".parse().unwrap(),
            local: "127.0.0.1:8080".parse().unwrap(),
            began,
            ended: began.plus(Duration::from_millis(8)),
            dispatched: Some(after(1)),
            answered: Some(after(6)),
            target: Some("10.0.0.1:80".parse().unwrap()),
            status: 200,
            target_status: Some(200),
            received: 34,
            sent: 366,
            request: Some((Method::GET, "/now?a".parse().unwrap(), Version::HTTP_11)),
            host: Some(HeaderValue::from_static("time.example")),
            agent: Some(HeaderValue::from_static("curl \"7\"")),
            trace: Some(HeaderValue::from_static("Root=1-2-3")),
        }
    }

    fn queue() -> Queue {
        Queue::new(Names { load_balancer: "app/x/1".into(), target_group: "arn:g".into() })
    }

    fn rendered(entry: &Entry) -> String {
        let queue = queue();
        queue.push(entry);
        queue.take().text
    }

    #[test]
    fn a_line_has_the_fields_of_the_load_balancer_in_its_order() {
        assert_eq!(
            rendered(&entry()),
            "http 2018-07-02T22:43:20.194641Z app/x/1 192.168.131.39:2817 10.0.0.1:80 0.001 0.005 0.002 200 200 34 366 \
             \"GET http://time.example:8080/now?a HTTP/1.1\" \"curl \\x227\\x22\" - - arn:g \"Root=1-2-3\" \"-\" \"-\" 0 \
             2018-07-02T22:43:20.186641Z \"forward\" \"-\" \"-\" \"10.0.0.1:80\" \"200\" \"-\" \"-\" TID_0000000000000abc\n"
        );
    }

    #[test]
    fn a_request_that_was_refused_has_no_target_and_no_times() {
        let refused = Entry {
            dispatched: None,
            answered: None,
            target: None,
            status: 400,
            target_status: None,
            request: None,
            host: None,
            agent: None,
            trace: None,
            ..entry()
        };
        assert_eq!(
            rendered(&refused),
            "http 2018-07-02T22:43:20.194641Z app/x/1 192.168.131.39:2817 - -1 -1 -1 400 - 34 366 \
             \"- http://127.0.0.1:8080- -\" \"-\" - - arn:g \"-\" \"-\" \"-\" -1 \
             2018-07-02T22:43:20.186641Z \"-\" \"-\" \"-\" \"-\" \"-\" \"-\" \"-\" TID_0000000000000abc\n"
        );
    }

    #[test]
    fn whatever_a_client_says_stays_one_field_of_one_line() {
        let escape = |bytes: &[u8]| Escaped(bytes).to_string();
        assert_eq!(escape(b"curl/8 (x)"), "curl/8 (x)");
        assert_eq!(escape(b"\"a\\\n\xff b"), "\\x22a\\x5C\\x0A\\xFF b");
        assert_eq!(escape(b""), "");
        assert_eq!(escape(&[b'x'; SHOWN_LIMIT + 1]).len(), SHOWN_LIMIT);
    }

    #[test]
    fn files_are_put_aside_and_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        let mut files = Files::open(&path).unwrap();
        for _ in 0..FILES_KEPT + 3 {
            files.length = FILE_LIMIT;
            files.write("a line\n").unwrap();
        }
        let mut kept: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
        kept.sort();
        assert_eq!(kept, ["access.log", "access.log.1", "access.log.2", "access.log.3", "access.log.4"]);
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 1);
    }

    #[test]
    fn lines_that_do_not_fit_are_dropped_and_counted() {
        let queue = queue();
        queue.push(&entry());
        let one = queue.take().text.len();
        let fitting = WAITING_LIMIT.div_ceil(one);
        for _ in 0..fitting + 5 {
            queue.push(&entry());
        }
        let waiting = queue.take();
        assert_eq!((waiting.text.lines().count(), waiting.dropped), (fitting, 5));
        assert_eq!(queue.take().text, "");
    }
}

//! The tasks' output: FIFO → bounded ring → rotated files, one stream for each task.
//!
//! A task never waits for the disk: what cannot be written in time is dropped, the oldest first, counted, and said in
//! the stream. While no supervisor lives a task can write 1 MiB more to each FIFO before it waits.
//! Bounds: 10 MiB in memory and 10 MiB on disk for each task, 256 MiB and 200 streams on disk in all.

mod disk;
mod fifo;
mod lines;
mod query;
mod ring;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use gimmetime_clock::{Timestamp, source};
use tokio::net::unix::pipe;
use tokio::sync::watch;
use tokio::task::JoinSet;

pub(crate) use disk::StreamName;
use disk::{Found, StreamFile};
pub(crate) use fifo::Fifos;
use lines::Lines;
use ring::Ring;
pub(crate) use ring::{Output, Record};

use crate::files;

/// What waits in memory for each task, in bytes.
const RING: usize = 10 << 20;
/// What each of a stream's two files holds, in bytes.
const FILE: u64 = 5 << 20;
/// What all streams together hold on disk, in bytes.
const DISK: u64 = 256 << 20;
/// How many streams are kept.
const STREAMS: usize = 200;

/// All streams of a place.
#[derive(Debug)]
pub(crate) struct Logs {
    shared: Arc<Shared>,
    writer: Option<JoinHandle<()>>,
}

/// The two pumps of a task; they end with it.
#[derive(Debug)]
pub(crate) struct Pumps {
    stop: watch::Sender<()>,
    running: JoinSet<()>,
}

impl Pumps {
    /// Waits until what is left has been taken.
    pub(crate) async fn finish(mut self) {
        drop(self.stop);
        while self.running.join_next().await.is_some() {}
    }
}

/// A stream as it is on disk.
#[derive(Debug, Clone)]
pub(crate) struct Stream {
    /// The task's id.
    pub(crate) task: String,
    /// Its names.
    pub(crate) name: StreamName,
    /// Times of the first and the last record, in milliseconds since the Unix epoch.
    pub(crate) span: Option<(i64, i64)>,
    /// Bytes on disk.
    pub(crate) bytes: u64,
}

#[derive(Debug)]
struct Shared {
    folder: PathBuf,
    /// The place's own group, which is there before any stream is.
    group: Group,
    waiting: Mutex<Waiting>,
    wake: Condvar,
    /// Locked before `waiting` by whoever moves records from rings to files, so that their order is kept.
    files: Mutex<BTreeMap<String, StreamFile>>,
}

/// A log group.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    /// `/gimmetime/NAME`
    pub(crate) name: String,
    /// When the place was made.
    pub(crate) created_at: Timestamp,
}

#[derive(Debug, Default)]
struct Waiting {
    rings: BTreeMap<String, Ring>,
    closing: bool,
}

impl Logs {
    /// Streams below `folder`, written by a thread of their own.
    pub(crate) fn open(folder: PathBuf, group: Group) -> io::Result<Self> {
        files::private_folder(&folder)?;
        let shared = Arc::new(Shared {
            folder,
            group,
            waiting: Mutex::default(),
            wake: Condvar::new(),
            files: Mutex::default(),
        });
        let writing = Arc::clone(&shared);
        let writer =
            std::thread::Builder::new().name("log-writer".into()).spawn(move || writing.write_until_closed())?;
        Ok(Self { shared, writer: Some(writer) })
    }

    /// Opens a task's stream and reads its FIFOs from now on, until [`Pumps::finish`].
    pub(crate) fn follow(&self, task: &str, name: &StreamName, fifos: Fifos) -> io::Result<Pumps> {
        let folder = self.shared.folder.join(task);
        files::private_folder(&folder)?;
        let named = folder.join("stream.json");
        if !named.exists() {
            files::replace_json(&named, name)?;
        }
        lock(&self.shared.files).insert(task.to_owned(), StreamFile::open(&folder, FILE)?);
        let (stop, stopped) = watch::channel(());
        let mut running = JoinSet::new();
        for (pipe, output) in [(fifos.out, Output::Out), (fifos.err, Output::Err)] {
            let sink = Sink { shared: Arc::clone(&self.shared), task: task.to_owned(), output };
            running.spawn(pump(pipe, sink, stopped.clone()));
        }
        Ok(Pumps { stop, running })
    }

    /// Closes a task's stream once what is left is written.
    pub(crate) fn close(&self, task: &str) {
        self.flush();
        lock(&self.shared.files).remove(task);
    }

    /// Writes everything that waits.
    pub(crate) fn flush(&self) {
        self.shared.flush();
    }

    /// All streams, those of tasks long gone included.
    pub(crate) fn streams(&self) -> Vec<Stream> {
        self.flush();
        let Ok(entries) = std::fs::read_dir(&self.shared.folder) else { return Vec::new() };
        let streams = entries.flatten().filter_map(|entry| {
            let folder = entry.path();
            let name = files::read_json(&folder.join("stream.json")).ok()??;
            let task = entry.file_name().into_string().ok()?;
            Some(Stream { task, name, span: disk::span(&folder), bytes: disk::size(&folder) })
        });
        streams.collect()
    }

    /// Shows what was written of a task's records from `since_ms` on, in the order in which they came.
    fn visit(&self, task: &str, since_ms: i64, each: impl FnMut(Found<'_>)) -> io::Result<()> {
        let _unmoved = lock(&self.shared.files);
        disk::visit(&self.shared.folder.join(task), since_ms, each)
    }

    /// Removes the streams that ended first until the bounds hold.
    pub(crate) fn prune(&self) {
        let mut ended = self.streams();
        let open = lock(&self.shared.files);
        let mut bytes: u64 = ended.iter().map(|stream| stream.bytes).sum();
        let mut count = ended.len();
        ended.retain(|stream| !open.contains_key(&stream.task));
        ended.sort_by_key(|stream| stream.span.map(|(_, last)| last));
        for stream in ended {
            if bytes <= DISK && count < STREAMS {
                break;
            }
            if std::fs::remove_dir_all(self.shared.folder.join(&stream.task)).is_ok() {
                bytes -= stream.bytes;
                count -= 1;
            }
        }
    }
}

impl Drop for Logs {
    fn drop(&mut self) {
        lock(&self.shared.waiting).closing = true;
        self.shared.wake.notify_all();
        if let Some(writer) = self.writer.take() {
            // A writer that panicked has nothing left to write; what waits is written here.
            let _ = writer.join();
        }
        self.flush();
    }
}

impl Shared {
    fn write_until_closed(&self) {
        loop {
            let mut waiting = lock(&self.waiting);
            while !waiting.closing && waiting.rings.values().all(Ring::is_empty) {
                waiting = self.wake.wait(waiting).unwrap_or_else(PoisonError::into_inner);
            }
            if waiting.closing {
                return;
            }
            drop(waiting);
            self.flush();
        }
    }

    fn flush(&self) {
        let mut files = lock(&self.files);
        let rings = std::mem::take(&mut lock(&self.waiting).rings);
        for (task, mut ring) in rings {
            let records = ring.take();
            // A full disk must not stop the tasks: what cannot be written is gone.
            let _ = match files.get_mut(&task) {
                Some(file) => file.write(&records),
                None => StreamFile::open(&self.folder.join(&task), FILE).and_then(|mut file| file.write(&records)),
            };
        }
    }
}

/// Where one output of one task goes.
struct Sink {
    shared: Arc<Shared>,
    task: String,
    output: Output,
}

impl Sink {
    fn put(&self, texts: Vec<String>) {
        if texts.is_empty() {
            return;
        }
        let at_ms = source::wall().as_nanos() / 1_000_000;
        let mut waiting = lock(&self.shared.waiting);
        let ring = waiting.rings.entry(self.task.clone()).or_insert_with(|| Ring::new(RING));
        for text in texts {
            ring.push(Record { at_ms, output: self.output, text });
        }
        drop(waiting);
        self.shared.wake.notify_one();
    }
}

/// Moves bytes from a FIFO to the ring until told to stop, then what is left.
async fn pump(pipe: pipe::Receiver, sink: Sink, mut stopped: watch::Receiver<()>) {
    let mut lines = Lines::default();
    let mut buffer = vec![0; 64 << 10];
    let mut stopping = false;
    // Once stopped, what a FIFO can hold is taken and no more: a process that escaped its group may write for ever.
    let mut left = fifo::CAPACITY;
    while !stopping || 0 < left {
        if !stopping {
            tokio::select! {
                biased;
                _ = stopped.changed() => stopping = true,
                ready = pipe.readable() => if ready.is_err() { break },
            }
        }
        // What was written a moment ago may not have been noticed yet: at the end the FIFO itself is asked.
        let read = if stopping {
            rustix::io::read(&pipe, &mut buffer[..]).map_err(io::Error::from)
        } else {
            pipe.try_read(&mut buffer)
        };
        match read {
            Ok(0) => break,
            Ok(count) => {
                let mut texts = Vec::new();
                lines.push(&buffer[..count], |line| texts.push(line));
                sink.put(texts);
                left = if stopping { left.saturating_sub(count) } else { left };
                tokio::task::yield_now().await;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && !stopping => {}
            Err(_) => break,
        }
    }
    let mut texts = Vec::new();
    lines.finish(|line| texts.push(line));
    sink.put(texts);
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Removes a task's FIFOs.
pub(crate) fn remove_fifos(folder: &Path) {
    // What is left of it is removed with the place.
    let _ = std::fs::remove_dir_all(folder);
}

#[cfg(test)]
mod tests;

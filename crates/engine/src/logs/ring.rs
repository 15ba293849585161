//! What waits to be written: bounded, the oldest dropped first, and what was dropped counted. Pure.

use std::collections::VecDeque;

/// One line of a task's output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    /// When it was read, in milliseconds since the Unix epoch.
    pub(crate) at_ms: i64,
    /// From which of the two outputs.
    pub(crate) output: Output,
    /// Without its line feed.
    pub(crate) text: String,
}

/// Which output a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
    /// Said by the engine itself.
    Engine,
}

/// Records up to a number of bytes.
#[derive(Debug)]
pub(crate) struct Ring {
    limit: usize,
    bytes: usize,
    records: VecDeque<Record>,
    dropped: u64,
}

/// What a record costs beside its text.
const OVERHEAD: usize = size_of::<Record>();

impl Ring {
    /// Holds up to `limit` bytes.
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, bytes: 0, records: VecDeque::new(), dropped: 0 }
    }

    /// Adds a record; the oldest make room for it.
    pub(crate) fn push(&mut self, record: Record) {
        self.bytes += record.text.len() + OVERHEAD;
        self.records.push_back(record);
        while self.limit < self.bytes
            && let Some(oldest) = self.records.pop_front()
        {
            self.bytes -= oldest.text.len() + OVERHEAD;
            self.dropped += 1;
        }
    }

    /// Takes all, oldest first; if any were dropped a record in front says how many.
    pub(crate) fn take(&mut self) -> Vec<Record> {
        let dropped = std::mem::take(&mut self.dropped);
        self.bytes = 0;
        let at_ms = self.records.front().map_or(0, |record| record.at_ms);
        let text = format!("gimmetime: {dropped} lines dropped: they came faster than they could be written");
        let notice = (0 < dropped).then_some(Record { at_ms, output: Output::Engine, text });
        notice.into_iter().chain(self.records.drain(..)).collect()
    }

    /// Whether there is nothing to take.
    pub(crate) fn is_empty(&self) -> bool {
        self.records.is_empty() && self.dropped == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(number: usize) -> Record {
        Record { at_ms: 7, output: Output::Out, text: format!("{number:08}") }
    }

    #[test]
    fn the_oldest_are_dropped_and_counted() {
        let mut ring = Ring::new(3 * (8 + OVERHEAD));
        (0..5).for_each(|number| ring.push(record(number)));
        let taken = ring.take();
        assert_eq!(taken[0].text, "gimmetime: 2 lines dropped: they came faster than they could be written");
        assert_eq!(taken[1..], [record(2), record(3), record(4)]);
        assert!(ring.is_empty());
    }

    #[test]
    fn what_fits_is_kept_whole_and_said_once() {
        let mut ring = Ring::new(1_000);
        ring.push(record(1));
        assert_eq!(ring.take(), [record(1)]);
        assert!(ring.take().is_empty());
    }
}

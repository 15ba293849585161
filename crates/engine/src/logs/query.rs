//! The streams as the Logs API reads them: by group, time and stream.

use std::collections::BTreeMap;

use gimmetime_api::{EventKey, LogEnd, LogEvent, LogGroup, LogQuery, LogSource, LogStream};

use super::{Found, Logs, Stream};

impl LogSource for Logs {
    fn groups(&self) -> Vec<LogGroup> {
        let own = &self.shared.group;
        let empty = |name: &str, created_at| LogGroup { name: name.into(), created_at, stored_bytes: 0 };
        let mut groups = BTreeMap::from([(own.name.clone(), empty(&own.name, own.created_at))]);
        for Stream { name, bytes, .. } in self.streams() {
            let group = groups.entry(name.group.clone()).or_insert_with(|| empty(&name.group, name.created_at));
            group.created_at = group.created_at.min(name.created_at);
            group.stored_bytes += bytes;
        }
        groups.into_values().collect()
    }

    fn streams(&self, group: &str) -> Vec<LogStream> {
        let streams = Logs::streams(self).into_iter().filter(|stream| stream.name.group == group);
        let mut streams: Vec<LogStream> = streams
            .map(|Stream { name, span, bytes, .. }| LogStream {
                name: name.stream,
                created_at: name.created_at,
                first_event_ms: span.map(|(first, _)| first),
                last_event_ms: span.map(|(_, last)| last),
                stored_bytes: bytes,
            })
            .collect();
        streams.sort_by(|one, other| one.name.cmp(&other.name));
        streams
    }

    fn events(&self, query: &LogQuery<'_>) -> Result<Vec<LogEvent>, String> {
        let mut chosen = Chosen { end: query.end, limit: query.limit, events: Vec::new() };
        for stream in Logs::streams(self) {
            let wanted = stream.name.group == query.group && query.streams.wants(&stream.name.stream);
            if !wanted || stream.span.is_none_or(|(first, _)| query.end_ms <= first) {
                continue;
            }
            // One key for all that is looked at: most of it is not wanted.
            let mut key = EventKey { timestamp_ms: 0, stream: stream.name.stream, sequence: 0 };
            let visited = self.visit(&stream.task, query.start_ms, |Found { sequence, at_ms, text }| {
                (key.timestamp_ms, key.sequence) = (at_ms, sequence);
                if query.wants(&key) {
                    chosen.add(LogEvent { key: key.clone(), ingested_ms: at_ms, message: text.to_owned() });
                }
            });
            visited.map_err(|error| format!("cannot read the stream of task {}: {error}", stream.task))?;
        }
        Ok(chosen.finish())
    }
}

/// The first or the last of many events; it never holds more than twice as many as are wanted.
struct Chosen {
    end: LogEnd,
    limit: usize,
    events: Vec<LogEvent>,
}

impl Chosen {
    fn add(&mut self, event: LogEvent) {
        self.events.push(event);
        if 2 * self.limit < self.events.len() {
            self.choose();
        }
    }

    fn choose(&mut self) {
        self.events.sort_unstable_by(|one, other| one.key.cmp(&other.key));
        let surplus = self.events.len().saturating_sub(self.limit);
        match self.end {
            LogEnd::Head => self.events.truncate(self.limit),
            LogEnd::Tail => drop(self.events.drain(..surplus)),
        }
    }

    fn finish(mut self) -> Vec<LogEvent> {
        self.choose();
        self.events
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(at: i64) -> LogEvent {
        let key = EventKey { timestamp_ms: at, stream: "s".into(), sequence: 0 };
        LogEvent { key, ingested_ms: at, message: String::new() }
    }

    #[test]
    fn the_limit_counts_from_the_asked_end_and_bounds_what_is_held() {
        for (end, expected) in [(LogEnd::Head, [0, 1, 2]), (LogEnd::Tail, [97, 98, 99])] {
            let mut chosen = Chosen { end, limit: 3, events: Vec::new() };
            for at in 0..100 {
                // 37 and 100 have no common divisor: every moment comes once, in no order.
                chosen.add(event(at * 37 % 100));
                assert!(chosen.events.len() <= 6, "{} events held", chosen.events.len());
            }
            assert_eq!(chosen.finish().iter().map(|event| event.key.timestamp_ms).collect::<Vec<_>>(), expected);
        }
    }
}

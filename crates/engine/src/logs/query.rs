//! The streams as the Logs API reads them: by group, time and stream.

use std::collections::BTreeMap;

use gimmetime_api::{EventKey, LogEnd, LogEvent, LogGroup, LogQuery, LogSource, LogStream};

use super::{Logs, Numbered, Stream};

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
        let mut events = Vec::new();
        for stream in Logs::streams(self) {
            let wanted = stream.name.group == query.group && query.streams.wants(&stream.name.stream);
            if !wanted || stream.span.is_none_or(|(first, _)| query.end_ms <= first) {
                continue;
            }
            let records = self.read(&stream.task, query.start_ms);
            let records =
                records.map_err(|error| format!("cannot read the stream of task {}: {error}", stream.task))?;
            let found = records.into_iter().map(|record| event(record, &stream.name.stream));
            events.extend(found.filter(|event| query.wants(&event.key)));
        }
        events.sort_by(|one, other| one.key.cmp(&other.key));
        let surplus = events.len().saturating_sub(query.limit);
        match query.end {
            LogEnd::Head => events.truncate(query.limit),
            LogEnd::Tail => drop(events.drain(..surplus)),
        }
        Ok(events)
    }
}

fn event(Numbered { sequence, record }: Numbered, stream: &str) -> LogEvent {
    let key = EventKey { timestamp_ms: record.at_ms, stream: stream.to_owned(), sequence };
    LogEvent { key, ingested_ms: record.at_ms, message: record.text }
}

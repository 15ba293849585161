//! `FilterLogEvents`: all streams of a group, by time and by what a line says.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::pattern::Pattern;
use super::{REPLY_LIMIT, check_group, check_streams, read_error, read_group, read_limit, read_window, size};
use crate::page::{decode, encode, invalid_token};
use crate::parameters::Parameters;
use crate::world::{EventKey, LogEnd, LogEvent, LogQuery, StreamFilter};
use crate::{ApiError, World};

const OPERATION: &str = "FilterLogEvents";
/// Most events looked at for one reply; what is left is for the next page. They are read at once: each reading costs a look
/// at every stream, however few events it brings.
const SCAN_LIMIT: usize = 50_000;

/// What a token stands for: the last event looked at, and which way to go on.
#[derive(Debug, Serialize, Deserialize)]
struct Position {
    newest_first: bool,
    last: EventKey,
}

/// What one reply holds, as it fills.
struct Page {
    events: Vec<LogEvent>,
    room: usize,
    limit: usize,
    /// Where to go on; `None` once there is nothing more.
    next: Option<EventKey>,
}

pub(super) fn filter(world: &mut dyn World, mut parameters: Parameters<'_>) -> Result<Value, ApiError> {
    let group = read_group(world.model(), &mut parameters)?;
    let names = parameters.texts("logStreamNames")?;
    let prefix = parameters.text("logStreamNamePrefix")?;
    if !names.is_empty() && prefix.is_some() {
        return Err(parameters.invalid("logStreamNamePrefix", "cannot be given together with logStreamNames"));
    }
    let pattern = Pattern::parse(parameters.text("filterPattern")?.unwrap_or_default())
        .map_err(|reason| parameters.invalid("filterPattern", &reason))?;
    let (start_ms, last_ms) = read_window(&mut parameters)?;
    let limit = read_limit(&mut parameters)?;
    let from_head = parameters.boolean("startFromHead")?.unwrap_or(true);
    // CloudWatch has ignored it since 2019: streams are always interleaved.
    parameters.boolean("interleaved")?;
    let position = parameters.text("nextToken")?.map(read_token).transpose()?;
    parameters.finish()?;
    check_group(world, &group)?;
    check_streams(world, &group, &names)?;
    let newest_first = position.as_ref().map_or(!from_head, |position| position.newest_first);
    let streams = match prefix {
        Some(prefix) => StreamFilter::Prefix(prefix),
        None if names.is_empty() => StreamFilter::All,
        None => StreamFilter::Named(&names),
    };
    let end = if newest_first { LogEnd::Tail } else { LogEnd::Head };
    // `endTime` is the last millisecond that counts.
    let end_ms = last_ms.map_or(i64::MAX, |last| last.saturating_add(1));
    let query =
        LogQuery { group: &group, streams, start_ms, end_ms, after: None, before: None, end, limit: SCAN_LIMIT };
    let page = scan(world, query, position.map(|position| position.last), &pattern, limit)?;
    Ok(reply(page, newest_first))
}

/// Reads on from where the last page stopped.
fn scan(
    world: &dyn World,
    mut query: LogQuery<'_>,
    from: Option<EventKey>,
    pattern: &Pattern,
    limit: usize,
) -> Result<Page, ApiError> {
    let mut page = Page { events: Vec::new(), room: REPLY_LIMIT, limit, next: from.clone() };
    match (query.end, from) {
        (_, None) => {}
        (LogEnd::Head, Some(from)) => {
            query.start_ms = query.start_ms.max(from.timestamp_ms); // what lies before need not even be opened
            query.after = Some(from);
        }
        (LogEnd::Tail, Some(from)) => {
            query.end_ms = query.end_ms.min(from.timestamp_ms.saturating_add(1));
            query.before = Some(from);
        }
    }
    let mut events = world.logs().events(&query).map_err(read_error)?;
    if query.end == LogEnd::Tail {
        events.reverse();
    }
    let are_all = events.len() < query.limit;
    if page.take(events, pattern) && are_all {
        page.next = None;
    }
    Ok(page)
}

impl Page {
    /// Takes what matches; false once the page is full, with `next` where it stopped.
    fn take(&mut self, batch: Vec<LogEvent>, pattern: &Pattern) -> bool {
        for event in batch {
            // An empty line is no event: CloudWatch takes none, and awslogs sends none.
            if !event.message.is_empty() && pattern.matches(&event.message) {
                if self.limit <= self.events.len() || (self.room < size(&event.message) && !self.events.is_empty()) {
                    return false;
                }
                self.room = self.room.saturating_sub(size(&event.message));
                self.next = Some(event.key.clone());
                self.events.push(event);
            } else {
                self.next = Some(event.key);
            }
        }
        true
    }
}

fn reply(page: Page, newest_first: bool) -> Value {
    let mut reply = Map::new();
    reply.insert("events".into(), page.events.iter().map(view).collect());
    reply.insert("searchedLogStreams".into(), json!([]));
    if let Some(last) = page.next {
        let position = serde_json::to_string(&Position { newest_first, last }).expect("positions are plain data");
        reply.insert("nextToken".into(), encode(OPERATION, &position).into());
    }
    reply.into()
}

fn view(event: &LogEvent) -> Value {
    json!({
        "logStreamName": event.key.stream,
        "timestamp": event.key.timestamp_ms,
        "message": event.message,
        "ingestionTime": event.ingested_ms,
        "eventId": event_id(&event.key),
    })
}

/// Fifty-six digits, as CloudWatch's: time, stream, place in the stream.
fn event_id(key: &EventKey) -> String {
    let digest = Sha256::digest(&key.stream);
    let stream = digest[..8].iter().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
    format!("{:016}{stream:020}{:020}", key.timestamp_ms, key.sequence)
}

fn read_token(token: &str) -> Result<Position, ApiError> {
    let text = decode(OPERATION, token).ok_or_else(invalid_token)?;
    serde_json::from_str(&text).map_err(|_| invalid_token())
}

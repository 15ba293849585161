//! `GetLogEvents`: one stream, forwards or backwards, with a token for either way.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{check_group, check_streams, read_error, read_group, read_limit, read_window, size};
use crate::page::{decode, encode, invalid_token};
use crate::parameters::Parameters;
use crate::world::{EventKey, LogEnd, LogEvent, LogQuery, StreamFilter};
use crate::{ApiError, World};

const OPERATION: &str = "GetLogEvents";

/// What a token stands for: where to read on, and which way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum Position {
    /// After this event; from the beginning without one.
    Forward(Option<EventKey>),
    /// Before this event; from the end without one.
    Backward(Option<EventKey>),
}

pub(super) fn get(world: &mut dyn World, mut parameters: Parameters<'_>) -> Result<Value, ApiError> {
    let group = read_group(world.model(), &mut parameters)?;
    let stream = vec![parameters.required_text("logStreamName")?.to_owned()];
    let (start_ms, end_ms) = read_window(&mut parameters)?;
    let limit = read_limit(&mut parameters)?;
    let from_head = parameters.boolean("startFromHead")?.unwrap_or(false);
    let position = match parameters.text("nextToken")? {
        Some(token) => read_token(token)?,
        None if from_head => Position::Forward(None),
        None => Position::Backward(None),
    };
    parameters.finish()?;
    check_group(world, &group)?;
    check_streams(world, &group, &stream)?;
    let (end, after, before) = match position.clone() {
        Position::Forward(after) => (LogEnd::Head, after, None),
        Position::Backward(before) => (LogEnd::Tail, None, before),
    };
    let streams = StreamFilter::Named(&stream);
    let end_ms = end_ms.unwrap_or(i64::MAX);
    let query = LogQuery { group: &group, streams, start_ms, end_ms, after, before, end, limit };
    let mut events = world.logs().events(&query).map_err(read_error)?;
    fit(&mut events, end);
    let (forward, backward) = neighbours(&events, position);
    let view = |event: &LogEvent| json!({"timestamp": event.key.timestamp_ms, "message": event.message, "ingestionTime": event.ingested_ms});
    // An empty line is no event: CloudWatch takes none, and awslogs sends none.
    let lines = events.iter().filter(|event| !event.message.is_empty());
    Ok(json!({
        "events": lines.map(view).collect::<Value>(),
        "nextForwardToken": write_token(&forward),
        "nextBackwardToken": write_token(&backward),
    }))
}

/// Drops what does not fit into one reply, from the far end.
fn fit(events: &mut Vec<LogEvent>, end: LogEnd) {
    let mut room = super::REPLY_LIMIT;
    let mut fits = |event: &LogEvent| {
        let left = room.checked_sub(size(&event.message));
        room = left.unwrap_or(room);
        left.is_some()
    };
    match end {
        LogEnd::Head => {
            let count = events.iter().take_while(|event| fits(event)).count();
            events.truncate(count.max(1));
        }
        LogEnd::Tail => {
            let count = events.iter().rev().take_while(|event| fits(event)).count();
            events.drain(..events.len().saturating_sub(count.max(1)));
        }
    }
}

/// Where to read on, and where to read back: at the end of a stream the token given comes back, as CloudWatch has it.
fn neighbours(events: &[LogEvent], position: Position) -> (Position, Position) {
    match (events.first(), events.last(), position) {
        (Some(first), Some(last), _) => {
            (Position::Forward(Some(last.key.clone())), Position::Backward(Some(first.key.clone())))
        }
        (_, _, Position::Forward(after)) => {
            let included = after.clone().map(|key| EventKey { sequence: key.sequence.saturating_add(1), ..key });
            (Position::Forward(after), Position::Backward(included))
        }
        (_, _, Position::Backward(before)) => (Position::Forward(None), Position::Backward(before)),
    }
}

fn read_token(token: &str) -> Result<Position, ApiError> {
    let text = decode(OPERATION, token).ok_or_else(invalid_token)?;
    serde_json::from_str(&text).map_err(|_| invalid_token())
}

fn write_token(position: &Position) -> String {
    encode(OPERATION, &serde_json::to_string(position).expect("positions are plain data"))
}

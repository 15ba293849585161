//! `logs`: the output of all tasks, merged in time order.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aws_sdk_cloudwatchlogs::types::FilteredLogEvent;
use gimmetime_clock::{Timestamp, iso, source};
use serde::Serialize;
use tokio::sync::mpsc::UnboundedSender;

use crate::cancel::Cancel;
use crate::error::{OpsError, refused};
use crate::observe::Observer;
use crate::pace::Pace;
use crate::place::{CONTAINER, Place};
use crate::snapshot::{TaskView, last_part};

/// Most tasks that an error lists.
const LISTED: usize = 10;
/// Lines shown when nobody says since when.
pub const LAST: usize = 100;
/// Most lines held in memory at once; of more, the newest are kept.
const HELD: usize = 100_000;
/// Most pages read in one go.
const PAGES: usize = 1_000;
/// How far back lines are looked for, when nobody says, until there are enough: the API has no "last N".
const WINDOWS: [Duration; 4] =
    [Duration::from_mins(1), Duration::from_hours(1), Duration::from_hours(24), Duration::from_hours(30 * 24)];
/// Lines may arrive late by so many looks and are still seen by a follower, within these limits: a log service that is
/// looked at seldom is one that takes its time.
const LATE_LOOKS: u32 = 15;
const LEAST_LATENESS: Duration = Duration::from_secs(10);
const MOST_LATENESS: Duration = Duration::from_mins(1);

/// Which lines.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogQuery {
    /// Not before this; None is the last hundred lines.
    pub since: Option<Timestamp>,
    /// Only of the task whose id begins so.
    pub task: Option<String>,
}

/// A line of output.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct LogLine {
    /// When it was written, to the millisecond.
    #[serde(serialize_with = "iso::serialize")]
    pub at: Timestamp,
    /// The id of the task that wrote it.
    pub task: String,
    /// The API's id of it, the same whenever it is read.
    pub id: String,
    /// The line, without its end.
    pub text: String,
}

/// Lines in time order, each once: pure.
///
/// Lines of one moment keep the order in which the API gave them, per task.
#[derive(Debug, Default)]
pub struct Merge {
    held: BTreeMap<(Timestamp, u64), LogLine>,
    seen: BTreeSet<(Timestamp, String)>,
    arrived: u64,
}

impl Merge {
    /// Takes a line unless it was taken before.
    pub fn take(&mut self, line: LogLine) {
        if !self.seen.insert((line.at, line.id.clone())) {
            return;
        }
        self.arrived += 1;
        self.held.insert((line.at, self.arrived), line);
        if HELD < self.held.len()
            && let Some((_, oldest)) = self.held.pop_first()
        {
            // Should it come again it is the oldest again, and goes the same way.
            self.seen.remove(&(oldest.at, oldest.id));
        }
    }

    /// How many lines are held.
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// Whether none is held.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Hands out what is held, oldest first. What was handed out is remembered.
    pub fn drain(&mut self) -> Vec<LogLine> {
        std::mem::take(&mut self.held).into_values().collect()
    }

    /// Forgets which lines before this moment were taken: they will not be read again.
    pub fn forget_before(&mut self, moment: Timestamp) {
        self.seen = self.seen.split_off(&(moment, String::new()));
    }
}

/// The lines asked for, oldest first.
///
/// # Errors
/// [`OpsError::NoSuchTask`] if only of a task that nobody knows: neither ECS nor any line ever written.
pub async fn logs(place: &Place, query: &LogQuery) -> Result<Vec<LogLine>, OpsError> {
    first_lines(place, query, &mut Merge::default()).await
}

/// The lines asked for. All that were read on the way are taken by `merge`, those that are left out too.
async fn first_lines(place: &Place, query: &LogQuery, merge: &mut Merge) -> Result<Vec<LogLine>, OpsError> {
    let now = source::wall();
    match query.since {
        Some(since) => read(place, query, since, merge).await?,
        None => {
            for window in WINDOWS {
                read(place, query, now.minus(window), merge).await?;
                if LAST <= merge.len() {
                    break;
                }
            }
        }
    }
    if let (Some(task), true) = (&query.task, merge.is_empty()) {
        must_be_known(place, task).await?;
    }
    let mut lines = merge.drain();
    let shown = if query.since.is_some() { lines.len() } else { LAST };
    Ok(lines.split_off(lines.len().saturating_sub(shown)))
}

/// Refuses a task that nobody knows. One that has said nothing yet is known to ECS, one of long ago to the logs.
async fn must_be_known(place: &Place, asked: &str) -> Result<(), OpsError> {
    let tasks = Observer::default().tasks(place).await?;
    if tasks.iter().any(|task| task.id.starts_with(asked)) || has_lines(place, asked).await? {
        return Ok(());
    }
    let (mut known, gone): (Vec<&TaskView>, Vec<&TaskView>) = tasks.iter().partition(|task| !task.is_gone());
    known.extend(gone);
    let known = known.into_iter().map(|task| task.instance().to_owned()).take(LISTED).collect();
    Err(OpsError::NoSuchTask { asked: asked.to_owned(), known })
}

/// Whether a task whose id begins so has ever written a line that is kept.
async fn has_lines(place: &Place, task: &str) -> Result<bool, OpsError> {
    let mut token = None;
    // A page may be empty although there is more behind it.
    for _ in 0..PAGES {
        let (lines, next) = page(place, task, Timestamp::from_nanos(0), token).await?;
        if !lines.is_empty() {
            return Ok(true);
        }
        token = next;
        if token.is_none() {
            break;
        }
    }
    Ok(false)
}

/// The lines asked for, and then each as it comes, until it is cancelled or nobody reads on.
pub async fn follow(
    place: &Place,
    query: &LogQuery,
    sink: &UnboundedSender<LogLine>,
    cancel: &Cancel,
) -> Result<(), OpsError> {
    let mut merge = Merge::default();
    let mut pace = Pace::new(place.poll);
    let mut pause = place.poll;
    let lateness = (place.poll * LATE_LOOKS).clamp(LEAST_LATENESS, MOST_LATENESS);
    let mut newest = query.since.unwrap_or_else(source::wall);
    let mut pending = first_lines(place, query, &mut merge).await?;
    loop {
        for line in pending {
            newest = newest.max(line.at);
            if sink.send(line).is_err() {
                return Ok(());
            }
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = cancel.cancelled() => return Ok(()),
        }
        let from = newest.minus(lateness);
        // What is older than asked for is not late, it is another's.
        let from = query.since.map_or(from, |since| from.max(since));
        pause = match read(place, query, from, &mut merge).await {
            Ok(()) => pace.answered(),
            Err(error) if error.is_passing() => pace.unanswered(),
            Err(error) => return Err(error),
        };
        pending = merge.drain();
        merge.forget_before(from);
    }
}

async fn read(place: &Place, query: &LogQuery, since: Timestamp, merge: &mut Merge) -> Result<(), OpsError> {
    let mut token = None;
    for _ in 0..PAGES {
        let (lines, next) = page(place, query.task.as_deref().unwrap_or_default(), since, token).await?;
        for line in lines {
            merge.take(line);
        }
        token = next;
        if token.is_none() {
            break;
        }
    }
    Ok(())
}

/// One page of the lines of the tasks whose ids begin so, and where the next one is.
async fn page(
    place: &Place,
    task: &str,
    since: Timestamp,
    token: Option<String>,
) -> Result<(Vec<LogLine>, Option<String>), OpsError> {
    const DOING: &str = "read the logs";
    let prefix = format!("{}/{CONTAINER}/{task}", place.service);
    let since = (since.as_nanos() / 1_000_000).max(0);
    let call = place.endpoint.logs.filter_log_events().log_group_name(&place.log_group);
    let call = call.log_stream_name_prefix(&prefix).start_time(since).set_next_token(token);
    match call.send().await.map_err(|error| refused(DOING, place.endpoint.endpoint(), error)) {
        // Nothing was ever written.
        Err(error) if error.is_absent() => Ok((Vec::new(), None)),
        reply => {
            let reply = reply?;
            let lines = reply.events().iter().filter_map(|event| line(event, &prefix)).collect();
            Ok((lines, reply.next_token))
        }
    }
}

fn line(event: &FilteredLogEvent, prefix: &str) -> Option<LogLine> {
    let stream = event.log_stream_name().unwrap_or_default();
    let text = event.message().unwrap_or_default().trim_end_matches(['\r', '\n']);
    stream.starts_with(prefix).then(|| LogLine {
        at: Timestamp::from_nanos(event.timestamp().unwrap_or(0).saturating_mul(1_000_000)),
        task: last_part(stream).to_owned(),
        // Without an id, the same words of the same task at the same moment are the same line.
        id: event.event_id().map_or_else(|| format!("{stream} {text}"), str::to_owned),
        text: text.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::testing::{endpoint, ok, place};

    fn line(at: i64, id: u32) -> LogLine {
        LogLine { at: Timestamp::from_secs(at), task: "t".to_owned(), id: id.to_string(), text: String::new() }
    }

    proptest! {
        #[test]
        fn any_reading_in_any_pieces_gives_each_line_once_in_time_order(
            times in proptest::collection::vec(0_i64..20, 0..40), again in proptest::collection::vec(0_usize..40, 0..40)
        ) {
            let lines: Vec<LogLine> = times.iter().zip(0..).map(|(at, id)| line(*at, id)).collect();
            let mut merge = Merge::default();
            for line in &lines { merge.take(line.clone()); }
            for index in again { if let Some(line) = lines.get(index) { merge.take(line.clone()); } }
            let merged = merge.drain();
            prop_assert_eq!(merged.len(), lines.len());
            prop_assert!(merged.is_sorted_by_key(|line| line.at));
        }

        #[test]
        fn a_follower_that_reads_an_overlap_again_shows_nothing_twice(times in proptest::collection::vec(0_i64..60, 1..40)) {
            let mut times = times;
            times.sort_unstable();
            let lines: Vec<LogLine> = times.iter().zip(0..).map(|(at, id)| line(*at, id)).collect();
            let mut merge = Merge::default();
            let mut shown = 0;
            for end in 1..=lines.len() {
                let from = lines[end - 1].at.minus(LEAST_LATENESS);
                for line in lines[..end].iter().filter(|line| from <= line.at) { merge.take(line.clone()); }
                shown += merge.drain().len();
                merge.forget_before(from);
            }
            prop_assert_eq!(shown, lines.len());
        }
    }

    #[test]
    fn lines_of_one_moment_keep_their_order() {
        let mut merge = Merge::default();
        for id in [3, 1, 2] {
            merge.take(line(5, id));
        }
        let ids: Vec<String> = merge.drain().into_iter().map(|line| line.id).collect();
        assert_eq!(ids, ["3", "1", "2"]);
    }

    #[tokio::test]
    async fn a_task_that_nobody_knows_is_refused_with_those_there_are_and_a_known_one_may_be_silent() {
        const RUNS: &str = "4f2a91bc0d3e00000000000000000000";
        let (connection, _) = endpoint(|operation, body| {
            let body: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
            let prefix = body["logStreamNamePrefix"].as_str().unwrap_or_default();
            match operation {
                // One of long ago, behind an empty page.
                "filterlogevents" if prefix == "web/app/01d" && body["startTime"] == 0 => {
                    match body["nextToken"].as_str() {
                        None => ok(&json!({"events": [], "nextToken": "more"})),
                        Some(_) => {
                            ok(&json!({"events": [{"logStreamName": "web/app/01d5", "timestamp": 1, "message": "x"}]}))
                        }
                    }
                }
                "filterlogevents" => ok(&json!({"events": []})),
                "listtasks" if body["desiredStatus"] == "STOPPED" => ok(&json!({"taskArns": []})),
                "listtasks" => ok(&json!({"taskArns": [format!("arn:task/web/{RUNS}")]})),
                "describetasks" => ok(&json!({"tasks": [{"taskArn": body["tasks"][0], "lastStatus": "RUNNING"}]})),
                other => crate::testing::error("NotInTheScript", other),
            }
        })
        .await;
        let place = place(connection);
        let of = |task: &str| LogQuery { since: None, task: Some(task.to_owned()) };
        for known in ["4f2a", RUNS, "01d", ""] {
            assert_eq!(logs(&place, &of(known)).await.unwrap(), [], "`{known}`");
        }
        let cancel = crate::Cancel::never();
        let (sink, _followed) = tokio::sync::mpsc::unbounded_channel();
        let refusals = [
            logs(&place, &of("nope")).await.unwrap_err(),
            follow(&place, &of("nope"), &sink, &cancel).await.unwrap_err(),
        ];
        for refused in refusals {
            assert_eq!(refused.to_string(), "there is no task `nope`, only 4f2a91bc0d3e\nhint: gimmetime status");
        }
    }

    #[tokio::test]
    async fn a_follower_shows_nothing_older_than_was_asked_for() {
        let began = source::wall();
        let millis = |moment: Timestamp| moment.as_nanos() / 1_000_000;
        let event = move |at: i64| json!({"logStreamName": "web/app/a", "timestamp": at, "message": at.to_string(), "eventId": at.to_string()});
        let all = [millis(began) - 2_000, millis(began) + 1];
        let (connection, reads) = endpoint(move |_, body| {
            let body: serde_json::Value = serde_json::from_str(body).unwrap();
            let asked = body["startTime"].as_i64().unwrap();
            ok(&json!({"events": all.iter().filter(|at| asked <= **at).map(|at| event(*at)).collect::<Vec<_>>()}))
        })
        .await;
        let mut place = place(connection);
        place.poll = Duration::from_millis(1);
        let (canceller, cancel) = crate::cancellation();
        let (sink, mut followed) = tokio::sync::mpsc::unbounded_channel();
        let query = LogQuery { since: Some(began), task: None };
        let follower = tokio::spawn(async move { follow(&place, &query, &sink, &cancel).await });
        assert_eq!(followed.recv().await.unwrap().text, all[1].to_string());
        while reads.lock().unwrap().len() < 5 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        canceller.cancel();
        follower.await.unwrap().unwrap();
        assert!(followed.recv().await.is_none());
    }

    #[tokio::test]
    async fn a_follower_never_shows_a_line_that_the_last_hundred_left_out() {
        let began = source::wall().as_nanos() / 1_000_000;
        let event = move |n: i64| json!({"logStreamName": "web/app/a", "timestamp": began + n, "message": n.to_string(), "eventId": n.to_string()});
        let mut written = 150;
        let (connection, _) = endpoint(move |_, _| {
            // A line more with each read.
            written += 1;
            ok(&json!({"events": (0..written).map(event).collect::<Vec<_>>()}))
        })
        .await;
        let mut place = place(connection);
        place.poll = Duration::from_millis(1);
        let (canceller, cancel) = crate::cancellation();
        let (sink, mut followed) = tokio::sync::mpsc::unbounded_channel();
        let follower = tokio::spawn(async move { follow(&place, &LogQuery::default(), &sink, &cancel).await });
        let mut numbers: Vec<i64> = Vec::new();
        while numbers.len() < LAST + 10 {
            numbers.push(followed.recv().await.unwrap().text.parse().unwrap());
        }
        canceller.cancel();
        follower.await.unwrap().unwrap();
        assert_eq!(numbers, (51..161).collect::<Vec<_>>());
    }
}

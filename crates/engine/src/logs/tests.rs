use std::io::Write;
use std::time::Duration;

use super::*;

fn name() -> StreamName {
    StreamName { group: "/gimmetime/x".into(), stream: "x/app/1".into(), created_at: source::wall() }
}

fn group() -> Group {
    Group { name: "/gimmetime/x".into(), created_at: source::wall() }
}

async fn eventually<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let waiting = async {
        loop {
            if let Some(found) = look() {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), waiting).await.expect("it happens within 10 s")
}

fn texts(logs: &Logs) -> Vec<String> {
    let mut texts = Vec::new();
    logs.flush();
    logs.visit("1", 0, |found| texts.push(found.text.to_owned())).unwrap();
    texts
}

#[tokio::test]
async fn what_a_task_writes_is_read_back_and_survives_both_sides() {
    let home = tempfile::tempdir().unwrap();
    let task = home.path().join("tasks/1");
    let logs = Logs::open(home.path().join("logs"), group()).unwrap();
    let pumps = logs.follow("1", &name(), Fifos::open(&task, None).unwrap()).unwrap();
    let (mut out, _err) = Fifos::writers(&task).unwrap();
    out.write_all(b"one\ntwo\n").unwrap();
    eventually(|| (texts(&logs) == ["one", "two"]).then_some(())).await;
    drop(pumps);
    drop(logs);

    // No reader now: the task writes on, and the next engine finds it.
    out.write_all(b"three\n").unwrap();
    let logs = Logs::open(home.path().join("logs"), group()).unwrap();
    let pumps = logs.follow("1", &name(), Fifos::open(&task, None).unwrap()).unwrap();
    eventually(|| (texts(&logs) == ["one", "two", "three"]).then_some(())).await;

    // The task ended in the middle of a line.
    out.write_all(b"four").unwrap();
    drop(out);
    pumps.finish().await;
    assert_eq!(texts(&logs).len(), 4);
    logs.close("1");
    let stream = &logs.streams()[0];
    assert_eq!((stream.task.as_str(), &stream.name.stream), ("1", &"x/app/1".to_owned()));
    assert!(stream.span.is_some_and(|(first, last)| 0 < first && first <= last));
}

#[tokio::test]
async fn a_noisy_task_is_bounded_on_disk() {
    let home = tempfile::tempdir().unwrap();
    let task = home.path().join("tasks/1");
    let logs = Logs::open(home.path().join("logs"), group()).unwrap();
    let pumps = logs.follow("1", &name(), Fifos::open(&task, None).unwrap()).unwrap();
    let (mut out, _err) = Fifos::writers(&task).unwrap();
    let written = tokio::task::spawn_blocking(move || {
        let line = [b'x'; 1_023];
        for _ in 0..20_000 {
            out.write_all(&line).unwrap();
            out.write_all(b"\n").unwrap();
        }
        out.write_all(b"last\n").unwrap();
        out
    });
    drop(written.await.unwrap());
    pumps.finish().await;
    assert_eq!(texts(&logs).last().map(String::as_str), Some("last"));
    assert!(logs.streams()[0].bytes <= 2 * FILE);
}

#[tokio::test]
async fn events_of_several_streams_are_merged_in_time_order_and_limited_from_either_end() {
    use gimmetime_api::{LogEnd, LogQuery, LogSource, StreamFilter};

    let home = tempfile::tempdir().unwrap();
    let logs = Logs::open(home.path().join("logs"), group()).unwrap();
    for (task, times) in [("1", [10, 30]), ("2", [20, 40])] {
        let folder = home.path().join("logs").join(task);
        let mut stream = StreamFile::open(&folder, 1_000).unwrap();
        let name = StreamName { stream: format!("x/app/{task}"), ..name() };
        files::replace_json(&folder.join("stream.json"), &name).unwrap();
        let record = |at_ms| Record { at_ms, output: Output::Out, text: format!("{task} at {at_ms}") };
        stream.write(&times.map(record)).unwrap();
    }
    let query = |end, limit| LogQuery {
        group: "/gimmetime/x",
        streams: StreamFilter::All,
        start_ms: 20,
        end_ms: i64::MAX,
        after: None,
        before: None,
        end,
        limit,
    };
    let messages = |end, limit| -> Vec<String> {
        logs.events(&query(end, limit)).unwrap().into_iter().map(|event| event.message).collect()
    };
    assert_eq!(messages(LogEnd::Head, 9), ["2 at 20", "1 at 30", "2 at 40"]);
    assert_eq!(messages(LogEnd::Head, 1), ["2 at 20"]);
    assert_eq!(messages(LogEnd::Tail, 1), ["2 at 40"]);
    assert_eq!(LogSource::groups(&logs).len(), 1);
    assert_eq!(LogSource::streams(&logs, "/gimmetime/x").len(), 2);
}

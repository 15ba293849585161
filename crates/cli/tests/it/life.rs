//! The life of a service: up, read, deploy, scale, roll back, explain, down.

use crate::place::Place;

#[test]
fn up_ends_with_a_service_that_answers_as_the_original_did() {
    let place = Place::new();
    let up = place.must(&["up"]);
    up.says("2 of 2 healthy").says("clock within").says("date -d @$(curl -s http://");
    let reply = place.get("/now").unwrap();
    assert_eq!(reply.status, 200);
    assert_eq!(reply.body.len(), 10, "{reply:?}");
    assert!(reply.body.bytes().all(|byte| byte.is_ascii_digit()), "{reply:?}");
    for header in ["Content-Type: text/plain; charset=utf-8", "Content-Length: 10", "Date: "] {
        assert!(reply.head.contains(header), "no `{header}` in {reply:?}");
    }
}

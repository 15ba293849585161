//! The health path on AWS. It is the place's, asked of every task alike, so whoever changes it must not fell what serves.

use gimmetime_aws::preflight::{Finding, Severity};
use gimmetime_check::{Url, http};
use gimmetime_ops::{Place, asked_path};

use super::{Cloud, PROBE_TIMEOUT};
use crate::exit::Failure;

/// What a path was answered with.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    /// By a status: what serves was reached.
    Status(u16),
    /// Not at all, for this reason.
    None(String),
}

/// What keeps `up` from having the balancer ask `wanted`: that what serves does not answer it, or that this could not be
/// told. The path is asked once, through the balancer, and only if it is another one than before.
pub(crate) async fn path_in_the_way(cloud: &Cloud, wanted: &str) -> Result<Option<Finding>, Failure> {
    let place = &cloud.place;
    let Some(asked) = asked_path(place).await?.filter(|asked| asked != wanted) else { return Ok(None) };
    let url = Url { path: wanted.to_owned(), ..place.url.clone() };
    Ok(judge(&asked, &url, &ask(place, &url).await))
}

/// What `deploy` leaves undone: a release cannot change what the balancer asks.
pub(crate) async fn path_not_brought(cloud: &Cloud, wanted: &str) -> Result<Option<String>, Failure> {
    let asked = asked_path(&cloud.place).await?.filter(|asked| asked != wanted);
    Ok(asked.map(|asked| {
        format!("note: the balancer goes on asking `{asked}` for health; it asks `{wanted}` after: gimmetime up")
    }))
}

/// Pure.
fn judge(asked: &str, url: &Url, answer: &Answer) -> Option<Finding> {
    let wanted = &url.path;
    let refused = |words: String, hint: String| Some(Finding { severity: Severity::Refusal, words, hint: Some(hint) });
    match answer {
        Answer::Status(200..=299) => None,
        Answer::Status(status) => refused(
            format!(
                "the balancer would ask `{wanted}` for health instead of `{asked}`, and what serves does not answer it: \
                 asked {url}, got {status}"
            ),
            format!(
                "deploy a release that answers both paths first, with `health = \"{asked}\"`, then change `health`: \
                 gimmetime deploy"
            ),
        ),
        Answer::None(reason) => refused(
            format!(
                "the balancer would ask `{wanted}` for health instead of `{asked}`, and whether what serves answers it \
                 cannot be told: asked {url}, got nothing ({reason})"
            ),
            "run it from where the balancer is reached, or pass --connect-to HOST:PORT".to_owned(),
        ),
    }
}

/// Asks once, at the first of the balancer's addresses that takes the connection.
async fn ask(place: &Place, url: &Url) -> Answer {
    let addresses = match url.addresses(place.connect_to.as_ref()).await {
        Ok(addresses) => addresses,
        Err(error) => return Answer::None(error.to_string()),
    };
    let mut reason = String::new();
    for address in addresses {
        match http::get(address, &url.authority(), &url.path, &[], PROBE_TIMEOUT).await {
            Ok(reply) => return Answer::Status(reply.status),
            Err(fault) => {
                reason = format!("{address}: {fault}");
                if !fault.before_connect() {
                    break;
                }
            }
        }
    }
    Answer::None(reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(answer: &Answer) -> Option<Finding> {
        judge("/live", &"http://balancer.example/ready".parse().unwrap(), answer)
    }

    #[test]
    fn a_path_that_what_serves_answers_is_in_nobodys_way() {
        for status in [200, 204, 299] {
            assert_eq!(judged(&Answer::Status(status)), None);
        }
    }

    #[test]
    fn a_path_that_is_not_answered_is_refused_with_what_was_asked_what_was_got_and_what_to_do() {
        for status in [199, 301, 404, 503] {
            let Finding { severity, words, hint } = judged(&Answer::Status(status)).unwrap();
            assert_eq!(severity, Severity::Refusal);
            assert!(words.contains("`/ready` for health instead of `/live`"), "{words}");
            assert!(words.ends_with(&format!("asked http://balancer.example/ready, got {status}")), "{words}");
            assert!(
                hint.unwrap()
                    .contains("a release that answers both paths first, with `health = \"/live\"`, then change")
            );
        }
    }

    #[test]
    fn what_cannot_be_asked_is_not_taken_for_an_answer() {
        let Finding { severity, words, hint } = judged(&Answer::None("connection refused".to_owned())).unwrap();
        assert_eq!(severity, Severity::Refusal);
        assert!(words.contains("cannot be told") && words.ends_with("got nothing (connection refused)"), "{words}");
        assert!(hint.unwrap().contains("--connect-to"));
    }
}

//! Which refusals pass by themselves: what was made moments ago is not known everywhere yet. Pure table, thin driver.

use std::time::Duration;

use gimmetime_clock::source;

use crate::error::OpsError;
use crate::event::Event;
use crate::place::{Place, Run};

/// A role, a listener or a service-linked role that was made moments ago is known everywhere within this; AWS says
/// "seconds", and minutes were never seen.
const NEWLY_MADE: Duration = Duration::from_mins(2);
/// A service that is being deleted is gone once its tasks are: their deregistration delay and their stop timeout.
const BEING_DELETED: Duration = Duration::from_mins(10);

/// Words of a refusal, how long it is worth asking again, and what is waited for. Messages are matched by substring: their
/// codes are as general as `InvalidParameterException`.
const PASSING: [(&str, Duration, &str); 7] = [
    ("unable to assume the service linked role", NEWLY_MADE, "ECS's service-linked role, which is seconds old"),
    ("ecs service linked role exists", NEWLY_MADE, "ECS's service-linked role, which is seconds old"),
    ("unable to assume the role", NEWLY_MADE, "a role that is seconds old"),
    ("unable to assume role", NEWLY_MADE, "a role that is seconds old"),
    ("role is not valid", NEWLY_MADE, "a role that is seconds old"),
    ("does not have an associated load balancer", NEWLY_MADE, "the listener to be known to ECS"),
    ("still draining", BEING_DELETED, "the service of that name to be gone"),
];

/// What is waited for, if the same request is worth another try after `waited`: pure.
fn passes(error: &OpsError, waited: Duration) -> Option<&'static str> {
    let OpsError::Refused { message, .. } = error else { return None };
    let message = message.to_lowercase();
    let row = PASSING.iter().find(|(words, limit, _)| message.contains(words) && waited < *limit);
    row.map(|(_, _, what)| *what)
}

/// Asks until it is accepted, or refused for good; says once what is waited for. An interruption ends it with the refusal.
pub(crate) async fn until_accepted<T>(
    place: &Place,
    run: &Run,
    mut ask: impl AsyncFnMut() -> Result<T, OpsError>,
) -> Result<T, OpsError> {
    let began = source::mono();
    let mut told = None;
    loop {
        let error = match ask().await {
            Ok(accepted) => return Ok(accepted),
            Err(error) => error,
        };
        let what = passes(&error, source::mono().since(began)).filter(|_| !run.cancel.is_cancelled());
        let Some(what) = what else { return Err(error) };
        if told.replace(what) != Some(what) {
            run.emit(Event::Waiting { what: what.to_owned() });
        }
        tokio::select! {
            () = tokio::time::sleep(place.poll) => {}
            () = run.cancel.cancelled() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(message: &str) -> OpsError {
        let code = "InvalidParameterException".to_owned();
        OpsError::Refused { doing: "create the service", code, message: message.to_owned() }
    }

    #[test]
    fn what_was_made_moments_ago_is_waited_for_but_not_for_ever() {
        let table = [
            "Unable to assume the service linked role. Please verify that the ECS service linked role exists.",
            "ECS was unable to assume the role 'arn:aws:iam::123456789012:role/x' that was provided for this task.",
            "Role is not valid",
            "The target group with targetGroupArn arn:aws:x does not have an associated load balancer.",
            "Unable to Start a service that is still Draining.",
        ];
        for message in table {
            assert!(passes(&refused(message), Duration::ZERO).is_some(), "{message}");
            assert_eq!(passes(&refused(message), BEING_DELETED), None, "{message}");
        }
    }

    #[test]
    fn what_is_wrong_for_good_is_said_at_once() {
        let denied = OpsError::Denied { doing: "create the service", message: "unable to assume the role".to_owned() };
        for error in [refused("No Fargate configuration exists for given values."), denied] {
            assert_eq!(passes(&error, Duration::ZERO), None, "{error}");
        }
    }
}

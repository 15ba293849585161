//! `scale`: a projection of the rollout machine. No deployment, the same promises.

use crate::error::OpsError;
use crate::event::{Operation, RolloutReport};
use crate::lock;
use crate::observe;
use crate::place::{Place, Run};
use crate::progress::Before;
use crate::rollout::{Asked, Change, roll};
use crate::update::{self, Update};

/// Sets the number of tasks, and waits until they are healthy and those that are too many are gone.
///
/// An unchanged number is waited for all the same: `scale 4` means that 4 tasks serve.
///
/// # Errors
/// [`OpsError::Busy`] while a rollout is in progress. Another `scale` in progress is overtaken.
pub async fn scale(place: &Place, count: u32, run: &Run) -> Result<RolloutReport, OpsError> {
    let service = observe::service(place).await?;
    if let Some(busy) = lock::of_service(place, &service).await?.filter(|busy| busy.release.is_some()) {
        return Err(busy.into());
    }
    let label = lock::label(run, Operation::Scale, &format!("{}:{count}", service.desired));
    let change = Change {
        operation: Operation::Scale,
        from: Some(service.revision()),
        from_arn: Some(service.task_definition.clone()),
        to: service.revision(),
        to_arn: service.task_definition.clone(),
        count,
        before: Before::of(&service),
        serves: 0 < service.running,
        label: Some(label.clone()),
    };
    let asking = Box::pin(async {
        if service.desired != count {
            lock::announce(place, &service.arn, &label).await?;
            update::update(place, Update { count: Some(count), ..Update::default() }).await?;
        }
        Ok(Asked::Count { count })
    });
    roll(place, run, change, asking).await
}

//! The routing table: who gets requests. Fails open, as an Application Load Balancer does.

use crate::Route;
use crate::model::{Model, TargetState};

/// The routing table of `model.table_version`, as of the last [`crate::step`].
pub fn table(model: &Model) -> Vec<Route> {
    model.table.clone()
}

/// Gives the table a new version if it changed, and remembers which version first told of a draining target.
pub(crate) fn refresh(model: &mut Model) {
    let wanted = wanted(model);
    if wanted != model.table {
        model.table = wanted;
        model.table_version += 1;
    }
    for target in model.targets.values_mut().filter(|target| target.draining_since.is_some()) {
        target.drained_by_version.get_or_insert(model.table_version);
    }
}

/// Healthy targets get requests; if there is none, all unhealthy ones do; if nothing else is registered, initial ones.
fn wanted(model: &Model) -> Vec<Route> {
    let preference = [TargetState::Healthy, TargetState::Unhealthy, TargetState::Initial];
    let any = |state: &TargetState| model.targets.values().any(|target| target.state == *state);
    let serving = preference.into_iter().find(any);
    let routes = model.targets.iter().filter_map(|(id, target)| {
        let draining = target.state == TargetState::Draining;
        if !draining && Some(target.state) != serving {
            return None;
        }
        let address = model.tasks.get(id)?.address?;
        Some(Route { task: id.clone(), address, draining, healthy: target.state == TargetState::Healthy })
    });
    routes.collect()
}

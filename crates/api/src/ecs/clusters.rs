//! Clusters: names that hold the service.

use gimmetime_scheduler::model::{Cluster, Model, ServiceStatus};
use serde_json::{Value, json};

use super::arn::{self, DEFAULT_CLUSTER};
use super::{includes_tags, missing, tags};
use crate::page::{Order, Page};
use crate::parameters::Parameters;
use crate::{ApiError, World};

pub(super) fn create(world: &mut dyn World, mut parameters: Parameters<'_>) -> Result<Value, ApiError> {
    let name = parameters.text("clusterName")?.filter(|name| !name.is_empty()).unwrap_or(DEFAULT_CLUSTER);
    let labels = tags::read(&mut parameters)?;
    parameters.finish()?;
    let now = world.now();
    let model = world.model();
    model.create_cluster(name, labels, now)?;
    Ok(json!({"cluster": view(model, &model.clusters[name], true)}))
}

pub(super) fn describe(model: &Model, mut parameters: Parameters<'_>) -> Result<Value, ApiError> {
    let mut wanted = parameters.texts("clusters")?;
    let known = ["ATTACHMENTS", "CONFIGURATIONS", "SETTINGS", "STATISTICS", "TAGS"];
    let with_tags = includes_tags(&mut parameters, &known)?;
    parameters.finish()?;
    if wanted.is_empty() {
        wanted.push(DEFAULT_CLUSTER.to_owned());
    }
    let (mut clusters, mut failures) = (Vec::new(), Vec::new());
    for given in &wanted {
        match arn::cluster(model, Some(given)) {
            Ok(cluster) => clusters.push(view(model, cluster, with_tags)),
            Err(_) => failures.push(missing(&model.arns().cluster(arn::cluster_name(model, Some(given))))),
        }
    }
    Ok(json!({"clusters": clusters, "failures": failures}))
}

pub(super) fn list(model: &Model, mut parameters: Parameters<'_>) -> Result<Value, ApiError> {
    let page = Page::of("ListClusters", &mut parameters, 100)?;
    parameters.finish()?;
    let items = model.clusters.keys().map(|name| (name.clone(), model.arns().cluster(name).into())).collect();
    page.reply("clusterArns", items, Order::Ascending)
}

fn view(model: &Model, cluster: &Cluster, with_tags: bool) -> Value {
    let counts = model.counts_of(|task| task.cluster == cluster.name);
    let active = |service: &&gimmetime_scheduler::model::Service| {
        service.cluster == cluster.name && service.status == ServiceStatus::Active
    };
    json!({
        "clusterArn": model.arns().cluster(&cluster.name),
        "clusterName": cluster.name,
        "status": "ACTIVE",
        "registeredContainerInstancesCount": 0,
        "runningTasksCount": counts.running,
        "pendingTasksCount": counts.pending,
        "activeServicesCount": model.service.iter().filter(active).count(),
        "statistics": [],
        "settings": [],
        "capacityProviders": [],
        "defaultCapacityProviderStrategy": [],
        "tags": if with_tags { tags::view(&cluster.tags) } else { json!([]) },
    })
}

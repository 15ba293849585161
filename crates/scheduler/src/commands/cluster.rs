//! Clusters.

use gimmetime_clock::Now;

use super::{Refusal, check_name};
use crate::model::{Cluster, Model, Tags};

impl Model {
    /// The cluster of this name, made if there is none; one that exists is returned as it is.
    pub fn create_cluster(&mut self, name: &str, tags: Tags, now: Now) -> Result<&Cluster, Refusal> {
        check_name("cluster name", name)?;
        let made = || Cluster { name: name.to_owned(), tags, created_at: now.wall };
        Ok(self.clusters.entry(name.to_owned()).or_insert_with(made))
    }
}

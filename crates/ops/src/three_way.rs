//! What `up` must change: the settings last applied, those wanted, and what is live. Pure.
//!
//! A setting that the settings file did not change since it was last applied stays as it is live, however it came to be
//! so: a scaled count, a deployed image, a percentage set through another client.

use serde::Serialize;

use crate::definition::{Definition, fingerprint};
use crate::location::Location;
use crate::place::{FIRST_COUNT, ServiceSpec};
use crate::snapshot::{RolloutView, ServiceView};
use crate::tags;

/// The settings of a service, as they are kept in its label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Fingerprint of the image as declared.
    pub image: String,
    /// Fingerprint of everything else in the definition.
    pub definition: String,
    /// How many tasks.
    pub count: u32,
    /// How it rolls.
    pub rollout: RolloutView,
}

/// What is live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Live {
    /// The definition that the service runs.
    pub definition: Definition,
    /// How many tasks.
    pub count: u32,
    /// How it rolls.
    pub rollout: RolloutView,
    /// Where its tasks are; None where that is nothing of the service's.
    pub location: Option<Location>,
}

/// What must change.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// The definition to be brought, if it differs from what runs.
    pub definition: Option<Definition>,
    /// The count to be set.
    pub count: Option<u32>,
    /// How it shall roll.
    pub rollout: Option<RolloutView>,
    /// Where its tasks shall be: the place was changed, and they are where it was before.
    pub location: Option<Location>,
    /// Whether the definition that runs is to be brought once more: the service gave it up.
    pub again: bool,
    /// The same in words.
    pub changes: Vec<Change>,
}

/// One change in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Which setting.
    pub setting: String,
    /// From what to what.
    pub words: String,
}

impl Plan {
    /// Whether nothing must change.
    pub fn is_empty(&self) -> bool {
        self.definition.is_none() && self.count.is_none() && self.rollout.is_none() && !self.replaces()
    }

    /// Whether every task is to be replaced, be it by one of the same release.
    pub(crate) fn replaces(&self) -> bool {
        self.again || self.location.is_some()
    }
}

impl Settings {
    /// The settings that a specification asks for.
    pub fn of(spec: &ServiceSpec, definition: &Definition) -> Self {
        Self {
            image: fingerprint(&spec.declared_image),
            definition: definition.fingerprint(),
            count: spec.count.unwrap_or(FIRST_COUNT),
            rollout: RolloutView {
                min_healthy_percent: spec.rollout.min_healthy_percent,
                max_percent: spec.rollout.max_percent,
                failures: spec.rollout.failures,
            },
        }
    }

    /// As a label's value.
    pub fn encode(&self) -> String {
        let failures = self.rollout.failures.map_or_else(|| "default".to_owned(), |failures| failures.to_string());
        tags::encode(&[
            ("image", &self.image),
            ("definition", &self.definition),
            ("count", &self.count.to_string()),
            ("min", &self.rollout.min_healthy_percent.to_string()),
            ("max", &self.rollout.max_percent.to_string()),
            ("failures", &failures),
        ])
    }

    /// From a label's value; None if it is not one of this program's.
    pub fn decode(value: &str) -> Option<Self> {
        let facts = tags::decode(value);
        let number = |key: &str| facts.get(key)?.parse().ok();
        Some(Self {
            image: facts.get("image")?.clone(),
            definition: facts.get("definition")?.clone(),
            count: number("count")?,
            rollout: RolloutView {
                min_healthy_percent: number("min")?,
                max_percent: number("max")?,
                failures: number("failures"),
            },
        })
    }

    /// The settings last applied to a service.
    pub fn applied(service: &ServiceView) -> Option<Self> {
        service.tags.get(tags::APPLIED).and_then(|value| Self::decode(value))
    }
}

/// What must change for `wanted` to be true, where `applied` was true before and `live` is what is there now.
///
/// `definition` is the wanted one in full; `location` is where the place has its tasks now, whatever was applied: what it has
/// no more will be removed. A service that bears no label was made by somebody else: its settings are
/// brought to the wanted ones, but for the count, which somebody may have scaled.
pub fn plan(
    applied: Option<&Settings>,
    wanted: &Settings,
    definition: &Definition,
    location: Option<&Location>,
    live: &Live,
) -> Plan {
    let mut plan = Plan::default();
    let image = applied.is_none_or(|applied| applied.image != wanted.image);
    let rest = applied.is_none_or(|applied| applied.definition != wanted.definition);
    let base = if rest { definition } else { &live.definition };
    let image = if image { &definition.image } else { &live.definition.image };
    let target = Definition { image: image.clone(), ..base.clone() };
    if target != live.definition {
        let words = live.definition.changes_to(&target).join(", ");
        plan.changes.push(Change { setting: "release".to_owned(), words });
        plan.definition = Some(target);
    }
    if applied.is_some_and(|applied| applied.count != wanted.count) && wanted.count != live.count {
        plan.changes.push(Change { setting: "count".to_owned(), words: format!("{}→{}", live.count, wanted.count) });
        plan.count = Some(wanted.count);
    }
    if applied.is_none_or(|applied| applied.rollout != wanted.rollout) && wanted.rollout != live.rollout {
        plan.changes.push(Change { setting: "rollout".to_owned(), words: rollout_words(live.rollout, wanted.rollout) });
        plan.rollout = Some(wanted.rollout);
    }
    if let (Some(there), Some(location)) = (&live.location, location) {
        let words = there.changes_to(location);
        if !words.is_empty() {
            let words = format!("{}; every task is replaced", words.join(", "));
            plan.changes.push(Change { setting: "network".to_owned(), words });
            plan.location = Some(location.clone());
        }
    }
    plan
}

fn rollout_words(old: RolloutView, new: RolloutView) -> String {
    let failures = |view: RolloutView| view.failures.map_or_else(|| "default".to_owned(), |n| n.to_string());
    let pairs = [
        ("min_healthy_percent", old.min_healthy_percent.to_string(), new.min_healthy_percent.to_string()),
        ("max_percent", old.max_percent.to_string(), new.max_percent.to_string()),
        ("failures", failures(old), failures(new)),
    ];
    let differing = pairs.into_iter().filter(|(_, old, new)| old != new);
    differing.map(|(name, old, new)| format!("{name} {old}→{new}")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Few values each, so that equal ones meet often.
    fn definitions() -> impl Strategy<Value = Definition> {
        (0_u8..3, 8080_u16..8083).prop_map(|(image, port)| Definition {
            image: format!("localhost/web@sha256:{image}"),
            port: Some(port),
            ..Definition::default()
        })
    }

    fn rollouts() -> impl Strategy<Value = RolloutView> {
        (0_u32..2, proptest::option::of(2_u32..4)).prop_map(|(min, failures)| RolloutView {
            min_healthy_percent: min * 50,
            max_percent: 200,
            failures,
        })
    }

    fn wanted() -> impl Strategy<Value = (Settings, Definition)> {
        (definitions(), 1_u32..4, rollouts()).prop_map(|(definition, count, rollout)| {
            let image = fingerprint(&definition.image);
            (Settings { image, definition: definition.fingerprint(), count, rollout }, definition)
        })
    }

    fn locations() -> impl Strategy<Value = Location> {
        (proptest::collection::btree_set("[ab]", 1..3), proptest::bool::ANY, proptest::option::of("[gh]")).prop_map(
            |(subnets, public_ip, target_group)| Location { subnets, public_ip, target_group, ..Location::default() },
        )
    }

    fn lives() -> impl Strategy<Value = Live> {
        (definitions(), 1_u32..4, rollouts(), proptest::option::of(locations()))
            .prop_map(|(definition, count, rollout, location)| Live { definition, count, rollout, location })
    }

    fn carried_out(plan: &Plan, live: &Live) -> Live {
        Live {
            definition: plan.definition.clone().unwrap_or_else(|| live.definition.clone()),
            count: plan.count.unwrap_or(live.count),
            rollout: plan.rollout.unwrap_or(live.rollout),
            location: plan.location.clone().or_else(|| live.location.clone()),
        }
    }

    proptest! {
        #[test]
        fn a_second_up_changes_nothing(
            (wanted, definition) in wanted(), before in proptest::option::of(wanted()),
            location in proptest::option::of(locations()), live in lives()
        ) {
            let (applied, location) = (before.map(|(applied, _)| applied), location.as_ref());
            let after = carried_out(&plan(applied.as_ref(), &wanted, &definition, location, &live), &live);
            prop_assert!(plan(Some(&wanted), &wanted, &definition, location, &after).is_empty());
        }

        #[test]
        fn tasks_are_brought_to_where_the_place_has_them_whatever_was_applied(
            (wanted, definition) in wanted(), before in proptest::option::of(wanted()), location in locations(), live in lives()
        ) {
            let applied = before.map(|(applied, _)| applied);
            let plan = plan(applied.as_ref(), &wanted, &definition, Some(&location), &live);
            prop_assert_eq!(plan.location.is_some(), plan.changes.iter().any(|change| change.setting == "network"));
            if let Some(after) = carried_out(&plan, &live).location {
                prop_assert_eq!((&after.subnets, after.public_ip), (&location.subnets, location.public_ip));
                prop_assert!(after.target_group.is_none() || after.target_group == location.target_group);
            }
        }

        #[test]
        fn what_the_settings_did_not_change_stays_as_it_is_live((wanted, definition) in wanted(), live in lives()) {
            prop_assert!(plan(Some(&wanted), &wanted, &definition, live.location.as_ref(), &live).is_empty());
        }

        #[test]
        fn what_the_settings_did_change_is_brought((wanted, definition) in wanted(), (applied, _) in wanted(), live in lives()) {
            let after = carried_out(&plan(Some(&applied), &wanted, &definition, None, &live), &live);
            if applied.count != wanted.count { prop_assert_eq!(after.count, wanted.count); }
            if applied.rollout != wanted.rollout { prop_assert_eq!(after.rollout, wanted.rollout); }
            if applied.image != wanted.image { prop_assert_eq!(after.definition.image, definition.image); }
            if applied.definition != wanted.definition { prop_assert_eq!(after.definition.port, definition.port); }
        }

        #[test]
        fn settings_survive_their_label((wanted, _) in wanted()) {
            prop_assert_eq!(Settings::decode(&wanted.encode()), Some(wanted));
        }
    }

    #[test]
    fn a_scaled_count_stays_until_the_settings_change_it() {
        let definition = Definition::default();
        let settings = |count| Settings {
            image: String::new(),
            definition: definition.fingerprint(),
            count,
            rollout: RolloutView::default(),
        };
        let live = Live { definition: definition.clone(), count: 8, rollout: RolloutView::default(), location: None };
        let count = |applied: Option<u32>, wanted| {
            let applied = applied.map(settings);
            plan(applied.as_ref(), &settings(wanted), &definition, None, &live).count
        };
        assert_eq!(count(Some(2), 2), None);
        assert_eq!(count(Some(2), 3), Some(3));
        assert_eq!(count(None, 2), None);
    }
}
